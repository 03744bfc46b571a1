# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
Average weights from before and after a fine-tuning: often better than either.

    python training/tools/average.py eunet_s runs/hard/eunet_s.safetensors --share 0.75 \
        --output averaged.safetensors

Keeps what the new scenes taught and forgets less of the old (Wortsman et al., "Robust fine-tuning
of zero-shot models", arXiv:2109.01903). Weights of two separate trainings cannot be averaged.
--add-bias corrects the prior of a class (Menon et al., "Long-tail learning via logit adjustment",
arXiv:2007.07314).
"""
from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from math import nan
from pathlib import Path
import sys

if __package__ in (None, ''):  # run as a script from a checkout that is not installed
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from eunet_ros.model.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from eunet_ros.model.common.command import (
    add_weight_defaults,
    check_new_file,
    make_parser,
    run_command,
)
from eunet_ros.model.common.errors import unknown
from eunet_ros.model.eunet import EUnet
import torch


def average(before: Checkpoint, after: Checkpoint, share: float) -> Checkpoint:
    """Return `after` with `share` of its weights and the rest of `before`; raises ValueError."""
    if not 0.0 <= share <= 1.0:
        raise ValueError(f'--share must be from 0 to 1, found {share:g}.')
    for what, one, two in (
            ('architecture', before.network.variant.to_dict(), after.network.variant.to_dict()),
            ('classes', ', '.join(before.classes.names), ', '.join(after.classes.names)),
            ('mean and std', (before.mean, before.std), (after.mean, after.std))):
        if one != two:
            raise ValueError(f'Expected weights that differ in nothing but their training, found '
                             f'the {what} {one} and {two}: choose weights of which one started '
                             'from the other.')
    old = before.network.state_dict()
    network = EUnet(after.classes.num_logits, after.network.variant).eval()
    network.load_state_dict({
        name: old[name].lerp(new, share) if new.is_floating_point() else new
        for name, new in after.network.state_dict().items()})
    told = {'weights': before.path.name if before.path else '', 'sha256': before.sha256,
            'share': 1.0 - share}
    return replace(after, network=network, training={**after.training, 'averaged with': told},
                   scores={}, path=None, sha256='')


def _bias(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = nan
    if not abs(value) <= 100.0:  # beyond, a float16 could overflow
        raise ValueError('--add-bias expects a class and a number of logits from -100 to 100, '
                         f'found {text!r}.')
    return value


def add_bias(checkpoint: Checkpoint, name: str, by: float) -> Checkpoint:
    """Return the weights with `by` added to the logit of class `name`; raises ValueError."""
    classes, network = checkpoint.classes, deepcopy(checkpoint.network)
    shifted = classes.names[-classes.num_logits:]  # one class has no logit of the background
    if name not in shifted:
        raise ValueError(unknown('class', name, shifted))
    with torch.no_grad():  # pixel_shuffle: all of a class are next to one another
        network.head.bias.view(classes.num_logits, -1)[shifted.index(name)] += by
    return replace(checkpoint, network=network, scores={}, path=None, sha256='',
                   training={**checkpoint.training, 'added bias': {name: by}})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = make_parser('Average weights from before and after a fine-tuning.')
    parser.add_argument('before', help='path or name of weights')
    parser.add_argument('after', help='path or name of those that were trained on from there')
    parser.add_argument('--share', type=float, default=0.5, help='of the second, 0 to 1')
    parser.add_argument('--add-bias', nargs=2, metavar=('CLASS', 'LOGITS'),
                        help='add so much to the logit of a class')
    add_weight_defaults(parser, 'those of the second')
    parser.add_argument('--float32', action='store_true', help='keep float32: twice the size')
    parser.add_argument('--output', type=Path, required=True, help='file to write: .safetensors')
    o = parser.parse_args(arguments)

    def work() -> None:
        check_new_file(o.output)
        mixed = average(load_checkpoint(o.before), load_checkpoint(o.after), o.share)
        if o.add_bias:
            mixed = add_bias(mixed, o.add_bias[0], _bias(o.add_bias[1]))
        mixed = mixed.with_defaults(o.input_size, o.strip_size, o.thresholds)
        save_checkpoint(o.output, mixed, not o.float32)
        print(f'Weights: {o.output}')
    return run_command('average', work)


if __name__ == '__main__':
    sys.exit(main())
