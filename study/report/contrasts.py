"""Which systems and compositions are compared, in families that a study names beforehand.

A test corrected for all pairs of everything rejects nothing. Here a family is one question.
A system is compared by its metric's composition, which was named beforehand, so that a network
and a simple model are compared by compositions of their own; which simple system is the best is
chosen on validation.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, islice
from typing import Any

import pandas as pd

from models import MODELS, is_fitted_once
from study.config.comparisons import ComparisonSettings, FamilyName

REFERENCE = "reconstruction"
"""The composition that others are compared with: R alone."""
_SPLIT = ("study", "dataset", "protocol", "split_hash")
_MODEL = "param.model."

Pair = tuple[int, int]
"""Numbers of two entries, the second of which is subtracted."""


@dataclass(frozen=True)
class Contrast:
    """Two entries of a table, of the same folds.

    Attributes:
        family: the question.
        corrected: contrasts with the same value are corrected together.
        first: number of the one.
        second: number of the other, which is subtracted.
    """

    family: str
    corrected: str
    first: int
    second: int


def contrasts(entries: pd.DataFrame, settings: ComparisonSettings) -> list[Contrast]:
    """Return what a study compares, family by family.

    Args:
        entries: a row per trial, epoch rule, composition and latent form, numbered from 0 by
            its index: these, `study`, `dataset`, `protocol`, `split_hash`, `system`, `model`,
            its settings as `param.model.<key>`, `of_metric`, and `validation`: weighted F1 on
            validation, the mean over folds, nan where a fold has none.
        settings: the study's families.
    """
    groups = [rows for _, rows in entries.groupby([*_SPLIT, "epoch_rule"], sort=False)]
    compared = []
    for family in settings.families:
        for group, members in enumerate(groups):
            parts = _FAMILIES[family](members)
            compared += [Contrast(family, f"{group} {part}", *pair) for part, pair in parts]
    for name, named in settings.named.items():
        for group, members in enumerate(groups):
            systems = _systems(members)
            number = dict(zip(systems["system"], _numbers(systems), strict=True))
            pairs = [(number[a], number[b]) for a, b in named if a in number and b in number]
            compared += [Contrast(name, str(group), *pair) for pair in pairs]
    return compared


def _best_simple(members: pd.DataFrame) -> Iterator[tuple[str, Pair]]:
    """Yield each system with the simple one that is the best on validation."""
    systems = _systems(members)
    simple = systems[[is_fitted_once(model) for model in systems["model"]]]
    if len(simple):
        best = _numbers(simple)[int(simple["validation"].to_numpy().argmax())]
        yield from (("", (number, best)) for number in _numbers(systems) if number != best)


def _generator_alone(members: pd.DataFrame) -> Iterator[tuple[str, Pair]]:
    """Yield each adversarial system with its generator, trained without a discriminator.

    The two have the same values of all settings that both models have.
    """
    rows = _systems(members)
    systems = list(zip(_numbers(rows), rows.to_dict("records"), strict=True))
    for number, row in systems:
        generator = MODELS[row["model"]].generator if row["model"] in MODELS else ""
        alone = (o for o, other in systems if other["model"] == generator and _same(row, other))
        yield from (("", (number, other)) for other in islice(alone, 1))


def _reconstruction(members: pd.DataFrame) -> Iterator[tuple[str, Pair]]:
    """Yield each composition of a trial with R alone; each trial is corrected for itself."""
    for trial, rows in members.groupby("trial", sort=False):
        references = _numbers(rows[rows["composition"] == REFERENCE])
        for number in _numbers(rows) if references else ():
            if number != references[0]:
                yield str(trial), (number, references[0])


def _all_systems(members: pd.DataFrame) -> Iterator[tuple[str, Pair]]:
    yield from (("", pair) for pair in combinations(_numbers(_systems(members)), 2))


_FAMILIES: Mapping[FamilyName, Callable[[pd.DataFrame], Iterator[tuple[str, Pair]]]] = {
    "best_simple": _best_simple,
    "generator_alone": _generator_alone,
    "reconstruction": _reconstruction,
    "all_systems": _all_systems,
}
"""Functions of the rows of one protocol and epoch rule: what is corrected together, and pairs."""


def _systems(members: pd.DataFrame) -> pd.DataFrame:
    """Return each system's row of its metric, if it is defined; trials of a search have none."""
    named = (members["system"] != "") & members["of_metric"].astype(bool)
    return members[named & members["validation"].notna()]


def _numbers(rows: pd.DataFrame) -> list[int]:
    return [int(number) for number in rows.index.to_numpy()]


def _same(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    names = [str(name) for name in one if str(name).startswith(_MODEL)]
    both = [name for name in names if pd.notna(one[name]) and pd.notna(other[name])]
    return all(one[name] == other[name] for name in both if name != f"{_MODEL}name")
