# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the package's own files are, from a checkout, pip or colcon."""
from pathlib import Path

DEFAULT_WEIGHTS = 'eunet_n'
WEIGHTS_DIR = Path(__file__).resolve().parents[1] / 'weights'


def share_file(relative: str) -> Path:
    """Return a file of the checkout or of <prefix>/share/eunet_ros; raises FileNotFoundError."""
    # Unresolved and resolved: a symlink install reaches the checkout through the links only.
    for start in (Path(__file__).absolute(), Path(__file__).resolve()):
        for parent in start.parents:
            for candidate in (parent / relative, parent / 'share' / 'eunet_ros' / relative):
                if candidate.is_file():
                    return candidate
    raise FileNotFoundError(
        f'{relative} of eunet_ros was not found above {Path(__file__).parents[1]}: '
        'the installation is incomplete, install the package again.')
