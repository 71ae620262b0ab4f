from collections.abc import Callable

import pytest

from study.definition import Study
from study.trial import milestones


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
