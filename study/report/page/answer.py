"""The answer: what the best configuration, or every system, reaches on test."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from markupsafe import Markup

from study.report.page.bars import Scale
from study.report.page.parts import (
    Cell,
    Section,
    Table,
    difference,
    noted,
    number,
    setting,
    with_interval,
    written,
)
from study.report.page.source import Entry, Source, ranked
from study.report.paper.names import composition_label, dataset_label, system_label
from study.report.paper.published import (
    Place,
    Published,
    best_composition_published,
    published_numbers,
)

SAID = {"svm": "SVM"}
PAPERS = ("f1_weighted", "phi", "auroc_labels")
"""Metrics of the paper's table III."""
CONSTANT = "a constant answer"


def answer(source: Source) -> Section:
    """Return the section that comes first."""
    tables = list(_of_systems(source) if not source.is_search else _of_search(source))
    known = {place.dataset for place in published_numbers()}
    notes = []
    if source.study.dataset.name not in known:
        notes.append(f"The paper has no numbers of {dataset_label(source.study.dataset.name)}.")
    elif source.protocols != ["paper"]:
        notes.append("The paper's numbers are of protocol paper, whatever stands beside them.")
    if not any(entry.fitted_once for entry in source.entries):
        notes.append(
            "The study holds no simple model (pca, knn, ocsvm, isolation_forest); the better of "
            "the two constant answers is the only baseline here."
        )
    reading = (
        "Means over folds on test, with the weights of the best validation epoch; under them "
        "95 % intervals, corrected for the training samples that folds share (Nadeau and "
        "Bengio 2003) and cut to the metric’s range. In the bars a dot is the mean, a "
        "line its interval, a diamond the paper’s number, and the upright line what the "
        "better constant answer scores. “Labels” is what saw validation labels: none, "
        "a threshold, or an SVM."
    )
    return Section("answer", _headline(source), reading, tables, notes=notes, lede=_lede(source))


def _headline(source: Source) -> str:
    best = best_entry(source)
    row = _row(source, best)
    if row is None:
        return f"{best.label}: no composition is defined in every fold"
    what = composition_label(best.composition, best.latent_form)
    simple = ", a simple model," if best.fitted_once else ""
    mean = written(row["f1_weighted_mean"])
    return f"{_sentence(best.label)}{simple} is best: weighted F₁ {mean} with {what}"


def best_entry(source: Source) -> Entry:
    """Return the best entry of the study's own protocol.

    Validation sets of other protocols are other sets: numbers on them do not rank beside.
    """
    protocol = source.protocols[0]
    return ranked(entry for entry in source.entries if entry.protocol == protocol)[0]


def _sentence(label: str) -> str:
    """Return a name as a sentence begins with it; symbols such as β stay as they are."""
    return f"{label[0].upper()}{label[1:]}" if label[0].isascii() else label


def _lede(source: Source) -> str:
    """Say what the headline leaves open: the interval, the best network, the paper."""
    best, trained = best_entry(source), source.shown[0]
    row, said = _row(source, best), []
    if row is None:
        return ""
    low, high = row["f1_weighted_low"], row["f1_weighted_high"]
    if not math.isnan(low):
        said.append(f"Its interval is {written(max(low, 0.0))} to {written(min(high, 1.0))}.")
    for entry in source.entries:
        again = _row(source, entry)
        if entry.label == best.label and entry.protocol != best.protocol and again is not None:
            mean = written(again["f1_weighted_mean"])
            said.append(f"Under protocol {entry.protocol} it scores {mean}.")
    other = _row(source, trained)
    if trained != best and not trained.fitted_once and other is not None:
        said.append(
            f"The best network is {trained.label} with {written(other['f1_weighted_mean'])}."
        )
    constant = source.scores[source.scores["trial"] == best.name]["f1_weighted_constant"].mean()
    said.append(f"The better constant answer scores {written(float(constant))}.")
    published = {
        place.system: found.mean for place, found in published_numbers().items()
        if (place.table, place.dataset, place.metric)
        == ("III", source.study.dataset.name, "f1_weighted")
    }  # fmt: skip
    if published:
        system = max(published, key=lambda name: published[name])
        said.append(f"The paper’s best is {system_label(system)} with {published[system]:.3f}.")
    return "On test, chosen on validation. " + " ".join(said)


def _of_search(source: Source) -> Iterator[Table]:
    (best,) = source.entries
    yield _compositions(source, best)
    if best.record.trial.parameters:
        settings = [
            [Cell(key), Cell(setting(value), "number")]
            for key, value in best.record.trial.parameters.items()
        ]
        yield Table(["setting", "value"], settings, f"what {best.label} was trained with")


def _compositions(source: Source, entry: Entry, *, folded: bool = False) -> Table:
    """Return every composition of a trial."""
    scale, papers = Scale.of(source, [entry]), _papers_system(entry)
    rows = [row for _, row in source.of_trial(entry.name).iterrows()]
    published = [_published(entry, papers, *_key(row)) for row in rows]
    has_paper = any(published)
    cells = []
    for row, found in zip(rows, published, strict=True):
        line = [_decided(row), _mean(row, "f1_weighted")]
        if has_paper:
            line += [_papers(found), _less(row, found)]
        metrics = (_mean(row, metric) for metric in ("phi", "auroc", "auroc_labels"))
        cells.append([*line, scale.bar(row, found), *metrics])
    head = ["composition", "weighted F₁"]
    head += ["the paper’s", "difference"] if has_paper else []
    head += ["", "φ", "AUROC", "AUROC of labels"]
    own = (entry.composition, entry.latent_form)
    marked = frozenset(place for place, row in enumerate(rows) if _key(row) == own)
    caption = f"{entry.label}: every composition; the marked one is the best on validation"
    if has_paper:
        caption += f"; the paper’s numbers are of its {system_label(papers)}"
    return Table(head, cells, caption, marked, folded)


