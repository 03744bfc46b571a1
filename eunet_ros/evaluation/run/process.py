# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How the evaluation's processes tell what they do: JSON lines on stdout, errors on stderr."""
from __future__ import annotations

from collections.abc import Callable
import json
import signal
import sys
from typing import Any

Say = Callable[..., None]   # see `tell`


def tell(event: str, /, **values: Any) -> None:
    """Write an event as a JSON line to stdout."""
    print(json.dumps({'event': event, **values}), flush=True)


def run_worker(name: str, work: Callable[[Say], None]) -> int:
    """Run a process's work; returns its exit code, an error ends in one sentence on stderr."""
    from eunet_ros.model.engines import EngineError
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        work(tell)
    except (ValueError, OSError, ImportError, EngineError) as error:
        print(f'{name}: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
