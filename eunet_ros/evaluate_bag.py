# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The command `python -m eunet_ros.evaluate_bag`; its code is in evaluation/__main__.py."""
from eunet_ros.evaluation.__main__ import main

if __name__ == '__main__':
    raise SystemExit(main())
