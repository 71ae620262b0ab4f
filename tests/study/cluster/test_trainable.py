from collections.abc import Callable
from typing import Any, cast

import pytest

from study.cluster.trainable import TrialRunner, milestones
from study.config.schema import Study


@pytest.mark.parametrize(
    ("grace", "reduction", "epochs", "expected"),
    [
        (10, 3, 500, {10, 30, 90, 270}),
        (1, 2, 8, {1, 2, 4}),
        (1, 2, 9, {1, 2, 4, 8}),
        (6, 2, 12, {6}),
        (12, 2, 12, set()),
        (40, 4, 12, set()),
    ],
)
def test_milestones_are_the_rungs_below_the_last_epoch(
    grace: int,
    reduction: int,
    epochs: int,
    expected: set[int],
    tiny_study: Callable[..., Study],
) -> None:
    study = tiny_study(
        training={"epochs": epochs},
        search={"stopping": {"grace_epochs": grace, "reduction": reduction}},
    )
    assert milestones(study) == expected


def test_without_stopping_there_are_no_milestones(tiny_study: Callable[..., Study]) -> None:
    assert milestones(tiny_study()) == frozenset()


class Untouchable:
    """Stands for what must not be asked for anything."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def test_a_process_that_is_asked_for_no_step_takes_no_trial_and_starts_nothing() -> None:
    """Tune starts some, and then gives their trial to a process that has become free."""
    runner = TrialRunner.__new__(TrialRunner)
    runner.setup({"number": 0, "parameters": {}}, job=cast(Any, Untouchable()))
    runner.reset_config({"number": 1, "parameters": {}})
    runner.cleanup()
