# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Quoting of errors, and the log of unexpected ones."""
from __future__ import annotations

from collections.abc import Callable, Collection
import difflib
import traceback
from typing import Any


class EngineError(RuntimeError):
    """An engine cannot run: its library is missing, or building or inference failed."""


def one_line(error: BaseException | str) -> str:
    """Return the message of an error on one line, without its full stop."""
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__


def sentence(error: BaseException | str) -> str:
    """Return an error as a sentence on one line, with a full stop or its question mark."""
    text = one_line(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        text = f'Cannot use {error.filename}: {error.strerror}'
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
        self._known: set[tuple[Any, ...]] = set()

    def add(self, doing: str, error: BaseException) -> None:
        """Log an exception; doing: what was done, such as 'publishing overlay'."""
        last = [(f.filename, f.lineno) for f in traceback.extract_tb(error.__traceback__)[-1:]]
        place = doing, type(error), *last
        if place not in self._known:
            self._known.add(place)
            lines = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
            self._log(f'Unexpected error while {doing}:\n{lines}')
