# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""One engine at a time, for tests."""
from eunet_ros.model.engines import create_engines


def create_engine(name, checkpoint, options):
    """Build one engine; returns it and the sentences of those that failed before."""
    [engine], failures = create_engines(name, checkpoint, [options])
    return engine, failures
