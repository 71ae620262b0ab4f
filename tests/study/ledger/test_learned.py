"""What a search learns of other studies."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from study.config.schema import Study
from study.config.study_file import dump_study, to_yaml
from study.errors import RequestError
from study.ledger.learned import has_learned, trials_to_learn
from study.ledger.ledger import LEARNED, DamagedError, Ledger
from study.ledger.recovery import recover
from study.ledger.replay import copy_decisions
from study.search.proposals import Proposals
from study.search.sources import trial_source
from study.search.trial import Trial
from study.storage.folder import LocalFolder
from tests.study.search.searches import BETA, searching
from tests.study.trials import record_of, trial_of


def study_of(space: Any = BETA, model: str = "beta_vaegan", **search: Any) -> Study:
    search = {
        "startup_trials": 3,
        "trials": 9,
        "metric": {"composition": "reconstruction"},
    } | search
    return searching(space, model={"name": model}, **search)


def results_of(folder: Path, study: Study, betas: list[float]) -> LocalFolder:
    """A study whose trials had these betas, the better the nearer to 0.01; the last failed."""
    results = LocalFolder(folder)
    results.write("study.yaml", to_yaml(dump_study(study)).encode())
    ledger = Ledger(results.folder("ledger"))
    for number, beta in enumerate(betas):
        trial = trial_of(study, number, {"model.beta": beta})
        if number == len(betas) - 1:
            record = record_of(trial, "failed", (), number)
        else:
            record = record_of(trial, "completed", [(3, -abs(beta - 0.01))], number)
        ledger.record_trial(record)
    return results


@pytest.fixture
def other(tmp_path: Path) -> LocalFolder:
    return results_of(tmp_path / "other", study_of(), [0.02, 0.01, 1e-3, 1e-4, 0.5, 0.03])


def test_trials_within_the_space_are_learned(other: LocalFolder) -> None:
    study = study_of(learn_from=[other.locate()])
    learned = trials_to_learn(study)
    assert [trial.parameters["model.beta"] for trial in learned] == [0.02, 0.01, 1e-3, 1e-4]
    assert {trial.results for trial in learned} == {other.locate()}
    assert learned[1].best_value == 0.0
    assert learned[1].name == f"{other.locate()}/trial-00001"


def test_repetitions_are_not_learned(other: LocalFolder) -> None:
    study = study_of(learn_from=[other.locate()])
    learned = trials_to_learn(study)
    repetition = trial_of(study_of(), 1, {"model.beta": 0.01}, is_repetition=True)
    Ledger(other.folder("ledger")).record_trial(record_of(repetition, values=[(3, -0.5)]))
    assert trials_to_learn(study) == learned


def test_of_several_metrics_those_are_learned_that_have_all(other: LocalFolder) -> None:
    metrics = ["auroc", "bytes"]
    study = study_of(metrics=metrics, learn_from=[other.locate()])
    with pytest.raises(RequestError, match=r"none of its 6 .* metric, search\.metrics and model"):
        trials_to_learn(study)
    ledger = Ledger(other.folder("ledger"))
    objectives = {"auroc": 0.75, "bytes": 300.0, "parameters": 7.0}
    for record, kept in zip(ledger.trials(), (["auroc"], metrics, list(objectives)), strict=False):
        measured = {name: objectives[name] for name in kept}
        ledger.record_trial(replace(record, objectives=measured))
    learned = trials_to_learn(study)
    assert [each.trial for each in learned] == ["trial-00001", "trial-00002"]
    assert learned[0].objectives == {"auroc": 0.75, "bytes": 300.0}


def test_settings_that_the_other_study_had_fixed_are_known_too(other: LocalFolder) -> None:
    space = {**BETA, "model.latent_size": {"int": [4, 8]}}
    learned = trials_to_learn(study_of(space, learn_from=[other.locate()]))
    assert {trial.parameters["model.latent_size"] for trial in learned} == {6}


@pytest.mark.parametrize(
    "mine",
    [
        {"metric": {"composition": "latent"}},
        {"model": "vae"},
        {"space": {"model.beta": {"uniform": [0.6, 1.0]}}},
    ],
)
def test_a_study_that_says_nothing_of_this_one_is_refused(
    other: LocalFolder, mine: dict[str, Any]
) -> None:
    with pytest.raises(RequestError, match="none of its 6 ended trial") as raised:
        trials_to_learn(study_of(**mine, learn_from=[other.locate()]))
    assert "\n" not in str(raised.value)


def test_a_folder_that_holds_no_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="is no study"):
        trials_to_learn(study_of(learn_from=[str(tmp_path)]))


def test_what_was_learned_is_in_the_ledger_and_proposes_the_same_whatever_comes_later(
    other: LocalFolder, tmp_path: Path
) -> None:
    study = study_of(learn_from=[other.locate()])
    mine = LocalFolder(tmp_path / "mine")
    ledger = Ledger(mine.folder("ledger"))
    assert ledger.learned() == []
    learned = trials_to_learn(study)
    ledger.record_learned(learned)
    assert has_learned(mine)
    results_of(tmp_path / "other", study_of(), [0.09] * 6)
    assert ledger.learned() == learned
    assert ledger.names() == []
    first = trial_source(study, learned=learned).next_trial({}, set())
    assert trial_source(study, learned=ledger.learned()).next_trial({}, set()) == first
    replayed = LocalFolder(tmp_path / "replayed")
    copy_decisions(mine, replayed)
    assert Ledger(replayed.folder("ledger")).learned() == learned


def test_the_sampler_has_learned_before_the_first_trial(other: LocalFolder) -> None:
    """Four trials are more than its three at random: it proposes by what they say."""
    study = study_of(learn_from=[other.locate()])
    source = trial_source(study, learned=trials_to_learn(study))
    proposed = source.next_trial({}, set())
    assert isinstance(proposed, Trial)
    assert proposed.parameters != Proposals(study).propose(0, "trial-00000")


def test_what_is_damaged_is_put_aside(other: LocalFolder, tmp_path: Path) -> None:
    mine = LocalFolder(tmp_path / "mine")
    ledger = Ledger(mine.folder("ledger"))
    ledger.record_learned(trials_to_learn(study_of(learn_from=[other.locate()])))
    content = mine.read(f"ledger/{LEARNED}")
    mine.write(f"ledger/{LEARNED}", content.replace(b"0.02", b"0.03"))
    with pytest.raises(DamagedError):
        ledger.learned()
    (line,) = recover(mine)
    assert "learned anew" in line
    assert not has_learned(mine)
    assert mine.exists(f"damaged/{LEARNED}")
