"""What a study prints into a log file while it runs; a terminal shows the same as bars."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from study.config.schema import BudgetSettings, Study
from study.search.budget import Budget
from study.search.sources import trial_source
from study.search.trial import Trial
from study.terminal import progress
from study.terminal.progress import Display, trial_label
from tests.study.terminal.consoles import lines, log
from tests.study.trials import record_of, trial_of


@pytest.fixture
def study(tiny_study: Callable[..., Study]) -> Study:
    """Two trials of four epochs."""
    return tiny_study(search={"trials": 2})


def result(epoch: int, *values: float, **kept: Any) -> dict[str, Any]:
    folds = {f"fold-{fold}/value": value for fold, value in enumerate(values)}
    mean = sum(values) / len(values)
    return {"epoch": epoch, "state": "running", "reason": "", "value": mean, **folds, **kept}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds pass each time that somebody looks."""
    seconds = itertools.count(0, 10)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(seconds)))


def test_what_happens_to_folds_and_nodes_is_shown_as_it_is_told(study: Study) -> None:
    console = log()
    Display(study.name, trial_source(study), console).on_news("a node is left alone " + "x" * 200)
    assert lines(console) == ["a node is left alone " + "x" * 200]


@pytest.mark.usefixtures("clock")
def test_a_log_has_a_line_for_each_validation_and_each_end(study: Study) -> None:
    console = log()
    display = Display(study.name, trial_source(study), console)
    display.start([])
    trial = trial_of(study)
    display.on_result(trial, result(2, 0.25, 0.75))
    display.on_ended(record_of(trial, values=[(2, 0.5), (4, 0.625)]))
    display.stop()
    first, last = lines(console)
    # Two of eight epochs took ten seconds: six are left.
    assert first == (
        "trial-00000: epoch 2 of 4, lambda_grid f1_weighted 0.5000 (folds 0.250 0.750);"
        " 0 of 2 trials ended, about 30 s left"
    )
    assert last == "trial-00000 completed: best lambda_grid f1_weighted 0.6250"


@pytest.mark.parametrize(
    ("budget", "left"),
    [(None, "about 10 s left"),
     (BudgetSettings(hours=3), "about 10 s left; 2.00 of 3 hours spent"),
     (BudgetSettings(hours=2), "no trial is proposed any more; 2.00 of 2 hours spent")],
)  # fmt: skip
@pytest.mark.usefixtures("clock")
def test_trials_that_ended_before_take_no_time_and_a_spent_budget_leaves_none(
    study: Study, budget: BudgetSettings | None, left: str
) -> None:
    console = log()
    display = Display(study.name, trial_source(study), console, Budget(budget, lambda: 7200.0))
    display.start([record_of(trial_of(study), values=[(4, 0.5)])])
    display.on_result(trial_of(study, 1), result(2, 0.5, 0.5))
    (line,) = lines(console)
    assert line.endswith(f"1 of 2 trials ended, {left}")


def test_errors_of_normals_are_shown_with_digits_and_without_their_turned_sign(
    tiny_study: Callable[..., Study],
) -> None:
    metric = {"composition": "reconstruction_quantile", "score": "normal_error"}
    study, console = tiny_study(search={"trials": 2, "metric": metric}), log()
    display = Display(study.name, trial_source(study), console)
    display.on_result(trial_of(study), result(2, -0.000251, -0.000421))
    display.on_ended(record_of(trial_of(study), values=[(2, -0.000326)]))
    first, last = lines(console)
    assert "normal_error 0.000336 (folds 0.00025 0.00042)" in first
    assert last.endswith("best reconstruction_quantile normal_error 0.000326")


def test_a_failed_trial_is_shown_with_its_reason(study: Study) -> None:
    console = log()
    display = Display(study.name, trial_source(study), console)
    display.start([])
    trial, failed = trial_of(study), {"epoch": 1, "state": "failed", "reason": "fold 0: nan"}
    display.on_result(trial, failed)
    display.on_ended(record_of(trial, "failed", reason="fold 0: nan"))
    first, last = lines(console)
    assert "epoch 1 of 4, failed: fold 0: nan;" in first
    assert last == "trial-00000 failed: fold 0: nan"


@pytest.mark.parametrize(
    ("is_replaced", "what"),
    [(True, "others go on from the checkpoints"), (False, "it is left to the next run")],
)
def test_a_death_is_shown_with_what_follows(is_replaced: bool, what: str, study: Study) -> None:
    console = log()
    display = Display(study.name, trial_source(study), console)
    display.on_death(trial_of(study), "killed", is_replaced=is_replaced)
    (line,) = lines(console)
    assert line.startswith("trial-00000: its processes died (killed); ")
    assert what in line


def test_a_terminal_has_a_bar_for_the_study_and_one_for_each_running_trial(study: Study) -> None:
    console = log(is_terminal=True)
    display = Display(study.name, trial_source(study), console)
    display.start([])
    trial = trial_of(study)
    display.on_result(trial, result(2, 0.25, 0.75))
    bars = [task.description.strip() for task in display._progress.tasks]
    assert bars == ["tiny: epochs of all trials", "trial-00000"]
    display.on_ended(record_of(trial, values=[(4, 0.5)]))
    assert [(task.completed, task.total) for task in display._progress.tasks] == [(4, 8)]
    display.stop()


def test_a_label_tells_a_system_and_a_repetition_from_others(study: Study) -> None:
    trial = trial_of(study, 3, {"model.beta": 0.5})
    assert trial_label(trial) == "trial-00003"
    again: Trial = replace(trial, config=trial.config.under("kfold"), is_repetition=True)
    assert trial_label(again) == "trial-1000003 (trial-00003, kfold)"
    system = replace(trial, system="ae", parameters={"system": "ae", "split.protocol": "paper"})
    assert trial_label(system) == "trial-00003 (ae, paper)"