def _of_systems(source: Source) -> Iterator[Table]:
    for protocol in source.protocols:
        entries = ranked(entry for entry in source.entries if entry.protocol == protocol)
        yield _systems(source, protocol, entries)
        yield _matrix(source, protocol, entries)
        for entry in entries:
            yield _compositions(source, entry, folded=True)


def _systems(source: Source, protocol: str, entries: Sequence[Entry]) -> Table:
    scale = Scale.of(source, entries)
    head = ["system", "weighted F₁", "the paper’s", "", "φ", "the paper’s"]
    head += ["AUROC of labels", "the paper’s", "AUROC"]
    rows = [_system(source, entry, scale) for entry in entries]
    rows.append([Cell(CONSTANT), number(scale.constant)])
    rows = [[*row, *[Cell("")] * (len(head) - len(row))] for row in rows]
    caption = (
        f"protocol {protocol}: each system with its best composition, systems and compositions "
        "ranked by weighted F₁ on validation; the paper’s numbers are of its own composition"
    )
    return Table(head, rows, caption, frozenset({0}))


def _system(source: Source, entry: Entry, scale: Scale) -> list[Cell]:
    """Return a system's row: its numbers, each beside the paper's."""
    row = _row(source, entry)
    if row is None:
        return [noted(entry.label, "no composition is defined in every fold")]
    dataset, name = source.study.dataset.name, str(row["system"])
    papers = best_composition_published(dataset, name) or ""
    f1, phi, labels = (
        published_numbers().get(Place("III", dataset, name, papers, metric)) for metric in PAPERS
    )
    note = composition_label(entry.composition, entry.latent_form)
    note = f"{note}; simple model" if entry.fitted_once else note
    return [
        noted(entry.label, f"{note}; labels: {_seen(row)}"),
        _mean(row, "f1_weighted"), _papers(f1), scale.bar(row, f1),
        _mean(row, "phi"), _papers(phi), _mean(row, "auroc_labels"), _papers(labels),
        _mean(row, "auroc"),
    ]  # fmt: skip


def _decided(row: "pd.Series[Any]") -> Cell:
    return noted(composition_label(*_key(row)), f"labels: {_seen(row)}")


def _seen(row: "pd.Series[Any]") -> str:
    """Return what saw validation labels."""
    return str(SAID.get(row["supervision"], row["supervision"]))


def _papers(found: Published | None) -> Cell:
    return Cell(written(found.mean) if found else "", "number")


def _less(row: "pd.Series[Any]", found: Published | None) -> Cell:
    return difference(row["f1_weighted_mean"] - found.mean) if found else Cell("", "number")


def _matrix(source: Source, protocol: str, entries: Sequence[Entry]) -> Table:
    """Return weighted F1 by composition and system."""
    means = [
        {_key(row): float(row["f1_weighted_mean"])
         for _, row in source.of_trial(entry.name).iterrows()}
        for entry in entries
    ]  # fmt: skip
    largest = [max((v for v in each.values() if not math.isnan(v)), default=0.0) for each in means]
    rows = [
        [Cell(composition_label(*key))]
        + [_bold(each.get(key), most) for each, most in zip(means, largest, strict=True)]
        for key in dict.fromkeys(key for each in means for key in each)
    ]
    head = ["composition", *(entry.label for entry in entries)]
    return Table(head, rows, f"protocol {protocol}: weighted F₁ of every composition on test, "
                 "the largest of each system in bold")  # fmt: skip


def _mean(row: "pd.Series[Any]", metric: str) -> Cell:
    mean, low, high = (row[f"{metric}_{end}"] for end in ("mean", "low", "high"))
    return with_interval(mean, low, high, floor=-1.0 if metric == "phi" else 0.0)


def _bold(value: float | None, largest: float) -> Cell:
    if value is None or math.isnan(value):
        return Cell("", "number")
    cell = number(value)
    if value != largest:
        return cell
    return Cell(Markup("<b>{}</b>").format(cell.text), "number")


def _key(row: "pd.Series[Any]") -> tuple[str, str]:
    return row["composition"], row["latent_form"]


def _row(source: Source, entry: Entry) -> "pd.Series[Any] | None":
    """Return an entry's best composition's row of the summary."""
    frame = source.of_trial(entry.name)
    chosen = frame[
        (frame["composition"] == entry.composition) & (frame["latent_form"] == entry.latent_form)
    ]
    return None if chosen.empty else chosen.iloc[0]


def _papers_system(entry: Entry) -> str:
    """Return the paper's system that is nearest to a trial's model."""
    model = entry.config.model
    if model.name == "beta_vaegan":
        return "vaegan_1" if getattr(model, "beta", None) == 0 else "vaegan_2"
    return model.name


def _published(entry: Entry, system: str, composition: str, form: str) -> Published | None:
    # The paper does not say which form of L its svm_gamma had.
    if form not in ("", "implicit"):
        return None
    place = Place("II", entry.config.dataset.name, system, composition, "f1_weighted")
    return published_numbers().get(place)
