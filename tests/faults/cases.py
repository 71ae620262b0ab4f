"""The faults, how each is brought about, and what must come of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tests.faults.testbeds import Testbed
from tests.gate import SICK_BETA, SICK_TRIALS, STORE_SECONDS
from tests.small_studies import BETA, study_text

STUDY = study_text(
    "faults",
    dataset={"patients": 2, "beats_per_patient": 30},
    model={"width": 2},
    training={"epochs": 3, "validation_interval": 1},
    search={"trials": 4, "sampler": "random", "space": BETA},
    resources={"per_fold": {"cpu": 0.5, "gpu": 0}},
    seed=18,
)
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
        line: of the terminal's, as a regular expression; "" for none.
        same_table: whether `scores.parquet` has the bytes of an undisturbed study.
    """

    name: str
    owner: str
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    where: Literal["alone", "nodes", "store"] = "alone"
    illness: str = ""
    disturb: Callable[[Testbed], None] | None = None
    exit_codes: tuple[int, ...] = (0,)
    states: Mapping[str, int] = field(default_factory=lambda: ALL_COMPLETED)
    line: str = ""
    same_table: bool = True


def _throttle(testbed: Testbed) -> None:
    assert testbed.store
    testbed.store.is_throttling = True
    time.sleep(STORE_AWAY_SECONDS)
    testbed.store.is_throttling = False


def _throttle_for_good(testbed: Testbed) -> None:
    assert testbed.store
    testbed.store.is_throttling = True
    testbed.run.wait()
    testbed.store.is_throttling = False


def _answer_late(testbed: Testbed) -> None:
    assert testbed.store
    testbed.store.delay_seconds = 2 * REQUEST_SECONDS
    time.sleep(STORE_AWAY_SECONDS)
    testbed.store.delay_seconds = 0.0


def _preempt(testbed: Testbed) -> None:
    testbed.command_cluster("drain")
    testbed.command_cluster("kill")


def _of_node(name: str, illness: str, line: str) -> Case:
    return Case(name, "node", where="nodes", illness=illness, line=line)


def _of_trial(name: str, illness: str, reason: str) -> Case:
    return Case(
        name,
        "trial",
        ILL_TRIALS,
        {SICK_TRIALS: illness},
        states={"completed": 3, "failed": 1},
        line=rf"trial-\d+ failed: fold 0: {reason}",
        same_table=False,
    )


CASES = (
    Case(
        "a loss that is not finite",
        "trial",
        ("--set", TWO_VALUES % "1.0e+300"),
        states={"completed": 3, "failed": 1},
        line=r"trial-\d+ failed: fold 0: \w+ is (nan|inf) in epoch 1",
        same_table=False,
    ),
    Case(
        "a setting out of range",
        "request",
        ("--set", "model.latent_size=-3"),
        exit_codes=(2,),
        states={},
        line=r"model\.latent_size.*-3",
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
        line=r"SlowDown.*continue with: python -m study\.run",
    ),
    Case(
        "the coordinator dies",
        "process",
        disturb=lambda testbed: testbed.strike("coordinator"),
        line="the coordinator died and was started again; the folds train on",
    ),
    Case(
        "a fold hangs",
        "node",
        SHORT_SILENCE,
        disturb=lambda testbed: testbed.strike("hang"),
        line=r"trial-\d+: fold \d on [\d.]+ hangs, it said nothing for \d\.\d minutes; it is ",
    ),
)
