"""The page's sections on what labels chose, and by classes of heartbeats."""

import numpy as np
import pyarrow as pa
import pytest

from study.report.page import labels
from study.report.page.inputs import PageInputs
from study.report.page.labels import label_sections
from study.report.page.parts import Section, Table
from study.report.strata import CLINICAL_SCHEMA
from study.scores.clinical import KINDS, Beats, clinical_rows
from study.scores.decisions import Decisions
from tests.study.report.trained import Reported


def sections(made: Reported, tables: dict[str, pa.Table]) -> dict[str, Section]:
    records = PageInputs(made.study, (), {}, made.results).ledger.trials()
    inputs = PageInputs(made.study, list(records), tables, made.results)
    return {section.key: section for section in label_sections(inputs)}


def cells(table: Table) -> list[list[str]]:
    return [[str(cell.text) for cell in row] for row in table.rows]


def clinical_table(made: Reported) -> pa.Table:
    """Rows of every composition of every fold, of decisions that are drawn."""
    random = np.random.default_rng(0)
    kind = random.choice(np.array(KINDS), 200)
    beats = Beats.of(random.choice(np.array(["100", "232"]), 200), kind, np.full(200, 0.8))
    scores = made.report.tables["scores"]
    keys = ("study", "dataset", "protocol", "model", "system", "trial", *CLINICAL_SCHEMA.names[:4])
    label = (kind != "N").astype(np.int8)
    called = random.integers(0, 2, 200).astype(np.int8)
    counted = [
        vars(row) for row in clinical_rows(Decisions(label, called * 1.0, called), beats, ["232"])
    ]
    return pa.Table.from_pylist(
        [key | row for key in scores.select(keys).to_pylist() for row in counted]
    )


def test_a_search_says_that_no_row_is_one_class_and_what_labels_were_worth(
    searched: Reported,
) -> None:
    section = sections(searched, searched.report.tables)["labels"]
    assert section.notes == ["No row here is one-class: labels chose something of each."]
    (epochs,) = section.tables
    rules = [row[2] for row in cells(epochs)]
    assert rules == [
        "best on validation, by labels", "the last epoch", "least error of validation normals",
    ]  # fmt: skip
    assert cells(epochs)[0][4] == "+0.000"


def test_heartbeats_are_counted_together_without_a_record_and_record_by_record(
    searched: Reported,
) -> None:
    tables = searched.report.tables | {"clinical": clinical_table(searched)}
    together, by_record = sections(searched, tables)["clinical"].tables
    labels = [row[0] for row in cells(together)]
    assert [("without 232" in label) for label in labels] == [False] * 3 + [True] * 3
    assert {row[1] for row in cells(together)} == {"VEB", "SVEB", "abnormal"}
    assert by_record.folded
    assert [row[0] for row in cells(by_record)] == ["100"] * 3 + ["232"] * 3


def test_data_that_are_no_heartbeats_have_no_clinical_section(searched: Reported) -> None:
    assert "clinical" not in sections(searched, searched.report.tables)


@pytest.mark.slow
def test_rows_that_are_not_shown_are_counted_and_their_file_is_named(
    of_systems: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = of_systems.report.tables
    whole = sections(of_systems, tables)["labels"].tables[0]
    assert "more in" not in whole.caption
    monkeypatch.setattr(labels, "MOST_ROWS", 2)
    cut = sections(of_systems, tables)["labels"].tables[0]
    assert cells(cut) == cells(whole)[:2]
    assert cut.caption == f"{whole.caption}; {len(whole.rows) - 2} more in summary.parquet"
