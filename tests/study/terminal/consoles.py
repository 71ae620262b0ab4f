"""A console that is a log file, or a terminal, and what was written to it."""

import io

from rich.console import Console

from study.terminal.progress import LOG_WIDTH


def log(is_terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), width=LOG_WIDTH, force_terminal=is_terminal)


def lines(console: Console) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()
