"""What holds of every search algorithm: the table's, and one by its import path."""

from typing import Any

import numpy as np
import pytest
from optuna.samplers import BaseSampler, RandomSampler

from study.config.samplers import SAMPLERS
from study.config.schema import Study
from study.search.proposals import Proposals
from study.search.sources import Search
from study.search.trial import Proposal, State, Trial, TrialRecord
from tests.study.search.searches import searching, taken
from tests.study.trials import record_of, trial_of

NUMBERS = {
    "model.beta": {"loguniform": [1e-6, 0.1]},
    "training.optimizer.learning_rate": {"uniform": [1e-5, 1e-2]},
    "model.latent_size": {"int": [2, 64]},
}
CHOICES = {"model.latent": {"choice": ["mean", "sampled"]}}
OWN = f"{__name__}:LeftOfTheLast"
EVERY = [*SAMPLERS, OWN]
SHORT = {"gp": 1}
"""Trials at random and trials in turn of those that take seconds to propose."""
SIZES = {"gp": 3}
"""Latent sizes in a space of few settings: one in which its proposals take seconds is smaller."""


def few(sampler: str, **search: Any) -> tuple[Study, int]:
    """A search of latent sizes and updates of D, and how many settings it has."""
    sizes = SIZES.get(sampler, 6)
    space = {
        "model.latent_size": {"int": [2, 1 + sizes]},
        "training.discriminator_updates": {"int": [1, 4]},
    }
    return searching(space, sampler=sampler, startup_trials=2, trials=40, **search), 4 * sizes


class LeftOfTheLast(BaseSampler):
    """Of its own: left of what it proposed last, which it keeps with the study's trials."""

    def __init__(self, seed: int) -> None:
        self._random = RandomSampler(seed=seed)

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, values: Any) -> Any:
        """Remember the beta that was drawn as an attribute of the trial."""
        drawn = self._random.sample_independent(study, trial, name, values)
        if name != "model.beta":
            return drawn
        last = [t.system_attrs["beta"] for t in study.trials if "beta" in t.system_attrs]
        beta = last[-1] * 0.9 if last and last[-1] * 0.9 > values.low else drawn
        study._storage.set_trial_system_attr(trial._trial_id, "beta", beta)
        return beta


class OfOnePoint(BaseSampler):
    """Of its own: proposes the lowest values, always."""

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return {}

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
        return {}

    def sample_independent(self, study: Any, trial: Any, name: str, values: Any) -> Any:
        return values.low


def space_of(sampler: str) -> dict[str, Any]:
    if sampler == "gp":  # whose time grows with it
        return {"model.beta": NUMBERS["model.beta"]}
    entry = SAMPLERS.get(sampler)
    return NUMBERS | CHOICES if entry is None or entry.takes_choices else NUMBERS


CONDITIONAL = {
    "model.name": {"choice": ["beta_vaegan", "vae"]},
    "model.beta": NUMBERS["model.beta"],
    "training.discriminator_updates": {"int": [1, 5], "when": {"model.name": "beta_vaegan"}},
}


def study_with(sampler: str, **search: Any) -> Study:
    return searching(space_of(sampler), sampler=sampler, trials=40, **search)


class Driver:
    """One driver's search: trials start, and end with what their settings are worth."""

    def __init__(self, study: Study, written: list[Proposal]) -> None:
        self.written = list(written)
        self._source = Search(study, written, self.written.append)

    def start(self, ended: dict[str, TrialRecord]) -> Trial:
        return taken(self._source, ended)


def end(trial: Trial, ended: dict[str, TrialRecord]) -> None:
    """End a trial, every fifth one early."""
    value = -abs(np.log10(trial.parameters["model.beta"]) + 4)
    state: Any = "pruned" if trial.number % 5 == 4 else "completed"
    ended[trial.name] = record_of(trial, state, [(1, value)], len(ended))


def played(driver: Driver, ended: dict[str, TrialRecord], trials: int, beside: int) -> None:
    """Run so many trials, `beside` of them at a time; the first that started ends first."""
    running = [p.trial for p in driver.written if p.trial.name not in ended]
    for _ in range(trials):
        running.append(driver.start(ended))
        if len(running) > beside:
            end(running.pop(0), ended)


