"""The faults, how each is brought about, and what must come of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.faults.places import Place
from tests.gate import SICK_BETA, SICK_TRIALS, STORE_SECONDS

STUDY = """
name: faults
dataset: {name: synthetic, length: 32, patients: 2, beats_per_patient: 30, abnormal_fraction: 0.3}
split: {folds: 2}
model: {name: beta_vaegan, latent_size: 3, width: 2}
training: {epochs: 3, batch_size: 32, discriminator_updates: 1, validation_interval: 1}
scores: {gamma_steps: 5, lambda_steps: 10}
search:
  trials: 4
  sampler: random
  metric: {composition: reconstruction, score: auroc}
  space:
    model.beta: {loguniform: [1.0e-6, 1.0]}
resources: {per_fold: {cpu: 0.5, gpu: 0}}
seed: 18
"""
ALL_COMPLETED = {"completed": 4}
TWO_VALUES = "search.space={model.beta: {choice: [1.0e-4, %s]}}"
"""With the seed of the study, one of its four trials gets the second value."""
ILL_TRIALS = ("--set", TWO_VALUES % SICK_BETA)
SHORT_SILENCE = ("--set", "resources.silence_minutes=0.25")
STORE_AWAY_SECONDS = 8.0
REQUEST_SECONDS = 5
LEFT_ALONE = r"node [\d.]+ failed folds of .*: it is left alone for the rest of this run"


@dataclass(frozen=True)
class Case:
    """One fault.

    Attributes:
        name: what happens, for people.
        owner: whose fault it is; see `study.cluster.faults`.
        options: of `study.run`.
        environment: of all its processes.
        where: whether it runs on a cluster of its own, on one with two nodes of which the first
            has the `illness`, or with its results in an object store.
        illness: see `tests.gate.illnesses`.
        disturb: done while folds are in training; returns when it is over.
        exit_codes: the driver's, and those of the runs that continue it.
        states: how many trials ended in which state.
        said: a line of the terminal's, as a regular expression; "" for none.
        same_table: whether `scores.parquet` has the bytes of an undisturbed study.
    """

    name: str
    owner: str
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    where: Literal["alone", "nodes", "store"] = "alone"
    illness: str = ""
    disturb: Callable[[Place], None] | None = None
    exit_codes: tuple[int, ...] = (0,)
    states: Mapping[str, int] = field(default_factory=lambda: ALL_COMPLETED)
    said: str = ""
    same_table: bool = True


def _throttle(place: Place) -> None:
    assert place.store
    place.store.is_throttling = True
    time.sleep(STORE_AWAY_SECONDS)
    place.store.is_throttling = False


def _throttle_for_good(place: Place) -> None:
    assert place.store
    place.store.is_throttling = True
    place.run.wait()
    place.store.is_throttling = False


def _answer_late(place: Place) -> None:
    assert place.store
    place.store.delay_seconds = 2 * REQUEST_SECONDS
    time.sleep(STORE_AWAY_SECONDS)
    place.store.delay_seconds = 0.0


def _preempt(place: Place) -> None:
    place.command_cluster("drain")
    place.command_cluster("kill")


def _of_node(name: str, illness: str, said: str) -> Case:
    return Case(name, "node", where="nodes", illness=illness, said=said)


def _of_trial(name: str, illness: str, reason: str) -> Case:
    return Case(
        name,
        "trial",
        ILL_TRIALS,
        {SICK_TRIALS: illness},
        states={"completed": 3, "failed": 1},
        said=rf"trial-\d+ failed: fold 0: {reason}",
        same_table=False,
    )


CASES = (
    Case(
        "a loss that is not finite",
        "trial",
        ("--set", TWO_VALUES % "1.0e+300"),
        states={"completed": 3, "failed": 1},
        said=r"trial-\d+ failed: fold 0: \w+ is (nan|inf) in epoch 1",
        same_table=False,
    ),
    Case(
        "a setting out of range",
        "request",
        ("--set", "model.latent_size=-3"),
        exit_codes=(2,),
        states={},
        said=r"model\.latent_size.*-3",
        same_table=False,
    ),
    _of_trial("a setting that training refuses", "setting", "ValueError"),
    _of_trial("a trial too large for every device", "memory", "OutOfMemoryError"),
    _of_node("CUDA errors on one node", "cuda", LEFT_ALONE),
    _of_node("a device of one node without memory", "memory", LEFT_ALONE),
    _of_node("a full disk of one node", "disk", LEFT_ALONE),
    _of_node("a stale mount on one node", "mount", LEFT_ALONE),
    Case("a preempted node", "cluster", where="nodes", disturb=_preempt),
    Case("a store that throttles for a while", "store", where="store", disturb=_throttle),
    Case(
        "a store that answers no request in time, for a while",
        "store",
        environment={STORE_SECONDS: str(REQUEST_SECONDS)},
        where="store",
        disturb=_answer_late,
    ),
    Case(
        "a store that throttles for too long",
        "store",
        environment={STORE_SECONDS: str(1)},
        where="store",
        disturb=_throttle_for_good,
        exit_codes=(1, 0),
        said=r"SlowDown.*continue with: python -m study\.run",
    ),
    Case(
        "the coordinator dies",
        "process",
        disturb=lambda place: place.strike("coordinator"),
        said="the coordinator died and was started again; the folds train on",
    ),
    Case(
        "a fold hangs",
        "node",
        SHORT_SILENCE,
        disturb=lambda place: place.strike("hang"),
        said=r"trial-\d+: fold \d on [\d.]+ hangs, it said nothing for \d\.\d minutes; it is ",
    ),
)
