"""Groups of systems that cannot be told apart, in place of ranks."""

from collections.abc import Iterable, Sequence

import pandas as pd
import pyarrow as pa

from study.report.summary import INTERVAL

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("protocol", "epoch_rule", "metric", "trial", "system")),
        *((name, pa.string()) for name in ("composition", "latent_form")),
        ("mean", pa.float64()),
        ("groups", pa.string()),
    ]
)
"""Columns of the groups."""

_FAMILY = ("protocol", "epoch_rule", "metric")
_NAMES = ("trial", "system", "composition", "latent_form")


def groups_table(comparisons: pa.Table, means: pd.DataFrame) -> pa.Table:
    """Return `groups.parquet`: systems by mean, with the letters of the groups that each is in.

    Two systems that share a letter cannot be told apart; two that share none can, at 5 %,
    corrected for all pairs.

    Args:
        comparisons: `comparisons.parquet`, of which the family `all_systems` is read; the
            test over patients or samples counts where there is one, else that over folds.
        means: a row per trial, epoch rule, composition and latent form, with each metric.
    """
    frame = comparisons.filter(pa.compute.equal(comparisons["family"], "all_systems")).to_pandas()
    keyed = means.set_index(["trial", "epoch_rule", "composition", "latent_form"])
    rows = []
    for family, pairs in frame.groupby(list(_FAMILY), sort=False):
        sides = (pairs[[f"{side}_{n}" for n in _NAMES]] for side in ("first", "second"))
        named = pd.concat([side.set_axis(_NAMES, axis=1) for side in sides]).drop_duplicates()
        protocol, rule, metric = family
        key = [(r.trial, rule, r.composition, r.latent_form) for r in named.itertuples()]
        named = named.assign(mean=[float(keyed.loc[each, metric]) for each in key])
        named = named.sort_values("mean", ascending=False, kind="stable", ignore_index=True)
        number = {trial: position for position, trial in enumerate(named["trial"])}
        p = pairs["unit_p_holm"].fillna(pairs["fold_p_holm"])
        apart = pairs[p <= 1 - INTERVAL]
        different = [
            (number[a], number[b])
            for a, b in zip(apart["first_trial"], apart["second_trial"], strict=True)
        ]
        letters = letters_of(len(named), different) if p.notna().any() else [""] * len(named)
        kept = {"protocol": protocol, "epoch_rule": rule, "metric": metric}
        rows += [
            {**kept, **row, "groups": letter}
            for row, letter in zip(named.to_dict("records"), letters, strict=True)
        ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def letters_of(items: int, different: Iterable[tuple[int, int]]) -> list[str]:
    """Return the letters of each of `items`: a compact letter display.

    Insert and absorb (Piepho 2004): every two items share a letter, unless they differ. Letters
    are given in the order of the items; after z come aa, ab and so on.

    Args:
        items: how many there are.
        different: pairs that differ.
    """
    columns = [frozenset(range(items))] if items else []
    for first, second in different:
        split = [column for column in columns if {first, second} <= column]
        columns = [column for column in columns if column not in split]
        parts = [column - {item} for column in split for item in (first, second)]
        columns = _absorbed([*columns, *parts])
    columns.sort(key=sorted)
    return [
        " ".join(_letter(number) for number, column in enumerate(columns) if item in column)
        for item in range(items)
    ]


def _absorbed(columns: Sequence[frozenset[int]]) -> list[frozenset[int]]:
    """Return the columns that no other one holds."""
    distinct = list(dict.fromkeys(columns))
    return [column for column in distinct if not any(column < other for other in distinct)]


def _letter(number: int) -> str:
    first, second = divmod(number, 26)
    return (chr(ord("a") + first - 1) if first else "") + chr(ord("a") + second)
