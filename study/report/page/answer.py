"""The answer: what the best configuration, or every system, reaches on test."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from study.report.comparisons import corrected_p
from study.report.labels import in_words
from study.report.page.bars import Scale
from study.report.page.baseline import missing_simple_model
from study.report.page.inputs import Entry, PageInputs, metric_label, ranked, select
from study.report.page.normals import normals_section
from study.report.page.parts import (
    Cell,
    Section,
    Table,
    decimal,
    difference,
    format_setting,
    number,
    p_value,
    with_interval,
    with_note,
)
from study.report.paper.basis import BEST
from study.report.paper.names import composition_label, dataset_label, system_label
from study.report.paper.published import (
    Published,
    best_composition_published,
    published_number,
    published_numbers,
)
from study.report.summary import INTERVAL

PUBLISHED_METRICS = ("f1_weighted", "phi", "auroc_labels")
"""Metrics of the paper's table III."""
CONSTANT = "a constant answer"


def answer_section(inputs: PageInputs) -> Section:
    """Return the section that comes first."""
    if not inputs.has_abnormal:
        best = best_entry(inputs)
        return normals_section(inputs, best, list(_trained_with(best)) if inputs.is_search else [])
    tables = list(_search_tables(inputs) if inputs.is_search else _system_tables(inputs))
    published_datasets = {key.dataset for key in published_numbers()}
    notes = []
    if inputs.study.dataset.name not in published_datasets:
        notes.append(f"The paper has no numbers of {dataset_label(inputs.study.dataset.name)}.")
    elif inputs.protocols != ["paper"]:
        notes.append("The paper's numbers are of protocol paper, whatever stands beside them.")
    if unlike := best_entry(inputs).config.dataset.unlike_published:
        notes.append(f"Samples here are cut {unlike}; the paper’s are not.")
    if not inputs.is_search and not best_entry(inputs).metric.reads_labels:
        notes.append(
            "Systems are ranked by their error of normals, which each has in units of its own: of "
            "different models it does not say which is better."
        )
    reading = (
        "Means over folds on test, with the weights of the best validation epoch; under them "
        "95 % intervals, corrected for the training samples that folds share (Nadeau and "
        "Bengio 2003) and taken inside the metric’s range. In the bars a dot is the mean, a "
        "line its interval, a diamond the paper’s number, and the upright line what the "
        "better constant answer scores. Under each row stands what validation labels chose of "
        "it; only a row of which they chose nothing is one-class."
    )
    return Section("answer", _headline(inputs), reading, tables, notes=notes, lede=_lede(inputs),
                   caveat=missing_simple_model(inputs))  # fmt: skip


def _headline(inputs: PageInputs) -> str:
    best = best_entry(inputs)
    row = _row(inputs, best)
    if row is None:
        return f"{best.label}: {metric_label(best.metric)} is not defined"
    composition = composition_label(best.composition, best.latent_form)
    simple = ", a simple model," if best.fitted_once else ""
    mean = decimal(row["f1_weighted_mean"])
    how = "is best" if best.metric.reads_labels else "has the smallest error of normals"
    return f"{_capitalised(best.label)}{simple} {how}: weighted F₁ {mean} with {composition}"


def best_entry(inputs: PageInputs) -> Entry:
    """Return the best entry of the study's own protocol.

    Other protocols have other validation sets, so that numbers on them cannot be ranked together.
    """
    return ranked(inputs.entries)[0]


def _capitalised(label: str) -> str:
    """Return a name as the first word of a sentence; symbols such as β stay as they are."""
    return f"{label[0].upper()}{label[1:]}" if label[0].isascii() else label


