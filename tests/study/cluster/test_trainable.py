from typing import Any, cast

from study.cluster.trainable import TrialRunner
from study.config.study_file import load_study
from tests.study.trials import trial_of


class Untouchable:
    """Stands for what must not be asked for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def test_a_process_that_is_asked_for_no_step_takes_no_trial_and_starts_nothing() -> None:
    """Tune starts some, and then gives their trial to a process that has become free."""
    first, second = (trial_of(load_study("quickstart"), number) for number in range(2))
    runner = TrialRunner.__new__(TrialRunner)
    runner.setup({"trial": first}, context=cast(Any, Untouchable()))
    runner.reset_config({"trial": second})
    runner.cleanup()
