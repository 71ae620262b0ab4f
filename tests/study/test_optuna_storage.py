import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from study.config.schema import Study
from study.config.study_file import check_study, dump_study, to_yaml
from study.ledger.ledger import Ledger
from study.optuna_storage import app, write_storage
from study.search.sources import trial_source
from study.search.trial import Trial, TrialRecord
from study.storage.folder import LocalFolder
from tests.study.trials import record_of, trial_of

SPACE = {"model.beta": {"loguniform": [1e-6, 0.1]}, "model.latent_size": {"int": [2, 4]}}
PARAMETERS = {"model.beta": 1e-3, "model.latent_size": 3}


@pytest.fixture
def study(tiny_study: Callable[..., Study]) -> Study:
    return tiny_study(search={"trials": 3, "space": SPACE})


@pytest.fixture
def records(study: Study) -> list[TrialRecord]:
    trials = [trial_of(study, number, PARAMETERS) for number in range(3)]
    return [
        record_of(trials[0], "completed", [(2, 0.5), (4, 0.75)], 0),
        record_of(trials[1], "pruned", [(2, 0.25)], 1),
        record_of(trials[2], "failed", (), 2, reason="fold 0: generator_loss is nan"),
    ]


def loaded(path: Path, name: str = "tiny") -> optuna.Study:
    return optuna.load_study(study_name=name, storage=f"sqlite:///{path}")


def test_trials_are_read_back_by_optuna(
    study: Study, records: list[TrialRecord], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.sqlite3"
    write_storage(study, records, path)
    found = loaded(path)
    assert found.direction == optuna.study.StudyDirection.MAXIMIZE
    assert found.user_attrs["metric"] == "f1_weighted of lambda_grid"
    assert [trial.state.name for trial in found.trials] == ["COMPLETE", "PRUNED", "FAIL"]
    assert [trial.number for trial in found.trials] == [0, 1, 2]
    assert all(trial.params == PARAMETERS for trial in found.trials)
    assert found.trials[0].value == 0.75
    assert found.trials[0].intermediate_values == {2: 0.5, 4: 0.75}
    assert found.trials[1].intermediate_values == {2: 0.25}
    assert found.trials[2].user_attrs["reason"] == "fold 0: generator_loss is nan"
    assert found.best_trial.user_attrs["trial"] == "trial-00000"
    beta = found.trials[0].distributions["model.beta"]
    assert (beta.low, beta.high, beta.log) == (1e-6, 0.1, True)


def test_numbers_are_kept_where_a_trial_has_not_ended(
    study: Study, records: list[TrialRecord], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.sqlite3"
    write_storage(study, [records[0], records[2]], path)
    trials = loaded(path).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "WAITING", "FAIL"]
    assert trials[2].user_attrs["trial"] == "trial-00002"


@pytest.mark.parametrize("folder", ["a?b", "a%20b"])
def test_a_folder_may_have_any_name(
    folder: str, study: Study, records: list[TrialRecord], tmp_path: Path
) -> None:
    path = tmp_path / folder / "tiny.sqlite3"
    path.parent.mkdir()
    write_storage(study, records, path)
    assert [each.name for each in tmp_path.iterdir()] == [folder]
    assert loaded(path.rename(tmp_path / "tiny.sqlite3")).best_value == 0.75


def test_systems_are_choices(tiny_study: Callable[..., Study], tmp_path: Path) -> None:
    systems = {
        "a": {"model": {"name": "ae"}, "metric": {"composition": "latent"}},
        "b": {"model": {"name": "knn"}, "metric": {"composition": "outlier_score"}},
    }
    content = dump_study(tiny_study()) | {"systems": systems}
    del content["model"], content["search"]["trials"]
    study = check_study(content, "systems.yaml")
    source = trial_source(study)
    assert source.next_trial({}, set()).system == "a"  # type: ignore[union-attr]
    trial = source.next_trial({}, set())
    assert isinstance(trial, Trial)
    write_storage(study, [record_of(trial, values=[(1, 0.5)])], tmp_path / "systems.sqlite3")
    _, written = loaded(tmp_path / "systems.sqlite3").trials
    assert written.params == {"system": "b"}
    assert written.distributions["system"].choices == ("a", "b")


def test_the_file_is_replaced_as_a_whole(
    study: Study, records: list[TrialRecord], tmp_path: Path
) -> None:
    path = tmp_path / "tiny.sqlite3"
    write_storage(study, records, path)
    write_storage(study, records[:1], path)
    assert len(loaded(path).trials) == 1
    outside = dict.fromkeys(records[0].trial.parameters, -1e9)
    broken = replace(records[0], trial=replace(records[0].trial, parameters=outside))
    with pytest.raises(ValueError, match="invalid value"):
        write_storage(study, [broken], path)
    assert len(loaded(path).trials) == 1


def test_the_command_writes_it_and_says_where(
    study: Study,
    records: list[TrialRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    results = LocalFolder(tmp_path / "tiny")
    results.write("study.yaml", to_yaml(dump_study(study)).encode())
    monkeypatch.setattr("sys.argv", ["study.optuna_storage", str(tmp_path / "tiny")])
    monkeypatch.chdir(tmp_path)
    assert app.main() == 1
    assert "no trial has ended yet" in capsys.readouterr().err
    assert not (tmp_path / "tiny.sqlite3").exists()
    for record in records:
        Ledger(results.folder("ledger")).record_trial(record)
    assert app.main() == 0
    assert capsys.readouterr().out == "tiny.sqlite3: 3 trial(s) of tiny\n"
    with sqlite3.connect(tmp_path / "tiny.sqlite3") as connection:
        assert connection.execute("select count(*) from trials").fetchone() == (3,)


def test_a_file_that_cannot_be_written_is_refused(
    study: Study,
    records: list[TrialRecord],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    results = LocalFolder(tmp_path / "tiny")
    results.write("study.yaml", to_yaml(dump_study(study)).encode())
    Ledger(results.folder("ledger")).record_trial(records[0])
    for wrong in (tmp_path, tmp_path / "no" / "file"):
        monkeypatch.setattr("sys.argv", ["x", str(tmp_path / "tiny"), str(wrong)])
        assert app.main() == 2
        assert "must be a file in a folder that exists" in capsys.readouterr().err
