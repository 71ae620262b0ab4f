"""What installed packages add to the tables of models, datasets and compositions.

A package names it in an entry point, `[project.entry-points."study.models"]` of its
`pyproject.toml`, as `name = "module:object"`.
"""

import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar, cast

GROUPS = ("study.models", "study.datasets", "study.compositions")

Entry = TypeVar("Entry")


def extended(table: Mapping[str, Entry], group: str, kind: type) -> dict[str, Entry]:
    """Return a table with what installed packages add; what cannot be added is warned of.

    Args:
        table: the table's own entries; no other takes their names.
        group: of entry points, "study.models" and the like.
        kind: the class of the table's entries.
    """
    added = dict(table)
    for point in _points(group):
        try:
            if point.name in added:
                raise TypeError("the name is taken")
            entry = point.load()
            if not isinstance(entry, kind):
                raise TypeError(f"expected a {kind.__name__}, found {type(entry).__name__}")
        except Exception as error:  # whatever a package of other people raises
            where = f"{group} {point.name} of {_package(point)} ({point.value})"
            warnings.warn(f"{where} is left out: {error}", stacklevel=2)
        else:
            added[point.name] = cast(Entry, entry)
    return added


def extending_packages(*groups: str) -> dict[str, str]:
    """Return the versions of the packages that add to tables, by name."""
    points = [point for group in groups for point in _points(group)]
    return {point.dist.name: point.dist.version for point in points if point.dist is not None}


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=group), key=lambda point: (point.name, point.value)))


def _package(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown package"
