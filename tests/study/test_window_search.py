"""A search over windows, as a run leaves it that was killed, went on, and was replayed."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from rich.console import Console

from study import driver
from study.config.schema import Study
from study.config.study_file import to_yaml
from study.data import load
from study.data.leakage import count_leakage
from study.data.samples import Samples
from study.errors import RequestError
from study.ledger.fold_files import COMPONENTS, HISTORY, read_json
from study.ledger.ledger import MODEL
from study.ledger.replay import known_proposals
from study.ledger.study_folder import read_study, stored_samples_hash
from study.report.build import build_report
from study.request import Request
from study.search.plan import Plan
from study.search.proposals import Proposals
from study.search.sources import trial_source
from study.search.trial import Trial, TrialRecord
from study.storage.folder import Folder, LocalFolder
from study.training.prepared import Prepared, prepare
from study.verify import verify
from tests.serial_study import train_trial
from tests.study.checked import small_study

SPACE: dict[str, Any] = {
    "dataset.window.name": {"choice": ["published", "centred"]},
    "dataset.length": {"choice": [32], "when": {"dataset.window.name": "published"}},
    "dataset.amplitude": {"choice": ["beat", "record"], "when": {"dataset.window.name": "centred"}},
    "model.latent_size": {"int": [2, 4]},
}
DATASET = {
    "name": "synthetic",
    "window": {"name": "centred", "before": 0.2, "after": 0.12},
    "patients": 3,
    "beats_per_patient": 30,
    "abnormal_fraction": 0.3,
}
TRIALS = 4
KILLED_AFTER = 1


class KilledError(Exception):
    """What ends a run."""


def study_of(dataset: dict[str, Any], **search: Any) -> Study:
    return small_study(
        "windows",
        dataset=dataset,
        split={"folds": 1},
        training={"epochs": 2, "batch_size": 32},
        scores={"lambda_steps": 10, "gamma_steps": 5},
        search={"metric": {"composition": "reconstruction"}, **search},
    )


def searched(**dataset: Any) -> Study:
    return study_of(DATASET | dataset, trials=TRIALS, sampler="random", space=SPACE)


def request_of(folder: Path, study: Study, replayed: Folder | None = None) -> Request:
    console = Console(file=io.StringIO(), width=500)
    return Request(study, LocalFolder(folder), console, fresh=False, replayed=replayed)


@dataclass(frozen=True)
class Serially:
    """What stands for the cluster: trains trials here, some of them, then it is killed."""

    trials: int

    def __call__(self, request: Request, prepared: Prepared, *_: object) -> list[str]:
        ledger = request.ledger
        ended = {record.name: record for record in ledger.trials()}
        source = trial_source(request.study, known_proposals(ledger, ()), ledger.record_proposal)
        while isinstance(trial := source.next_trial(ended, set()), Trial):
            if len(ended) == self.trials:
                raise KilledError
            ended[trial.name] = self.train(request, prepared, trial, len(ended))
        return []

    @staticmethod
    def train(request: Request, prepared: Prepared, trial: Trial, order: int) -> TrialRecord:
        samples = prepared.variants.of(trial.config.dataset)
        folds = prepared.splits[trial.protocol].folds
        results = LocalFolder(Path(request.results.locate()))
        return train_trial(results, trial, samples, folds, order)


def tables(request: Request, prepared: Prepared, *_: object) -> None:
    """Write the tables alone."""
    build_report(read_study(request.results), prepared.facts, request.results, "serial")


def run(request: Request, patch: pytest.MonkeyPatch, trials: int = TRIALS) -> str:
    """Run a study to its end, or until so many trials have ended; return what it prints."""

    @contextlib.contextmanager
    def connected(*_: object) -> Iterator[None]:
        yield

    patch.setattr("study.cluster.connection.connected", connected)
    planned = (Plan(1, 0, 1), dict[str, str]())
    patch.setattr("study.cluster.capacity.plan_on_cluster", lambda *_, **__: planned)
    patch.setattr(driver, "_report", tables)
    patch.setattr(driver, "_search", Serially(trials))
    with contextlib.suppress(KilledError):
        driver.run_study(request, request.outputs.locate(), None, lambda reason: None)
    assert isinstance(request.console.file, io.StringIO)
    return request.console.file.getvalue()


@dataclass(frozen=True)
class Ran:
    """A search that was killed once."""

    request: Request
    printed: str

    @property
    def scores(self) -> pd.DataFrame:
        return pd.read_parquet(self.request.results.locate("scores.parquet"))

    @property
    def records(self) -> list[TrialRecord]:
        return self.request.ledger.trials()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ran]:
    request = request_of(tmp_path_factory.mktemp("ran"), searched())
    with pytest.MonkeyPatch.context() as patch:
        run(request, patch, KILLED_AFTER)
        again = request_of(Path(request.outputs.locate()), request.study)
        yield Ran(again, run(again, patch))


def samples_of(record: TrialRecord, folder: Path) -> Samples:
    """Return a trial's samples as a study of its dataset alone has them."""
    return load(record.trial.config.dataset, folder, record.trial.config.seed)


