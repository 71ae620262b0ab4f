"""The answer where no test sample is abnormal: how many normals each threshold calls abnormal."""

from collections.abc import Sequence

import pandas as pd

from study.report.page.inputs import Entry, PageInputs, select
from study.report.page.parts import Cell, Section, Table, count, decimal, number
from study.report.paper.basis import BEST
from study.report.paper.names import composition_label


def normals_section(inputs: PageInputs, best: Entry, tables: Sequence[Table]) -> Section:
    """Return the section that comes first.

    Args:
        inputs: a study whose test samples are all normal.
        best: the entry that it answers with.
        tables: these follow the shares of false alarms.
    """
    scores = best.config.scores
    notes = []
    if scores.quantile_of == "training":
        notes.append(
            "The thresholds are quantiles of normals that trained; those of other normals are "
            "larger. With scores.quantile_of: held_out they are of normals that did not train, and "
            "no more than what is meant is called abnormal, in the mean."
        )
    alarms = (_alarms(inputs, entry, is_best=entry == best) for entry in inputs.entries)
    return Section(
        "answer", f"{best.label}, chosen without labels{_share_of(inputs, best)}",
        "Means over folds on test, with the weights of the best validation epoch. A threshold is "
        f"the {scores.quantile:g} quantile of normals.",
        tables=[*(table for table in alarms if table.rows), *tables],
        notes=notes,
        lede="No test sample is abnormal, so that there is no F₁, φ or AUROC. Epochs and trials "
        "are chosen by the mean error of validation normals.",
    )  # fmt: skip


def _share_of(inputs: PageInputs, entry: Entry) -> str:
    """Return what share of test normals the entry's own threshold calls abnormal, in words."""
    own = _shares(inputs, entry).get((entry.composition, entry.latent_form))
    if own is None:
        return ""
    promised = decimal(1 - entry.config.scores.quantile)
    return f": it calls {decimal(float(own.mean()))} of test normals abnormal, {promised} is meant"


def _alarms(inputs: PageInputs, entry: Entry, *, is_best: bool) -> Table:
    shares = _shares(inputs, entry)
    rows = [
        [
            Cell(composition_label(*key)),
            number(float(share.mean())),
            number(float(share.max())),
            number(1 - entry.config.scores.quantile),
            count(len(share)),
        ]
        for key, share in shares.items()
    ]
    own = (entry.composition, entry.latent_form)
    marked = frozenset(index for index, key in enumerate(shares) if key == own)
    caption = (
        f"{entry.label}: share of test normals that are called abnormal; the marked row is of the"
        " study’s metric"
    )
    head = ["composition", "mean over folds", "most of a fold", "meant", "folds"]
    return Table(head, rows, caption, marked, folded=not is_best)


def _shares(inputs: PageInputs, entry: Entry) -> dict[tuple[str, str], "pd.Series[float]"]:
    """Return the share of each fold by composition and form of L."""
    frame = inputs.table("strata")
    if frame.empty:  # only completed trials have decisions by stratum
        return {}
    chosen = select(frame, trial=entry.name, epoch_rule=BEST, stratum="kind")
    shares = {}
    for (composition, form), part in chosen.groupby(["composition", "latent_form"], sort=False):
        counts = part.groupby("fold")[["false_alarms", "normal"]].sum()
        shares[str(composition), str(form)] = counts["false_alarms"] / counts["normal"]
    return shares
