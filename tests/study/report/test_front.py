"""What folds measure of a search's metrics, and the page's front."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from study.config.schema import Study
from study.config.study_file import check_study
from study.ledger.fold_files import TIMINGS, WEIGHTS, read_history, read_json
from study.ledger.ledger import Ledger
from study.report.front import front_table
from study.report.page import charts
from study.report.page.front import front_sections
from study.report.page.inputs import PageInputs
from study.search.trial import TrialRecord
from study.storage.folder import LocalFolder
from tests.study.report.trained import PARTS, trained
from tests.study.search.searches import BETA, searching
from tests.study.trials import record_of, trial_of

METRICS = ["phi", "auroc", "microseconds", "parameters", "bytes"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Any:
    search = {
        "trials": 3,
        "metric": {"composition": "reconstruction"},
        "space": {"model.components": {"int": [1, 12]}},
        "metrics": METRICS,
    }
    content = {**PARTS, "name": "s", "model": {"name": "pca"}, "training": {}, "search": search}
    study = check_study(content, "s")
    trials = [trial_of(study, n, {"model.components": size}) for n, size in enumerate((2, 5, 9))]
    return study, trained(Path(tmp_path_factory.mktemp("front")), study, trials)


def test_a_trial_has_what_its_folds_measured(measured: Any) -> None:
    _, results = measured
    ledger = Ledger(results.folder("ledger"))
    for record in ledger.trials():
        manifests = [ledger.fold(address) for address in record.trial.folds]
        rows = [read_history(ledger, m)[-1] for m in manifests if m]
        weights = [ledger.read(m, WEIGHTS) for m in manifests if m]
        stored = [sum(a.size for a in safetensors.numpy.load(each).values()) for each in weights]
        timings = [read_json(ledger, m, TIMINGS)["score_microseconds"] for m in manifests if m]
        assert min(timings) > 0
        assert record.objectives == pytest.approx(
            {
                "phi": np.mean([row["phi"] for row in rows]),
                "auroc": np.mean([row["auroc"] for row in rows]),
                "microseconds": np.mean(timings),
                "parameters": np.mean(stored),
                "bytes": np.mean([len(each) for each in weights]),
            }
        )
    sizes = [record.objectives["parameters"] for record in ledger.trials()]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_the_page_shows_the_front(measured: Any) -> None:
    study, results = measured
    records: list[TrialRecord] = Ledger(results.folder("ledger")).trials()
    table = front_table(records, study.search)
    with charts.page_style():
        (section,) = front_sections(PageInputs(study, records, {"front": table}, results))
    assert len(section.tables[0].rows) == sum(table["on_front"].to_pylist())
    assert len(section.pictures) == len(METRICS) + 1
    sizes = [record.objectives["bytes"] for record in records]
    shown = {cells[-1].text for cells in section.tables[0].rows}
    assert shown <= {f"{round(size):,}" for size in sizes}
    assert not front_sections(PageInputs(study, records, {}, results))


ENDED = {4: (0.25, 25), 2: (0.5, 15), 1: (0.0, 10), 3: (0.75, 20), 0: (1.0, 30)}
"""Metric and bytes by trial, in the order in which they ended."""


@pytest.fixture
def hand_worked() -> tuple[Study, list[TrialRecord]]:
    """Trials by number; the best of all were stopped, or are repetitions."""
    study = searching(BETA, metrics=["bytes"])
    parameters = {"model.beta": 0.01}
    records = []
    for order, (number, (value, size)) in enumerate(ENDED.items()):
        record = record_of(trial_of(study, number, parameters), values=[(2, value)])
        records.append(replace(record, completion_order=order, objectives={"bytes": size}))
    best = replace(records[-1], values=[(2, 2.0)], objectives={"bytes": 1})
    stopped = trial_of(study, 5, parameters)
    again = trial_of(study, 0, parameters, is_repetition=True)
    records += [replace(best, trial=stopped, state="pruned"), replace(best, trial=again)]
    return study, sorted(records, key=lambda record: record.trial.order)


def test_hypervolume_grows_in_the_order_in_which_trials_ended(
    hand_worked: tuple[Study, list[TrialRecord]],
) -> None:
    """Losses in the box: (3/4, 3/4), (1/2, 1/4), (1, 0), (1/4, 1/2) and (0, 1)."""
    study, records = hand_worked
    table = front_table(records, study.search).to_pydict()
    assert table["trial"] == [f"trial-0000{number}" for number in ENDED]
    assert list(zip(table["value"], table["bytes"], strict=True)) == list(ENDED.values())
    assert table["on_front"] == [False, True, True, True, True]
    assert table["hypervolume"] == pytest.approx([1 / 16, 3 / 8, 3 / 8, 1 / 2, 1 / 2])


def test_the_page_lists_what_no_other_beats_the_best_first(
    hand_worked: tuple[Study, list[TrialRecord]],
) -> None:
    study, records = hand_worked
    tables = {"front": front_table(records, study.search)}
    with charts.page_style():
        (section,) = front_sections(PageInputs(study, records, tables, LocalFolder("nowhere")))
    texts = [[cell.text for cell in row] for row in section.tables[0].rows]
    assert texts == [
        ["trial-00000", "1", "30"],
        ["trial-00003", "0.75", "20"],
        ["trial-00002", "0.5", "15"],
        ["trial-00001", "0", "10"],
    ]