def _lede(inputs: PageInputs) -> str:
    """Return what the headline leaves open: the interval, the best network, the paper."""
    best, trained = best_entry(inputs), inputs.drawn[0]
    row, sentences = _row(inputs, best), []
    if row is None:
        return ""
    low, high = row["f1_weighted_low"], row["f1_weighted_high"]
    if not math.isnan(low):
        sentences.append(f"Its interval is {decimal(low)} to {decimal(high)}.")
    if "vus_pr_mean" in row:
        sentences.append(f"Of points its VUS-PR is {decimal(row['vus_pr_mean'])}.")
    for entry in inputs.entries:
        other = _row(inputs, entry)
        if entry.label == best.label and entry.protocol != best.protocol and other is not None:
            mean = decimal(other["f1_weighted_mean"])
            sentences.append(f"Under protocol {entry.protocol} it scores {mean}.")
    network = _row(inputs, trained)
    if not trained.fitted_once and network is not None:
        mean = decimal(network["f1_weighted_mean"])
        if trained != best:
            sentences.append(f"The best network is {trained.label} with {mean}.")
        sentences += _beside_the_simple(inputs, trained)
    constant = inputs.scores[inputs.scores["trial"] == best.name]["f1_weighted_constant"].mean()
    sentences.append(f"The better constant answer scores {decimal(float(constant))}.")
    published_f1 = {
        key.system: published.mean for key, published in published_numbers().items()
        if (key.table, key.dataset, key.metric)
        == ("III", inputs.study.dataset.name, "f1_weighted")
    }  # fmt: skip
    if published_f1:
        system = max(published_f1, key=lambda name: published_f1[name])
        mean = f"{published_f1[system]:.3f}"
        sentences.append(f"The paper’s best is {system_label(system)} with {mean}.")
    chosen = f"On test, chosen on validation by {metric_label(best.metric)}. "
    return chosen + " ".join(sentences)


def _beside_the_simple(inputs: PageInputs, network: Entry) -> Iterator[str]:
    """Yield whether the best network wins against the best simple system, if there is one."""
    frame = inputs.table("comparisons")
    if frame.empty:
        return
    same = {f"first_{name}": value for name, value in network.key.items()}
    rows = select(frame, family="best_simple", epoch_rule=BEST, metric="f1_weighted", **same)
    for row in rows.to_dict("records"):
        simple, value = system_label(row["second_system"]), row["difference"]
        p = corrected_p(row)
        verb = "is not told apart from"
        if p <= 1 - INTERVAL:
            verb = "is ahead of" if value > 0 else "loses against"
        yield (
            f"{_capitalised(network.label)} {verb} the best simple system, {simple}"
            f" (difference {difference(value).text}, p {p_value(p)})."
        )


def _search_tables(inputs: PageInputs) -> Iterator[Table]:
    (best,) = inputs.entries
    yield _compositions(inputs, best)
    yield from _trained_with(best)


def _trained_with(best: Entry) -> Iterator[Table]:
    if best.record.trial.parameters:
        settings = [
            [Cell(key), Cell(format_setting(value), "number")]
            for key, value in best.record.trial.parameters.items()
        ]
        yield Table(["setting", "value"], settings, f"what {best.label} was trained with")


def _compositions(inputs: PageInputs, entry: Entry, *, folded: bool = False) -> Table:
    """Return every composition of a trial."""
    scale, system = Scale.covering(inputs, [entry]), _published_system(entry)
    rows = [row for _, row in inputs.trial_summary(entry.name).iterrows()]
    all_published = [_published(entry, system, *_key(row)) for row in rows]
    has_published = any(all_published)
    cells = []
    for row, published in zip(rows, all_published, strict=True):
        line = [_composition_cell(row), _mean(row, "f1_weighted")]
        if has_published:
            line += [_published_cell(published), _difference_cell(row, published)]
        metrics = (_mean(row, metric) for metric in ("phi", "auroc", "auroc_labels"))
        cells.append([*line, scale.bar(row, published), *metrics])
    head = ["composition", "weighted F₁"]
    head += ["the paper’s", "difference"] if has_published else []
    head += ["", "φ", "AUROC", "AUROC of labels"]
    own = (entry.composition, entry.latent_form)
    marked = frozenset(index for index, row in enumerate(rows) if _key(row) == own)
    caption = f"{entry.label}: every composition; the marked one is that of the study’s metric"
    if has_published:
        caption += f"; the paper’s numbers are of its {system_label(system)}"
    return Table(head, cells, caption, marked, folded)


def _system_tables(inputs: PageInputs) -> Iterator[Table]:
    for protocol in inputs.protocols:
        entries = ranked(entry for entry in inputs.entries if entry.protocol == protocol)
        yield _systems(inputs, protocol, entries)
        yield _matrix(inputs, protocol, entries)
        for entry in entries:
            yield _compositions(inputs, entry, folded=True)


