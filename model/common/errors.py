# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How errors are quoted, and how those of our own are logged."""
from __future__ import annotations

from collections.abc import Callable, Collection
import difflib
import traceback
from typing import Any


class EngineError(RuntimeError):
    """An engine that cannot run here: its library is missing, or it failed to build or infer."""


def one_line(error: BaseException | str) -> str:
    """Return the error's message on one line and without its full stop, to put into a sentence."""
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__


def sentence(error: BaseException) -> str:
    """Return the error's message on one line, ended by a full stop or its own question mark."""
    text = one_line(error)
    return text if text.endswith('?') else f'{text}.'


def unknown(what: str, name: object, known: Collection[str]) -> str:
    """Return the error of an unknown name, with the nearest one."""
    return f'Unknown {what} {name!r}, expected one of {", ".join(known)}{nearest(name, known)}'


def nearest(name: object, known: Collection[str]) -> str:
    """Return the end of a sentence that proposes the nearest known name, a full stop for none."""
    near = difflib.get_close_matches(str(name), known, 1)
    return f'; did you mean {near[0]}?' if near else '.'


class TracebackLog:
    """Logs the traceback of unexpected exceptions, once for each line of code and action."""

    def __init__(self, log: Callable[[str], Any]) -> None:
        self._log = log
        self._known: set[tuple[str, type, str, int]] = set()

    def add(self, doing: str, error: BaseException) -> None:
        """Log an exception; doing: what was done, such as 'publishing overlay'."""
        frames = traceback.extract_tb(error.__traceback__)
        last = frames[-1] if frames else None
        place = doing, type(error), last.filename if last else '', last.lineno if last else 0
        if place not in self._known:
            self._known.add(place)
            lines = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
            self._log(f'Unexpected error while {doing}:\n{lines}')
