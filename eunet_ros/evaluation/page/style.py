# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the page looks: on a desk, on a phone, in the dark and on paper."""

STYLE = """
:root { --paper: #fff; --ink: #1b1f24; --faint: #667; --line: #d9dde3; --card: #f5f7f9;
        --a: #0b6bcb; --b: #c2571a; --good: #1a7f37; --bad: #c62828; --warn: #fff4d6; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171b; --ink: #e7eaee; --faint: #98a2ad; --line: #333a42; --card: #1d2228;
          --a: #58a6ff; --b: #f0883e; --good: #3fb950; --bad: #ff6b6b; --warn: #3b3115; } }
@media print { :root { --paper: #fff; --ink: #000; --faint: #555; --line: #ccc; --card: #fff;
          --a: #0b6bcb; --b: #c2571a; --good: #1a7f37; --bad: #c62828; --warn: #fff4d6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 1rem; background: var(--paper);
       color: var(--ink); font: 15px/1.45 system-ui, -apple-system, 'Segoe UI', sans-serif; }
h1 { font-size: 1.45rem; margin: .2rem 0; overflow-wrap: anywhere; }
h2 { font-size: 1.12rem; margin: 1.8rem 0 .5rem; border-bottom: 1px solid var(--line);
     padding-bottom: .2rem; }
h3 { font-size: .95rem; margin: 0 0 .35rem; }
p, ul { margin: .35rem 0; } a { color: var(--a); }
.faint { color: var(--faint); } .small { font-size: .86rem; }
.note { background: var(--warn); border: 1px solid var(--line); border-radius: 6px;
        padding: .5rem .8rem; margin: .7rem 0; overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .6rem;
         margin: .9rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
        padding: .5rem .7rem; }
.tile b { display: block; font-size: 1.2rem; font-variant-numeric: tabular-nums; }
.legend { white-space: nowrap; margin-right: .9em; }
.legend i { flex: none; }
.tile b + b { font-size: 1.1rem; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 430px), 1fr));
       gap: 1rem 1.6rem; align-items: start; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .45rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; font-size: .84rem; color: var(--faint); vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
.left td { text-align: left; vertical-align: top; overflow-wrap: anywhere; }
.left td:first-child { color: var(--faint); min-width: 6.5em; }
.heat th { font-size: .76rem; padding: .2rem; }
.heat td { border: 1px solid var(--paper); }
i.key { display: inline-block; width: .75em; height: .75em; border-radius: 2px;
        margin-right: .4em; border: 1px solid var(--line); }
.a { color: var(--a); } .b { color: var(--b); }
svg { display: block; width: 100%; height: auto; }
svg text { font: 10.5px system-ui, sans-serif; fill: var(--faint); }
svg .grid { stroke: var(--line); fill: none; } svg .dot { fill: var(--ink); }
svg .rule { stroke: var(--faint); stroke-dasharray: 3 3; fill: none; }
figure { margin: .6rem 0 1.3rem; break-inside: avoid; }
figcaption { margin-bottom: .3rem; overflow-wrap: anywhere; }
.row { display: grid; gap: 4px; margin-bottom: 4px; }
.row div { position: relative; } .row img { display: block; width: 100%; }
.row.ground { grid-template-columns: 16fr 9fr; }
.row span { position: absolute; left: 4px; top: 4px; background: rgba(0,0,0,.6); color: #fff;
            font-size: .75rem; padding: 0 .35em; border-radius: 3px; }
.up { color: var(--good); } .down { color: var(--bad); }
@media (max-width: 640px) {
  body { padding: .6rem; font-size: 14px; }
  .tiles { grid-template-columns: 1fr 1fr; }
  .row.whole:not(.only) { grid-template-columns: 1fr !important; }
  .row.whole:not(.only) div:not(:first-child) { display: none; }
  .row.ground { grid-template-columns: 1fr; }
  th, td { padding: .2rem .25rem; } table { font-size: .84rem; }
  .heat th, .heat td { padding: .2rem .12rem; font-size: .72rem; }
  td .legend { white-space: normal; margin: 0; }
}
@media print { body { max-width: none; font-size: 11px; } h2, h3 { break-after: avoid; }
  .two { grid-template-columns: 1fr 1fr; } .two:has(> :only-child) { display: block; }
  .two > div, .tile, table, svg { break-inside: avoid; }
  .tiles { grid-template-columns: repeat(4, 1fr); } a { color: inherit; text-decoration: none; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
