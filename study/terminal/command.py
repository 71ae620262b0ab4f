"""What every command of the program shares: exit codes, and errors of a line each."""

import os
import sys
from typing import NoReturn

import typer
from typer.exceptions import TyperException

from study.errors import RequestError, StudyFailedError

REQUEST_WRONG = 2
NOT_FINISHED = 1
INTERRUPTED = 130


class Command(typer.Typer):
    """A command line whose errors are a line each.

    As a program of its own (`study-run`) it can install completion for the user's shell;
    a shell cannot complete what follows `python -m`.
    """

    def __init__(self, description: str) -> None:
        super().__init__(
            help=description,
            add_completion=not sys.argv[0].endswith(".py"),
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
        )

    def main(self, continuing: str = "") -> int:
        """Run the command; return its exit code.

        0 done; 2 the request is wrong; 1 it could not finish; 130 interrupted.

        Args:
            continuing: the command that continues this one, if it can be continued.
        """
        try:
            result = typer.main.get_command(self).main(standalone_mode=False)
        except RequestError as error:
            for problem in error.args:
                _print_line(str(problem), REQUEST_WRONG)
            return REQUEST_WRONG
        except TyperException as error:
            return _print_line(error.format_message(), REQUEST_WRONG)
        except typer.Exit as exit_:
            return exit_.exit_code
        except (StudyFailedError, OSError) as error:
            return _print_line(f"{error}{_continue(continuing)}", NOT_FINISHED)
        if result == INTERRUPTED:  # typer's answer to Ctrl-C
            return _print_line(f"interrupted{_continue(continuing)}", INTERRUPTED)
        return result if isinstance(result, int) else 0


def refuse_options(why: str, **options: object) -> None:
    """Refuse options that do not fit the rest of the request.

    Raises:
        RequestError: one is set; the message has its name and `why`.
    """
    for name in (name for name, value in options.items() if value):
        raise RequestError(f"--{name.replace('_', '-')}: {why}")


def give_up(why: str, continuing: str) -> NoReturn:
    """End the process at once, as one that could not finish.

    For a thread that sees what the main one, in a call that may not return, does not.
    """
    sys.stdout.flush()
    code = _print_line(f"{why}{_continue(continuing)}", NOT_FINISHED)
    sys.stderr.flush()
    os._exit(code)


def _continue(command: str) -> str:
    return f"; continue with: {command}" if command else ""


def _print_line(message: str, code: int) -> int:
    sys.stderr.write(" ".join(message.split()) + "\n")
    return code