@pytest.mark.parametrize(
    ("sampler", "startup"), [*((each, "random") for each in EVERY), ("tpe", "qmc"), (OWN, "qmc")]
)
def test_a_search_that_is_resumed_proposes_what_an_undisturbed_one_does(
    sampler: str, startup: str
) -> None:
    """The second driver comes twice: while trials run, and when the sampler has learned."""
    study = study_with(sampler, startup=startup, startup_trials=SHORT.get(sampler, 4))
    ended: dict[str, TrialRecord] = {}
    first = Driver(study, [])
    played(first, ended, SHORT.get(sampler, 6) + 1, beside=SHORT.get(sampler, 3))
    again, second = dict(ended), Driver(study, first.written)
    unfinished = [p.trial for p in first.written if p.trial.name not in again]
    assert [second.start(again) for _ in unfinished] == unfinished
    for driver, known in ((first, ended), (second, again)):
        played(driver, known, SHORT.get(sampler, 7), beside=1)
    assert second.written == first.written
    third = Driver(study, second.written)
    left = [p.trial for p in second.written if p.trial.name not in again]
    assert [third.start(again) for _ in left] == left
    assert third.start(again) == first.start(ended)


def test_a_search_with_conditions_that_is_resumed_proposes_what_an_undisturbed_one_does() -> None:
    """Of what runs, settings count that it has, and none that was drawn for it beside them."""
    for seed in range(6):
        metric = {"composition": "reconstruction"}
        study = searching(CONDITIONAL, seed, sampler="tpe", trials=40, metric=metric)
        ended: dict[str, TrialRecord] = {}
        first = Driver(study, [])
        played(first, ended, 12, beside=3)
        again, second = dict(ended), Driver(study, first.written)
        running = [p.trial for p in first.written if p.trial.name not in again]
        assert [second.start(again) for _ in running] == running
        assert [second.start(again) for _ in range(3)] == [first.start(ended) for _ in range(3)]


@pytest.mark.parametrize("sampler", EVERY)
def test_one_seed_gives_one_search_and_another_gives_another(sampler: str) -> None:
    startup_trials = SHORT.get(sampler, 3)

    def proposed(seed: int) -> list[Any]:
        study = study_with(sampler, startup_trials=startup_trials, seed=seed)
        driver = Driver(study, [])
        played(driver, {}, 2 * startup_trials + 1, beside=0)
        return [proposal.trial.parameters for proposal in driver.written]

    one, other = proposed(1), proposed(2)
    np.random.seed(3)  # noqa: NPY002 - the global stream must not matter
    assert proposed(1) == one
    assert other[:startup_trials] != one[:startup_trials]
    assert other[startup_trials:] != one[startup_trials:]


@pytest.mark.parametrize("sampler", EVERY)
def test_what_is_proposed_of_the_same_trials_depends_on_the_seed(sampler: str) -> None:
    startup_trials = SHORT.get(sampler, 3)
    driver, ended = Driver(study_with(sampler, startup_trials=startup_trials), []), {}
    played(driver, ended, startup_trials + 2, beside=0)

    def proposed(seed: int) -> dict[str, Any]:
        proposals = Proposals(study_with(sampler, startup_trials=startup_trials, seed=seed))
        proposals.learn(ended.values())
        return proposals.propose(9, "trial-00009")

    assert proposed(1) == proposed(1) != proposed(2)


@pytest.mark.parametrize("sampler", EVERY)
def test_proposals_lie_in_the_space_and_trials_that_run_get_no_double(sampler: str) -> None:
    study = study_with(sampler, startup_trials=SHORT.get(sampler, 3))
    driver, ended = Driver(study, []), {}
    played(driver, ended, SHORT.get(sampler, 5), beside=0)
    beside = [driver.start(ended).parameters for _ in range(2 if sampler in SHORT else 4)]
    for parameters in beside:
        assert parameters.keys() == study.search.space.keys()
        assert all(study.search.space[key].contains(value) for key, value in parameters.items())
    assert len({parameters["model.beta"] for parameters in beside}) == len(beside)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_what_runs_is_known_to_those_that_learn_from_it(sampler: str) -> None:
    study = study_with(sampler, startup_trials=3)
    driver, ended = Driver(study, []), {}
    played(driver, ended, 3, beside=0)
    alone = Proposals(study)
    alone.learn(ended.values())
    proposed = alone.propose(30, "trial-00030")
    beside = Proposals(study)
    beside.learn(ended.values())
    for number in range(31, 36):  # all where it would go, but none the same
        beta = {"model.beta": proposed["model.beta"] * (1 + number * 1e-12)}
        beside.start(trial_of(study, number, proposed | beta))
    assert beside.propose(30, "trial-00030") != proposed


