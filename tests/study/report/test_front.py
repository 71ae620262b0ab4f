"""What folds measure of a search's metrics, and the page's front."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from study.config.study_file import check_study
from study.ledger.fold_files import TIMINGS, WEIGHTS, read_history, read_json
from study.ledger.ledger import Ledger
from study.report.front import front_table
from study.report.page import charts
from study.report.page.front import front_sections
from study.report.page.inputs import PageInputs
from study.search.trial import TrialRecord
from tests.study.report.trained import PARTS, trained
from tests.study.trials import trial_of

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
    assert not front_sections(PageInputs(study, records, {}, results))
