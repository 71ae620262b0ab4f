"""The two ways in which a command ends without its result, and errors in a line."""


class RequestError(Exception):
    """The request is wrong: exit code 2, one line, nothing was started or written.

    The message names what must hold, what was found and what to do.
    """


class StudyFailedError(Exception):
    """The study could not finish: exit code 1, what happened and how to continue."""


def one_line(error: BaseException) -> str:
    """Return the message of an error, of whatever library, without line breaks."""
    return " ".join(str(error).split())