@pytest.mark.parametrize("sampler", EVERY)
@pytest.mark.parametrize("state", ["completed", "pruned", "failed"])
def test_no_settings_are_tried_twice_while_there_are_others(sampler: str, state: State) -> None:
    """Of a space of few settings; with a driver for each trial they are the same."""
    study, count = few(sampler)

    def tried(*trials_of_drivers: int) -> tuple[Driver, dict[str, TrialRecord]]:
        driver, ended = Driver(study, []), {}
        for trials in trials_of_drivers:
            driver = Driver(study, driver.written)
            for _ in range(trials):
                trial = driver.start(ended)
                value = -abs(trial.parameters["model.latent_size"] - 3)
                ended[trial.name] = record_of(trial, state, [(1, value)], len(ended))
        return driver, ended

    driver, ended = tried(count)
    settings = [tuple(proposal.trial.parameters.values()) for proposal in driver.written]
    assert len(set(settings)) == len(settings) == count
    assert tried(*[1] * count)[0].written == driver.written
    assert tuple(driver.start(ended).parameters.values()) in settings  # there are no others


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cmaes"])
def test_the_last_settings_of_many_are_found(sampler: str) -> None:
    space = {
        "model.latent_size": {"int": [2, 11]},
        "training.discriminator_updates": {"int": [1, 6]},
        **({} if sampler == "cmaes" else {"model.latent": {"choice": ["mean", "sampled"]}}),
    }
    study, ended = searching(space, sampler=sampler, trials=200), {}
    driver, count = Driver(study, []), 60 if sampler == "cmaes" else 120
    for _ in range(count):
        trial = driver.start(ended)
        value = -abs(trial.parameters["model.latent_size"] - 3)
        ended[trial.name] = record_of(trial, "completed", [(1, value)], len(ended))
    assert len({tuple(each.trial.parameters.values()) for each in driver.written}) == count


def test_of_many_settings_and_a_range_one_is_drawn_that_no_trial_has() -> None:
    """Where the sampler proposes the same again and again, as one of a point does."""
    many = {"model.latent_size": {"int": [2, 1000]},
            "training.discriminator_updates": {"int": [1, 16]}}  # fmt: skip
    for space in (many, {"model.beta": NUMBERS["model.beta"]}):
        driver = Driver(searching(space, sampler=f"{__name__}:OfOnePoint", trials=40), [])
        ended: dict[str, TrialRecord] = {}
        for _ in range(5):
            trial = driver.start(ended)
            ended[trial.name] = record_of(trial, "completed", [(1, 0.0)], len(ended))
        tried = [tuple(proposal.trial.parameters.values()) for proposal in driver.written]
        assert len(set(tried)) == 5


def test_what_a_trial_has_already_is_repeated_where_it_was_before() -> None:
    """A ledger of a search that tried settings twice is continued as it was."""
    study = searching({"model.latent_size": {"int": [2, 9]}}, sampler="qmc", trials=40)
    before = Proposals(study)
    asked = [before._ask(before._sampler(), before.seed(number)) for number in range(30)]
    points = [each.params for each in asked]
    assert len({each["model.latent_size"] for each in points}) < len(points)
    again = Proposals(study)
    for number, parameters in enumerate(points):
        again.start(trial_of(study, number, parameters))
    # Each is one of the sequence's own, of which none was passed over.
    assert len(again._optuna.trials) == len(points)


def test_a_whole_number_of_a_range_is_what_the_sampler_proposes_as_a_float() -> None:
    study = searching({"model.beta": {"uniform": [0.0, 1.0]}})
    proposals = Proposals(study)
    assert proposals._key({"model.beta": 1}) == proposals._key({"model.beta": 1.0})
    assert proposals._key({"model.beta": 1}) != proposals._key({"model.beta": 0.5})


def test_what_was_enqueued_is_not_proposed_again() -> None:
    enqueued = [{"model.latent_size": size, "training.discriminator_updates": 1}
                for size in (2, 3, 4)]  # fmt: skip
    study, count = few("tpe", enqueue=enqueued)
    driver = Driver(study, [])
    for _ in range(count):
        driver.start({})
    tried = [tuple(proposal.trial.parameters.values()) for proposal in driver.written]
    assert len(set(tried)) == count


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_those_that_learn_end_nearer_to_the_best_than_what_is_drawn_at_random(sampler: str) -> None:
    study = searching({"model.beta": NUMBERS["model.beta"]}, sampler=sampler, startup_trials=4,
                      trials=40)  # fmt: skip
    driver, ended = Driver(study, []), {}
    played(driver, ended, 24, beside=0)
    values = [record.best_value for record in ended.values()]
    assert np.median(values[-8:]) > np.median(values[:4])
    assert max(values) > -0.3


def test_a_sobol_sequence_covers_the_space_more_evenly_than_draws_do() -> None:
    def gap(sampler: str) -> float:
        """Largest distance to the next beta, of 16, on the logarithmic axis in [0, 1]."""
        driver, ended = Driver(study_with(sampler), []), {}
        played(driver, ended, 17, beside=0)
        betas = [proposal.trial.parameters["model.beta"] for proposal in driver.written[1:]]
        at = np.sort((np.log10(betas) + 6) / 5)
        return float(np.diff([0, *at, 1]).max())

    assert gap("qmc") < 2 / 16 + 1e-9  # one point in each sixteenth
    assert gap("random") > 2 / 16
