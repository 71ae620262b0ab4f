"""Comparisons of systems and compositions: the families of contrasts that a study names.

Two tests answer two questions. The one over folds holds for another training and another draw
of the samples, and needs folds with test sets of their own. The one over patients, or samples,
holds for other patients, with the models as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from study.config.comparisons import ComparisonSettings
from study.report.contrasts import Contrast, contrasts
from study.report.paired_tests import ROUNDING, PairedTest, fold_tests
from study.report.resampling import KEYS, Key, Resampled, Units, resampled
from study.report.summary import mean_and_deviation
from study.scores.settings import REPORTED_SCORES, metric_range

_TRIAL = ("study", "dataset", "protocol", "split_hash", "trial")
_COMPOSITION = ("composition", "latent_form")
_ENTRY = (*_TRIAL, "epoch_rule", *_COMPOSITION)
_NAMES = ("trial", "system", *_COMPOSITION)
_TEST = tuple(PairedTest.__dataclass_fields__)

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("family", "protocol", "epoch_rule", "metric")),
        *((f"{side}_{name}", pa.string()) for side in ("first", "second") for name in _NAMES),
        ("folds", pa.int64()),
        ("difference", pa.float64()),
        ("std", pa.float64()),
        *((f"fold_{name}", pa.float64()) for name in _TEST),
        ("unit", pa.string()),
        ("units", pa.int64()),
        *((f"unit_{name}", pa.float64()) for name in _TEST),
    ]
)
"""Columns of the comparisons."""

Float = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def comparisons_table(
    scores: pa.Table, units: Mapping[str, Units], settings: ComparisonSettings, seed: int
) -> pa.Table:
    """Test the contrasts of a study, fold by fold and over patients or samples.

    Args:
        scores: rows of `scores.parquet`.
        units: what is drawn, by protocol.
        settings: the study's families.
        seed: of the draws.

    Returns:
        A table of `SCHEMA`, a row per contrast and metric, family by family.

    Raises:
        ValueError: two rows of one trial, epoch rule, composition, latent form and fold.
    """
    if not scores.num_rows:
        return SCHEMA.empty_table()
    frame, entries = _entries(scores)
    compared = contrasts(entries, settings)
    if not compared:
        return SCHEMA.empty_table()
    numbers = sorted({n for each in compared for n in (each.first, each.second)})
    keys = _keys(entries)
    drawn = {
        protocol: resampled(own, [keys[n] for n in numbers], seed)
        for protocol, own in units.items()
    }
    values = {name: _by_fold(frame, name) for name in (*REPORTED_SCORES, "ratio")}
    corrected: dict[str, list[Contrast]] = {}
    for each in compared:
        corrected.setdefault(f"{each.family} {each.corrected}", []).append(each)
    tables = [_family(entries, keys, values, drawn, each) for each in corrected.values()]
    return pa.concat_tables([table for family in tables for table in family]).combine_chunks()


def mean_scores(scores: pa.Table) -> pd.DataFrame:
    """Return each entry's mean over folds of `REPORTED_SCORES`, with its names."""
    frame, entries = _entries(scores)
    means = {name: mean_and_deviation(_by_fold(frame, name))[0] for name in REPORTED_SCORES}
    return entries[["trial", "epoch_rule", *_COMPOSITION]].assign(**means)


def corrected_p(row: Mapping[Any, Any]) -> float:
    """Return the corrected p of a row: over units, or over folds where there is none."""
    over_units, over_folds = float(row["unit_p_holm"]), float(row["fold_p_holm"])
    return over_folds if np.isnan(over_units) else over_units


