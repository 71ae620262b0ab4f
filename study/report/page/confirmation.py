"""The section on the best trials trained again: what the search's best values are worth."""

from typing import Any

import pandas as pd

from study.report.page.inputs import PageInputs, metric_label
from study.report.page.parts import (
    Cell,
    Section,
    Table,
    count,
    difference,
    p_value,
    shown_value,
)
from study.report.summary import INTERVAL


def confirmation_sections(inputs: PageInputs) -> list[Section]:
    """Return the section, if trials were trained again with another seed."""
    frame = inputs.table("confirmed")
    if frame.empty:
        return []
    metric = inputs.study.search.metric
    reading = (
        "What is best of many is in part best by luck: its value flatters it. The best trials were "
        "trained again with another seed, on the same folds, and that value is fair."
        f"{_ON_TEST if metric.reads_labels else ''} A trial that was stopped had the folds that "
        "stand beside it the first time, and all of them again."
    )
    head = ["trial", "folds", "validation", "again"]
    if metric.reads_labels:
        head += ["test", "again", "less the first tried", "p (Holm)"]
    is_error = not metric.reads_labels
    rows = [_row(row, is_error)[: len(head)] for _, row in frame.iterrows()]
    table = Table(head, rows, f"{metric_label(metric)}, means over folds")
    return [
        Section(
            "confirmed", "The best trials again", reading, [table], lede=_verdict(frame, is_error)
        )
    ]  # fmt: skip


_ON_TEST = (
    " On test, where nothing was chosen, each is compared with the settings that the search tried "
    "first, trained again as well."
)


def _row(row: "pd.Series[Any]", is_error: bool) -> list[Cell]:
    numbers = ("value", "confirmed_value", "test_value", "confirmed_test_value")
    compared = difference(row["difference"], row["low"], row["high"])
    values = [Cell(shown_value(row[name], is_error=is_error), "number") for name in numbers]
    again = [compared, Cell(p_value(row["p_holm"]), "number")]
    return [Cell(row["trial"]), count(row["folds"]), *values, *again]


def _verdict(frame: pd.DataFrame, is_error: bool) -> str:
    """Say whether the best trial is better than the first tried beyond chance."""
    best = frame.iloc[0]
    name, first = best["trial"], frame["against"].max()
    values = best["value"], best["confirmed_value"]
    value, again = (shown_value(each, is_error=is_error) for each in values)
    fell = f"{name} had {value}, and {again} again."
    if not first:
        return fell
    if not best["against"]:
        return f"{fell} The settings that were tried first are the best."
    by = f"{difference(best['difference']).text} on test"
    if best["p_holm"] != best["p_holm"]:
        return f"{fell} It is {by} from {first}; folds of one test set do not say how sure that is."
    if best["p_holm"] >= 1 - INTERVAL:
        return f"{fell} It cannot be told from {first}, the settings tried first ({by})."
    better = "better" if best["difference"] > 0 else "worse"
    return f"{fell} Beyond chance it is {better} than {first}, the settings tried first ({by})."
