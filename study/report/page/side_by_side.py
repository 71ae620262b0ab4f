"""The page of studies side by side."""

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np

from study.ledger.answer import ANSWER_RULE
from study.report.labels import in_words
from study.report.page.comparisons import paired_test_cells, paired_test_head
from study.report.page.parts import (
    NONE,
    Cell,
    Section,
    Table,
    count,
    format_setting,
    with_interval,
    with_note,
)
from study.report.page.render import render
from study.report.paper.names import composition_label, dataset_label, system_label
from study.report.side_by_side import MARK, Compared, SideBySide, different_settings

METRIC = "f1_weighted"
MOST_ROWS = 60
SHORT_HASH = 12


def comparison_page(comparison: SideBySide) -> str:
    """Return the page, HTML that needs no other file."""
    labels = [each.label for each in comparison.studies]
    datasets = dict.fromkeys(dataset_label(each.study.dataset.name) for each in comparison.studies)
    facts = [" and ".join(datasets), f"{len(labels)} studies"]
    sections = [
        _answers(comparison),
        _folds(comparison),
        _differences(comparison),
        _settings(comparison),
    ]
    return render(" beside ".join(labels), facts, sections)


def _answers(comparison: SideBySide) -> Section:
    """Return what each study answers with, the best on test first within the same folds."""
    letters = {
        (row["trial"], row["protocol"]): row["groups"]
        for row in comparison.groups.to_pylist()
        if row["metric"] == METRIC
    }
    tables = []
    for (protocol, split), labels in comparison.same.items():
        together = [each for each in comparison.studies if each.label in labels]
        rows = [row for each in together for row in _answer_rows(each, protocol, letters)]
        rows.sort(key=lambda row: -np.nan_to_num(row[0], nan=-1.0))
        head = ["", "composition", "weighted F₁", "φ", "AUROC", "groups"]
        caption = f"protocol {protocol}, folds {split[1][:SHORT_HASH]}"
        tables.append(Table(head, [cells for _, cells in rows], caption))
    return Section(
        "answers", _headline(comparison),
        "Each study answers with its best trial, or each of its systems, by the composition of its "
        "metric, chosen on validation; numbers are means over folds on test, under them 95 % "
        "intervals (Nadeau and Bengio 2003). Answers that share a letter are not told apart "
        "(weighted F₁, all pairs tested, 5 %, Holm); no letter means that nothing could be tested.",
        tables=tables,
    )  # fmt: skip


def _answer_rows(
    each: Compared, protocol: str, letters: Mapping[tuple[str, str], str]
) -> Iterator[tuple[float, list[Cell]]]:
    summary = each.summary.to_pandas()
    rows = summary[(summary["epoch_rule"] == ANSWER_RULE) & summary["of_metric"].astype(bool)]
    for row in rows[rows["protocol"] == protocol].to_dict("records"):
        name = f"{each.label}{MARK}{row['trial']}"
        label = with_note(
            f"{each.label}{MARK}{system_label(row['system']) or row['trial']}",
            f"{row['model']}; labels chose {in_words(row['labels_chose'])}",
        )
        metrics = (
            with_interval(*(row[f"{metric}_{end}"] for end in ("mean", "low", "high")))
            for metric in (METRIC, "phi", "auroc")
        )
        composition = composition_label(row["composition"], row["latent_form"])
        group = Cell(letters.get((name, protocol)) or NONE)
        yield row[f"{METRIC}_mean"], [label, Cell(composition), *metrics, group]


def _headline(comparison: SideBySide) -> str:
    if len(comparison.same) == 1:
        (labels,) = comparison.same.values()
        if len(labels) == len(comparison.studies):
            return "The same samples and the same folds: differences are paired"
    if all(len(labels) == 1 for labels in comparison.same.values()):
        return "Other samples or other folds: numbers stand side by side, no difference is tested"
    return "Some studies have the same samples and folds: their differences are paired"


def _folds(comparison: SideBySide) -> Section:
    rows = []
    for (protocol, split), labels in comparison.same.items():
        for each in (each for each in comparison.studies if each.label in labels):
            others = [label for label in labels if label != each.label]
            rows.append([
                Cell(each.label), Cell(dataset_label(each.study.dataset.name)), Cell(protocol),
                count(each.study.split.folds), Cell(split[0][:SHORT_HASH]),
                Cell(split[1][:SHORT_HASH]), Cell(", ".join(others) or "no other study"),
            ])  # fmt: skip
    head = ["", "dataset", "protocol", "folds", "samples (sha256)", "folds (sha256)", "shared with"]
    return Section(
        "folds", "The same folds or not",
        "Differences are taken fold by fold, and patient by patient or sample by sample, where "
        "samples and folds have the same hashes. Numbers on other test sets cannot be subtracted.",
        tables=[Table(head, rows)],
    )  # fmt: skip


def _differences(comparison: SideBySide) -> Section:
    frame = comparison.differences.to_pandas()
    frame = frame[frame["metric"] == METRIC]
    # Pairs within one study stand on its own page, as far as it names them.
    first, second = (
        frame[f"{side}_trial"].str.split(MARK, n=1).str[0] for side in ("first", "second")
    )
    across = frame[first != second] if len(frame) else frame
    across = across.sort_values("difference", ascending=False, kind="stable")
    systems = {
        f"{each.label}{MARK}{answer.record.name}": f"{each.label}{MARK}"
        f"{system_label(answer.record.trial.system) or answer.record.name}"
        for each in comparison.studies
        for answer in each.answers
    }
    rows = [_difference_row(row, systems) for row in across.head(MOST_ROWS).to_dict("records")]
    unit = next((str(name) for name in across["unit"] if name), "patient") if len(across) else ""
    notes = [] if rows else ["No two studies share samples and folds."]
    if len(across) > MOST_ROWS:
        notes.append(f"The largest {MOST_ROWS} of {len(across)} are shown; the table has all.")
    return Section(
        "differences", "Differences between studies",
        "Weighted F₁ on test, the first less the second, with p and interval corrected for all "
        "pairs (Holm). Over patients, or samples where no patient is known, is for other "
        "patients, with the models as they are (paired bootstrap); over folds is for another "
        "training (Nadeau and Bengio 2003), where folds have test sets of their own.",
        tables=[Table(paired_test_head(unit), rows)] if rows else [],
        notes=notes,
    )  # fmt: skip


def _difference_row(row: Mapping[Hashable, Any], systems: Mapping[str, str]) -> list[Cell]:
    first, second = (systems[row[f"{side}_trial"]] for side in ("first", "second"))
    return [Cell(f"{first} less {second}"), *paired_test_cells(row)]


def _settings(comparison: SideBySide) -> Section:
    rows = [
        [Cell(key), *(Cell(format_setting(value)) for value in values)]
        for key, values in different_settings(comparison.studies).items()
    ]
    head = ["setting", *(each.label for each in comparison.studies)]
    return Section(
        "settings", "What differs in their settings",
        "Settings of the study files that are not the same in all; a dash is a setting that a "
        "study does not have. What only the machine decides is left out.",
        tables=[Table(head, rows)] if rows else [],
        notes=[] if rows else ["Nothing."],
    )  # fmt: skip