def test_each_trial_has_the_samples_of_its_own_dataset(ran: Ran, tmp_path: Path) -> None:
    ledger, stored = ran.request.ledger, read_study(ran.request.results)
    datasets = [record.trial.config.dataset for record in ran.records]
    assert len(ran.records) == TRIALS
    assert {each.window.name for each in datasets} == {"published", "centred"}  # type: ignore[attr-defined]
    assert {each.amplitude for each in datasets} == {"beat", "record"}  # type: ignore[attr-defined]
    for record in ran.records:
        expected = samples_of(record, tmp_path).content_hash
        assert stored_samples_hash(stored, record.trial.config.dataset) == expected
        for address in record.folds:
            manifest = ledger.fold(address)
            assert manifest is not None
            assert read_json(ledger, manifest, MODEL)["samples_hash"] == expected
    assert "3 of the same 90 samples, 0 MB in memory of each node" in ran.printed


@pytest.mark.parametrize("window", ["published", "centred"])
def test_a_trial_has_the_numbers_of_a_study_of_its_dataset_alone(
    ran: Ran, tmp_path: Path, window: str
) -> None:
    records = [r for r in ran.records if r.parameters["dataset.window.name"] == window]
    trial = records[-1].trial
    alone = study_of(trial.config.dataset.model_dump(mode="json"))
    prepared = prepare(alone, tmp_path)
    request = request_of(tmp_path, alone)
    Serially.train(request, prepared, trial, 0)
    for address in trial.folds:
        ours, theirs = ran.request.ledger.fold(address), request.ledger.fold(address)
        assert ours
        assert theirs
        for name in (COMPONENTS, HISTORY):
            assert ran.request.ledger.read(ours, name) == request.ledger.read(theirs, name)


def test_one_division_holds_for_all_trials_and_leakage_is_of_each_ones_windows(
    ran: Ran, tmp_path: Path
) -> None:
    scores = ran.scores
    assert len(set(scores["split_hash"])) == 1
    for record in ran.records:
        samples = samples_of(record, tmp_path)
        folds = prepare(ran.request.study, tmp_path).splits["paper"].folds
        rows = scores[scores["trial"] == record.name].drop_duplicates("fold")
        expected = [count_leakage(samples, fold) for fold in folds]
        for name in ("windows_overlapping_training", "windows_overlapping_validation"):
            assert rows[f"test_{name}"].tolist() == [getattr(each, name) for each in expected]
        for key, value in record.parameters.items():
            assert (rows[f"param.{key}"] == value).all()
    overlapping = scores.groupby("param.dataset.window.name")["test_windows_overlapping_training"]
    assert overlapping.mean().nunique() == 2


def test_its_results_are_verified_and_folds_of_every_variant_trained_again(
    ran: Ran, capsys: pytest.CaptureFixture[str]
) -> None:
    verify(ran.request.results.locate(), TRIALS, None, 0.0)
    assert capsys.readouterr().out.count("trained again, equal") == TRIALS


def test_a_replay_trains_the_same_trials_on_the_same_samples(
    ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def proposes(*_: object) -> None:
        pytest.fail("a replay proposes nothing itself")

    monkeypatch.setattr(Proposals, "propose", proposes)
    request = request_of(tmp_path, ran.request.study, ran.request.results)
    run(request, monkeypatch, 2)
    again = request.ledger.trials()
    for record, before in zip(again, ran.records[:2], strict=True):
        assert (record.trial, record.values) == (before.trial, before.values)


def test_other_data_of_one_variant_are_refused(ran: Ran, tmp_path: Path) -> None:
    results = ran.request.results
    before = results.read("study.yaml")
    content = yaml.safe_load(before)
    label = "window.name centred, amplitude record"
    assert sorted(content["provenance"]["variants"]) == [
        "window.name centred, amplitude beat", label, "window.name published, length 32",
    ]  # fmt: skip
    content["provenance"]["variants"][label]["samples_hash"] = "0" * 64
    results.write("study.yaml", to_yaml(content).encode())
    try:
        with pytest.raises(RequestError, match=f"the samples with {label} are others there"):
            driver._prepare(ran.request, str(tmp_path))
    finally:
        results.write("study.yaml", before)


def test_windows_that_would_leave_other_normals_out_of_training_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        RequestError, match=r"with dataset\.clean each window leaves other normals out"
    ) as raised:
        prepare(searched(clean=True), tmp_path)
    assert "\n" not in str(raised.value)
    # The same windows leave out the same normals, whatever their values are relative to.
    amplitudes = {"dataset.amplitude": SPACE["dataset.amplitude"]["choice"]}
    space = {key: {"choice": values} for key, values in amplitudes.items()}
    study = study_of(DATASET | {"clean": True}, space=space)
    assert len(prepare(study, tmp_path).variants) == 2
