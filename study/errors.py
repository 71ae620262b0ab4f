"""The two ways in which a command ends without its result, and errors in a line."""


class RequestError(Exception):
    """The request is wrong: exit code 2, a line for each problem, nothing was started or written.

    Its arguments are the problems. Each names what must hold, what was found and what to do.
    """

    def __str__(self) -> str:
        return "; ".join(map(str, self.args))


class StudyFailedError(Exception):
    """The study could not finish: exit code 1, what happened and how to continue."""


def one_line(error: BaseException) -> str:
    """Return the message of an error, of whatever library, without line breaks."""
    return " ".join(str(error).split())
