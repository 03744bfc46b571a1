# Copyright 2026 The eunet_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""How errors of other libraries are quoted."""


def one_line(error: BaseException | str) -> str:
    """Return the error's message on one line and without its full stop, to put into a sentence."""
    return ' '.join(str(error).split()).rstrip('.') or type(error).__name__


def sentence(error: BaseException) -> str:
    """Return the error's message on one line, ended by a full stop or its own question mark."""
    text = one_line(error)
    return text if text.endswith('?') else f'{text}.'
