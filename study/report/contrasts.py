"""Which systems and compositions are compared, in families that a study names beforehand.

A test corrected for all pairs of everything rejects nothing. Here a family is one question.
What a system is compared by, and which simple system is the best, is chosen on validation.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from models import MODELS
from study.config.comparisons import ComparisonSettings, FamilyName

REFERENCE = "reconstruction"
"""The composition that others are compared with: R alone."""
_Family = Callable[[pd.DataFrame], Iterator[tuple[str, tuple[int, int]]]]
_SPLIT = ("study", "dataset", "protocol", "split_hash")
_MODEL = "param.model."


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
        entries: a row per trial, epoch rule, composition and latent form: these, `study`,
            `dataset`, `protocol`, `split_hash`, `system`, `model`, its settings as
            `param.model.<key>`, and `validation`, weighted F1 on validation as the mean over
            folds, nan where a fold has none. Rows are numbered by the index.
        settings: the study's families.
    """
    found = []
    groups = list(entries.groupby([*_SPLIT, "epoch_rule"], sort=False, dropna=False))
    for name in settings.families:
        for key, members in groups:
            pairs = _FAMILIES[name](members)
            found += [Contrast(name, f"{key} {group}", *pair) for group, pair in pairs]
    for name, named in settings.named.items():
        for key, members in groups:
            best = {str(row["system"]): int(number) for number, row in _best(members).iterrows()}
            pairs = [(best[a], best[b]) for a, b in named if a in best and b in best]
            found += [Contrast(name, str(key), *pair) for pair in pairs]
    return found


def generators_alone(systems: pd.DataFrame) -> Iterator[tuple[int, int]]:
    """Yield each adversarial system with its generator, trained without a discriminator.

    The two have the same values of all settings that both models have.

    Args:
        systems: rows of `entries`, one per system.
    """
    for number, row in systems.iterrows():
        generator = MODELS[row["model"]].generator if row["model"] in MODELS else ""
        for other, alone in systems[systems["model"] == generator].iterrows():
            if _same_settings(row, alone):
                yield int(number), int(other)
                break


def _best_simple(members: pd.DataFrame) -> Iterator[tuple[str, tuple[int, int]]]:
    systems = _best(members)
    simple = systems[[_is_simple(model) for model in systems["model"]]]
    if len(simple):
        best = int(simple["validation"].idxmax())
        yield from (("", (int(number), best)) for number in systems.index if number != best)


def _generator_alone(members: pd.DataFrame) -> Iterator[tuple[str, tuple[int, int]]]:
    yield from (("", pair) for pair in generators_alone(_best(members)))


def _composition(members: pd.DataFrame) -> Iterator[tuple[str, tuple[int, int]]]:
    for trial, rows in members.groupby("trial", sort=False):
        reference = rows.index[rows["composition"] == REFERENCE]
        for number in rows.index if len(reference) else ():
            if number != reference[0]:
                yield str(trial), (int(number), int(reference[0]))


def _all_systems(members: pd.DataFrame) -> Iterator[tuple[str, tuple[int, int]]]:
    yield from (("", pair) for pair in combinations(map(int, _best(members).index), 2))


_FAMILIES: Mapping[FamilyName, _Family] = {
    "best_simple": _best_simple,
    "generator_alone": _generator_alone,
    "reconstruction": _composition,
    "all_systems": _all_systems,
}


def _best(members: pd.DataFrame) -> pd.DataFrame:
    """Return each system's row that is the best on validation; trials of a search have none."""
    named = members[(members["system"] != "") & members["validation"].notna()]
    best = named.groupby("trial", sort=False)["validation"].idxmax()
    return named.loc[best.to_numpy(dtype=np.int64)]


def _is_simple(model: str) -> bool:
    return model in MODELS and MODELS[model].fitted_once


def _same_settings(one: "pd.Series[object]", other: "pd.Series[object]") -> bool:
    names = [name for name in one.index if name.startswith(_MODEL) and name != f"{_MODEL}name"]
    both = [name for name in names if pd.notna(one[name]) and pd.notna(other[name])]
    return all(one[name] == other[name] for name in both)
