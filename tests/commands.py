"""The commands called in this process, which saves the start of another."""

import contextlib
import io
import sys
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True)
class Answer:
    """What a command answered: its exit code, and what it wrote to each stream."""

    code: int
    output: str
    errors: str


def call(app: Any, *arguments: str) -> Answer:
    """Call a command as its `main` is called."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["study", *arguments])
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = app.main()
    return Answer(code, output.getvalue(), errors.getvalue())
