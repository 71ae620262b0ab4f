"""The lines of a plan."""

from collections.abc import Callable
from dataclasses import replace

from study.config.schema import Study
from study.search.plan import Plan
from study.search.sources import trial_source
from study.terminal.planned import show_plan
from tests.study.terminal.consoles import lines, log
from tests.study.trials import record_of, trial_of


def test_a_plan_of_a_race_says_which_folds_train_when(tiny_study: Callable[..., Study]) -> None:
    stopping = {"grace_epochs": 1, "reduction": 2, "folds": [1, 1, 3]}
    study = tiny_study(
        split={"folds": 4}, training={"epochs": 16}, search={"trials": 5, "stopping": stopping}
    )
    console = log()
    plan = Plan(cpu=0.5, gpu=0.0, trials_at_a_time=5, slots=7)
    show_plan(console, study, trial_source(study), plan, [], 0.0)
    shown = dict(line.strip().split("  ", 1) for line in lines(console))
    assert shown["folds"] == "1 to epoch 2, 3 to epoch 4, then all 4"
    assert shown["at a time"] == "7 fold(s), of at most 5 trial(s)"
    console = log()
    show_plan(console, study, trial_source(study), replace(plan, workers=3), [], 0.0)
    assert "7 fold(s), of at most 5 trial(s) with at most 3 each" in "\n".join(lines(console))


def test_a_plan_shows_what_would_run_and_what_it_takes(tiny_study: Callable[..., Study]) -> None:
    stopping = {"grace_epochs": 2, "reduction": 3}
    space = {"model.beta": {"loguniform": [1e-6, 1.0]}}
    study = tiny_study(
        split={"beside": "kfold"}, search={"trials": 5, "stopping": stopping, "space": space}
    )
    console = log()
    plan = Plan(cpu=0.5, gpu=0.25, trials_at_a_time=2)
    ended = [record_of(trial_of(study), values=[(4, 0.5)])]
    show_plan(console, study, trial_source(study), plan, ended, 2e6, {"nodes": "3 there"})
    shown = dict(line.strip().split("  ", 1) for line in lines(console))
    assert shown == {
        "study": "tiny: beta_vaegan on synthetic",
        "trials": "5 x 2 folds x 4 epochs, 4 trials to run, 1 ended before",
        "protocols": "paper; then the best trial under kfold",
        "searched": "model.beta",
        "early stops": "ASHA from epoch 2, one in 3 goes on",
        "each fold": "0.5 CPU, 0.25 GPU, 1 thread(s)",
        "at a time": "2 trial(s), each with all its folds",
        "nodes": "3 there",
        "disk": "2.0 MB a trial, 0.01 GB when all have ended",
    }
