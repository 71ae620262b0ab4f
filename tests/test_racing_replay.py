"""A whole study's trials, raced again: what is compared with what."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.drawn_ledger import make_results
from benchmarks.learning_curves import curve_study
from benchmarks.racing_replay import RACES, WholeStudy, replay, table
from study.errors import RequestError

TRIALS, FOLDS, EPOCHS = 8, 5, 12


def _whole(early: float, *more: str) -> WholeStudy:
    """Return trials of which the first is worth most; it is `early` better in all but the end."""
    settings = (f"search.trials={TRIALS}", f"split.folds={FOLDS}", "search.sampler=random")
    study = curve_study(*settings, *more)
    curves = []
    for number in range(TRIALS):
        values = np.tile(np.linspace(0.5, 0.6, EPOCHS) - 0.01 * number, (FOLDS, 1))
        values[:, : EPOCHS - 1] += early * (number == 0)
        parameters = {
            "model.beta": 1e-4 * (1 + number),
            "model.latent_size": 4,
            "training.discriminator_updates": 1,
            "training.optimizer.learning_rate": 1e-4,
        }
        curves.append((parameters, (values, [1.0] * EPOCHS)))
    return WholeStudy(study, curves)


@pytest.mark.parametrize("more", [(), ("search.metrics=[parameters]",)])
def test_a_best_trial_that_leads_from_the_start_wins_each_race(more: tuple[str, ...]) -> None:
    whole = _whole(0.0, *more)
    races = replay(whole, orders=2, slots=10, reduction=2)
    assert len(races) == 2 * len(RACES)
    assert all(math.isclose(race.worth, whole.worths[0]) for race in races)
    assert all(race.fold_epochs < whole.fold_epochs == TRIALS * FOLDS * EPOCHS for race in races)
    assert "| 1.00 | 1.00 | 0.0000 | 0.0000 |" in table(whole, races)


def test_a_best_trial_that_begins_last_loses() -> None:
    whole = _whole(early=-0.3)
    # An only trial at its rung is never stopped: the best wins where it comes there first.
    first = [whole.race(order, (), 2).search.enqueue[0]["model.beta"] for order in range(4)]
    order = next(index for index, beta in enumerate(first) if beta != 1e-4)
    races = [race for race in replay(whole, order + 1, 10, 2) if race.seed == order]
    assert [math.isclose(race.worth, whole.worths[1]) for race in races] == [True] * len(RACES)


def test_a_study_that_stopped_trials_is_refused(tmp_path: Path) -> None:
    results = make_results(tmp_path, trials=1, folds=2, training=20, validation=20, test=20)
    with pytest.raises(RequestError, match=r"search\.stopping=null"):
        WholeStudy.read(results)