def _systems(inputs: PageInputs, protocol: str, entries: Sequence[Entry]) -> Table:
    scale = Scale.covering(inputs, entries)
    head = ["system", "weighted F₁", "the paper’s", "", "φ", "the paper’s"]
    head += ["AUROC of labels", "the paper’s", "AUROC"]
    rows = [_system(inputs, entry, scale) for entry in entries]
    rows.append([Cell(CONSTANT), number(scale.constant)])
    rows = [[*row, *[Cell("")] * (len(head) - len(row))] for row in rows]
    caption = (
        f"protocol {protocol}: each system with its metric’s composition, ranked by the metric on "
        "validation; the paper’s numbers are of its own composition"
    )
    return Table(head, rows, caption, frozenset({0}))


def _system(inputs: PageInputs, entry: Entry, scale: Scale) -> list[Cell]:
    """Return a system's row: its numbers, each beside the paper's."""
    row = _row(inputs, entry)
    if row is None:
        return [with_note(entry.label, f"{metric_label(entry.metric)} is not defined")]
    dataset, name = inputs.study.dataset.name, str(row["system"])
    composition = best_composition_published(dataset, name) or ""
    f1, phi, labels = (
        published_number("III", dataset, name, composition, metric) for metric in PUBLISHED_METRICS
    )
    note = composition_label(entry.composition, entry.latent_form)
    note = f"{note}; simple model" if entry.fitted_once else note
    return [
        with_note(entry.label, f"{note}; {_labels_chose(row)}"),
        _mean(row, "f1_weighted"), _published_cell(f1), scale.bar(row, f1),
        _mean(row, "phi"), _published_cell(phi),
        _mean(row, "auroc_labels"), _published_cell(labels), _mean(row, "auroc"),
    ]  # fmt: skip


def _composition_cell(row: "pd.Series[Any]") -> Cell:
    return with_note(composition_label(*_key(row)), _labels_chose(row))


def _labels_chose(row: "pd.Series[Any]") -> str:
    return f"labels chose {in_words(str(row['labels_chose']))}"


def _published_cell(published: Published | None) -> Cell:
    return Cell(decimal(published.mean) if published else "", "number")


def _difference_cell(row: "pd.Series[Any]", published: Published | None) -> Cell:
    if published is None:
        return Cell("", "number")
    return difference(row["f1_weighted_mean"] - published.mean)


def _matrix(inputs: PageInputs, protocol: str, entries: Sequence[Entry]) -> Table:
    """Return weighted F1 by composition and system."""
    means = [
        {_key(row): float(row["f1_weighted_mean"])
         for _, row in inputs.trial_summary(entry.name).iterrows()}
        for entry in entries
    ]  # fmt: skip
    largest = [
        max((v for v in column.values() if not math.isnan(v)), default=0.0) for column in means
    ]
    rows = [
        [Cell(composition_label(*key))]
        + [_bold(column.get(key), most) for column, most in zip(means, largest, strict=True)]
        for key in dict.fromkeys(key for column in means for key in column)
    ]
    head = ["composition", *(entry.label for entry in entries)]
    return Table(head, rows, f"protocol {protocol}: weighted F₁ of every composition on test, "
                 "the largest of each system in bold")  # fmt: skip


def _mean(row: "pd.Series[Any]", metric: str) -> Cell:
    mean, low, high = (row[f"{metric}_{end}"] for end in ("mean", "low", "high"))
    return with_interval(mean, low, high)


def _bold(value: float | None, largest: float) -> Cell:
    if value is None or math.isnan(value):
        return Cell("", "number")
    cell = number(value)
    if value != largest:
        return cell
    return Cell(Markup("<b>{}</b>").format(cell.text), "number")


def _key(row: "pd.Series[Any]") -> tuple[str, str]:
    return row["composition"], row["latent_form"]


def _row(inputs: PageInputs, entry: Entry) -> "pd.Series[Any] | None":
    """Return an entry's row of the summary; None if its metric is undefined."""
    rows = select(inputs.summary, **entry.key).dropna(subset="f1_weighted_mean")
    return None if rows.empty else rows.iloc[0]


def _published_system(entry: Entry) -> str:
    """Return the paper's system that is nearest to a trial's model."""
    model = entry.config.model
    if model.name == "beta_vaegan":
        return "vaegan_1" if getattr(model, "beta", None) == 0 else "vaegan_2"
    return model.name


def _published(entry: Entry, system: str, composition: str, form: str) -> Published | None:
    # The paper does not state which form of L its svm_gamma had.
    if form not in ("", "implicit"):
        return None
    return published_number("II", entry.config.dataset.name, system, composition, "f1_weighted")