def _entries(scores: pa.Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return rows with the number of their entry, and a row per entry, for `contrasts`."""
    parameters = [name for name in scores.column_names if name.startswith("param.model.")]
    keys = [*_ENTRY, "system", "model", "of_metric", *parameters]
    numbers = ["fold", "validation_f1_weighted", *REPORTED_SCORES]
    frame = scores.select([*keys, *numbers]).to_pandas()
    frame["system"] = frame["system"].fillna("")
    with np.errstate(divide="ignore", invalid="ignore"):
        frame["ratio"] = scores["num_samples"].to_numpy() / scores["num_training"].to_numpy()
    frame["entry"] = frame.groupby(list(_ENTRY), sort=False, dropna=False).ngroup()
    if frame.duplicated(["entry", "fold"]).any():
        raise ValueError("every trial must have one row per fold and composition, found two")
    validation = frame.groupby("entry")["validation_f1_weighted"]
    means = validation.agg(lambda values: values.mean(skipna=False))
    entries = frame.drop_duplicates("entry").set_index("entry")
    return frame, entries.assign(validation=means)


def _by_fold(frame: pd.DataFrame, name: str) -> Float:
    """Return `(entries, folds)` of a column; nan where an entry has no such fold."""
    folds, fold = np.unique(frame["fold"].to_numpy(), return_inverse=True)
    values = np.full((frame["entry"].max() + 1, len(folds)), np.nan)
    values[frame["entry"], fold] = frame[name]
    return values


def _family(
    entries: pd.DataFrame,
    keys: Sequence[Key],
    values: Mapping[str, Float],
    drawn: Mapping[str, Resampled],
    together: list[Contrast],
) -> Iterator[pa.Table]:
    """Yield the rows of each metric of contrasts that are corrected together."""
    first = np.array([each.first for each in together])
    second = np.array([each.second for each in together])
    names: dict[str, Any] = _names(entries, first, second)
    names["family"] = [together[0].family] * len(first)
    protocol = str(entries["protocol"].loc[first[0]])
    own = drawn.get(protocol)
    ratio = (values["ratio"][first] + values["ratio"][second]) / 2
    for metric in REPORTED_SCORES:
        one, other = values[metric][first], values[metric][second]
        differences = one - other
        difference, std, over_folds = fold_tests(differences, ratio, protocol, metric)
        least, most = metric_range(metric)
        unit_errors = _unit_errors(keys, own, metric, together, difference)
        over_units = PairedTest.of(*unit_errors).cut(most - least)
        columns = names | {
            "metric": [metric] * len(first),
            "folds": (~np.isnan(differences)).sum(axis=1),
            "difference": difference,
            "std": std,
            **{f"fold_{name}": value for name, value in vars(over_folds).items()},
            "unit": [own.unit if own else ""] * len(first),
            "units": [own.size if own else 0] * len(first),
            **{f"unit_{name}": value for name, value in vars(over_units).items()},
        }
        yield pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _unit_errors(
    keys: Sequence[Key],
    own: Resampled | None,
    metric: str,
    together: list[Contrast],
    difference: Float,
) -> tuple[Float, Float, Float]:
    """Return differences, their standard errors over units, and degrees of freedom."""
    if own is None:
        nan = np.full(len(difference), np.nan)
        return difference, nan, nan
    error = np.array([own.error(metric, keys[each.first], keys[each.second]) for each in together])
    error[error < ROUNDING] = 0.0
    return difference, error, np.full(len(difference), own.size - 1.0)


def _keys(entries: pd.DataFrame) -> list[Key]:
    """Return the key of each entry."""
    trials, rules, compositions, forms = (entries[name].astype(str).tolist() for name in KEYS)
    return list(zip(trials, rules, compositions, forms, strict=True))


def _names(entries: pd.DataFrame, first: Index, second: Index) -> dict[str, Any]:
    columns = {name: entries[name].to_numpy(dtype=object) for name in (*_ENTRY, "system")}
    names = {name: columns[name][first] for name in ("protocol", "epoch_rule")}
    for side, index in (("first", first), ("second", second)):
        names |= {f"{side}_{name}": columns[name][index] for name in _NAMES}
    return names
