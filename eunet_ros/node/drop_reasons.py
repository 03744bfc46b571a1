# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The reasons for dropping an image, as a table: all counts and log texts follow from it."""
from __future__ import annotations

from enum import Enum

from eunet_ros.images.conversions import ConversionError
from eunet_ros.model.engines import EngineError

# Meaning for the node's health: replaced by a newer image, failed, or not wanted.
REPLACED, FAILED, UNWANTED = 'replaced', 'failed', 'unwanted'


class DropReason(Enum):
    """words: for the log. group: one of the above. errors: exceptions that are counted as it."""

    NEWER = 'a newer image arrived while it waited', REPLACED
    BAD = ('its message is damaged or of an encoding that is not supported', FAILED,
           ConversionError)
    ENGINE = 'the engine failed', FAILED, EngineError
    INTERNAL = 'an error of this package', FAILED   # any other exception
    UNWATCHED = 'nobody subscribes to an output', UNWANTED
    DISABLED = 'the node is disabled', UNWANTED
    STOPPED = 'the node is stopping', UNWANTED

    def __init__(self, words: str, group: str, *errors: type[Exception]) -> None:
        self.words, self.group, self.errors = words, group, errors

    @property
    def counter(self) -> str:
        """Return the name of its count in diagnostics."""
        return f'dropped_{self.name.lower()}'

    @classmethod
    def of(cls, error: Exception) -> DropReason:
        """Return the reason for dropping an image after an error."""
        return next((reason for reason in cls if isinstance(error, reason.errors)), cls.INTERNAL)
