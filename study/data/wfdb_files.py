"""What WFDB records of every database have in common: names of their leads, and errors."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from study.errors import RequestError, one_line

Leads = Literal["first", "both"] | Annotated[tuple[str, ...], Field(min_length=1)]
"""Signals of a record that are read: the first, the first two, or those of these names."""


def signal_names(path: Path) -> list[str]:
    """Return the names of a record's signals, in their order.

    Raises:
        RequestError: the header is damaged.
    """
    import wfdb

    try:
        return [str(name) for name in wfdb.rdheader(str(path)).sig_name]
    # wfdb has no error class of its own: a damaged file surfaces as almost any.
    except Exception as error:
        raise damaged_record(path, error_line(error)) from error


def lead_indices(path: Path, leads: Leads) -> list[int] | None:
    """Return which signals of a record `leads` means; None if one of them is not there."""
    if leads == "first":
        return [0]
    names = signal_names(path)
    if leads == "both":
        return [0, 1] if len(names) > 1 else None
    return [names.index(lead) for lead in leads] if set(leads) <= set(names) else None


def channel_names(leads: Leads) -> tuple[str, ...]:
    """Return the names of a sample's channels; those of `both` differ between records."""
    named = {"first": (), "both": ("first", "second")}
    return named[leads] if isinstance(leads, str) else leads


def error_line(error: Exception) -> str:
    """Return an error of wfdb in one line."""
    return f"{type(error).__name__}: {one_line(error)}"


def damaged_record(path: Path, problem: str) -> RequestError:
    """Return the error of a record with a damaged file."""
    return RequestError(
        f"{path}: expected a WFDB record (.hea, .dat, .atr), found {problem}: replace its files"
    )
