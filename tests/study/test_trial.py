import asyncio
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from study.definition import Study
from study.fold_means import mean_over_folds
from study.fold_worker import Gate
from study.trial import milestones


def said(value: float, **kept: Any) -> dict[str, Any]:
    report = {"epoch": 4, "state": "running", "reason": "", "value": value}
    return {**report, "scores": {"phi": value / 2, "generator_loss": 1 - value}, **kept}


def test_a_trial_says_the_means_of_its_folds_and_what_each_said() -> None:
    values = [0.2, 0.5, 0.9]
    merged = mean_over_folds([said(v) for v in values])
    assert (merged["epoch"], merged["state"], merged["reason"]) == (4, "running", "")
    assert merged["value"] == pytest.approx(np.mean(values))
    assert merged["phi"] == pytest.approx(np.mean(values) / 2)
    assert merged["generator_loss"] == pytest.approx(1 - np.mean(values))
    for fold, value in enumerate(values):
        assert merged[f"fold-{fold}/value"] == value
        assert merged[f"fold-{fold}/phi"] == value / 2


def test_one_fold_is_its_own_mean() -> None:
    assert mean_over_folds([said(0.25, state="completed")])["value"] == 0.25


@pytest.mark.parametrize("failed", [[0], [1], [2], [0, 2], [0, 1, 2]])
def test_a_failed_fold_fails_the_trial_without_a_value(failed: list[int]) -> None:
    gone = {"state": "failed", "reason": "loss is nan", "scores": {}}
    reports = [said(math.nan, **gone) if f in failed else said(0.5) for f in range(3)]
    merged = mean_over_folds(reports)
    assert merged["state"] == "failed"
    assert merged["reason"] == "; ".join(f"fold {f}: loss is nan" for f in failed)
    assert "value" not in merged
    for fold in set(range(3)) - set(failed):
        assert merged[f"fold-{fold}/value"] == 0.5


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


def test_the_gate_lets_a_trial_through_up_to_the_opened_epoch() -> None:
    async def play() -> list[str]:
        gate, passed = Gate(), []

        async def fold(number: int, epoch: int) -> None:
            await gate.wait(number, epoch)
            passed.append(f"{number}/{epoch}")

        waiting = [asyncio.create_task(fold(n, e)) for n, e in ((0, 2), (0, 2), (0, 4), (1, 2))]
        await asyncio.sleep(0)
        assert passed == []
        await gate.open(0, 2)
        await asyncio.gather(*waiting[:2])
        assert passed == ["0/2", "0/2"]
        await gate.open(1, 2)
        await waiting[3]
        await gate.open(0, 4)
        await gate.open(0, 2)  # an older decision opens nothing and closes nothing
        await waiting[2]
        await fold(0, 4)
        return passed

    assert asyncio.run(play()) == ["0/2", "0/2", "1/2", "0/4", "0/4"]
