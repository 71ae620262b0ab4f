"""Workers that train on one variant of the samples and then on another."""

import pytest

from study.data import load
from study.ledger.fold_files import read_json
from study.ledger.ledger import MODEL, Ledger
from study.storage.folder import LocalFolder
from tests.small_studies import study_text

pytestmark = pytest.mark.cluster
WINDOWS = ["published", "centred", "published"]


def test_a_worker_has_the_samples_of_each_trial_that_it_trains(start, tmp_path):
    path = tmp_path / "windows.yaml"
    window = {"name": "centred", "before": 0.2, "after": 0.12}
    text = study_text(
        "windows",
        dataset={"window": window},
        training={"epochs": 1},
        search={
            "trials": len(WINDOWS),
            "sampler": "random",
            "space": {
                "dataset.window.name": {"choice": sorted(set(WINDOWS))},
                "dataset.length": {"choice": [64], "when": {"dataset.window.name": "published"}},
            },
            "enqueue": [
                {"dataset.window.name": name, **({"dataset.length": 64} if name[0] == "p" else {})}
                for name in WINDOWS
            ],
        },
        resources={"max_concurrent_trials": 1},
    )
    path.write_text(text)
    run = start(path, "--output", tmp_path / "results")
    assert run.wait() == 0, run.printed()
    ledger = Ledger(LocalFolder(tmp_path / "results" / "windows" / "ledger"))
    trials = [record.trial for record in ledger.trials()]
    assert [trial.config.dataset.window.name for trial in trials] == WINDOWS
    for trial in trials:
        samples = load(trial.config.dataset, tmp_path, trial.config.seed)
        for address in trial.folds:
            model = read_json(ledger, ledger.fold(address), MODEL)
            assert model["shape"]["length"] == samples.length
            assert model["samples_hash"] == samples.content_hash
