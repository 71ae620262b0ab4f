"""A trial: one configuration of a study, which is trained with all folds, and how it ended."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from study.config.trial_config import TrialConfig
from study.data.settings import Protocol

TRIAL_NAME = re.compile(r"trial-(\d{5,})")
FOLD_NAME = re.compile(r"fold-(\d+)")
REPETITION = 1_000_000
"""What a repetition's name adds to the number of its trial; no search has as many trials.

A confirmation's adds twice as much."""

State = Literal["completed", "pruned", "failed"]
Origin = Literal["sampler", "enqueued"]


def trial_name(number: int, *, is_repetition: bool = False, is_confirmation: bool = False) -> str:
    """Return the name of trial `number`, or of its repetition, a confirmation or another."""
    return f"trial-{number + REPETITION * (is_repetition + is_confirmation):05d}"


def fold_name(number: int) -> str:
    """Return the name of fold `number`."""
    return f"fold-{number}"


def order_of(name: str) -> tuple[int, int] | None:
    """Return `Trial.order` of the trial with this name; None if it is no trial's name."""
    match = TRIAL_NAME.fullmatch(name)
    return divmod(int(match[1]), REPETITION) if match else None


@dataclass(frozen=True)
class FoldAddress:
    """One fold of one trial.

    Attributes:
        trial: the trial's name.
        fold: the fold's number, from 0.
    """

    trial: str
    fold: int

    @property
    def path(self) -> str:
        """Its path below whatever folder holds folds: `<trial>/fold-<k>`."""
        return f"{self.trial}/{fold_name(self.fold)}"


@dataclass(frozen=True)
class Trial:
    """One configuration of a study.

    Attributes:
        number: in the order of proposal, from 0; of a repetition that of the trial repeated.
        config: all that its folds need to know.
        parameters: what sets it apart from the study's other trials, by dotted key.
        system: its name in a study of systems; "" in a search.
        is_repetition: whether it is another trial, trained again, under a second protocol or with
            another seed.
        is_confirmation: whether it is a repetition with another seed.
    """

    number: int
    config: TrialConfig
    parameters: Mapping[str, Any] = field(default_factory=dict)
    system: str = ""
    is_repetition: bool = False
    is_confirmation: bool = False

    @property
    def name(self) -> str:
        """The trial's name, which is that of its folder."""
        return trial_name(
            self.number, is_repetition=self.is_repetition, is_confirmation=self.is_confirmation
        )

    @property
    def order(self) -> tuple[int, int]:
        """What trials are sorted by: their numbers, repetitions last, confirmations after them."""
        return self.is_repetition + self.is_confirmation, self.number

    @property
    def protocol(self) -> Protocol:
        """How its samples are divided."""
        return self.config.split.protocol

    @property
    def repeats(self) -> str | None:
        """Name of the trial that it repeats, if any."""
        return trial_name(self.number) if self.is_repetition else None

    @property
    def folds(self) -> tuple[FoldAddress, ...]:
        """Its folds, in order."""
        name = self.name
        return tuple(FoldAddress(name, fold) for fold in range(self.config.split.folds))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which `from_dict` reads back."""
        confirms = {"is_confirmation": True} if self.is_confirmation else {}
        return {
            "number": self.number,
            "config": self.config.to_dict(),
            "parameters": dict(self.parameters),
            "system": self.system,
            "is_repetition": self.is_repetition,
            **confirms,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned.

        Raises:
            ValueError: it is something else.
            TypeError: it is something else.
            KeyError: it is something else.
        """
        return cls(**{**content, "config": TrialConfig.model_validate(content["config"])})


@dataclass(frozen=True)
class Proposal:
    """A trial as a search proposed it, and from what; written down before the trial starts.

    Attributes:
        trial: the trial.
        ended: how many trials had ended: it was proposed from those whose
            `completion_order` is smaller.
        running: names of the trials that ran then, in the order of their proposals.
        seed: what the sampler was seeded with, when it was first asked for this trial.
        origin: what its settings are from: the sampler, or `search.enqueue`.
    """

    trial: Trial
    ended: int
    running: Sequence[str]
    seed: int
    origin: Origin = "sampler"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, which `from_dict` reads back."""
        return {
            "trial": self.trial.to_dict(),
            "ended": self.ended,
            "running": list(self.running),
            "seed": self.seed,
            "origin": self.origin,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returned; errors as of `Trial.from_dict`."""
        return cls(**{**content, "trial": Trial.from_dict(content["trial"])})


@dataclass(frozen=True)
class LearnedTrial:
    """An ended trial of another study, which a search learns from.

    Attributes:
        results: the other study's results folder, as `search.learn_from` names it.
        trial: the trial's name there.
        parameters: its values of what is searched here, by dotted key.
        state: how it ended.
        values: validation epoch and the metric's mean over folds, in order.
        objectives: means over folds of what else this search improves.
    """

    results: str
    trial: str
    parameters: Mapping[str, Any]
    state: State
    values: Sequence[tuple[int, float]]
    objectives: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name here, which is no trial's of this study."""
        return f"{self.results}/{self.trial}"

    @property
    def best_value(self) -> float:
        """The metric's mean over folds at its best epoch."""
        return max((value for _, value in self.values), default=math.nan)


@dataclass(frozen=True)
class RungDecision:
    """Whether a trial went on at a rung; written down before it takes effect.

    Attributes:
        trial: the trial's name.
        epoch: the rung.
        value: the metric's mean over folds there.
        goes_on: whether it trains on.
        order: how many decisions came before, of all trials.
        folds: how many folds the value is of, the first ones; None: all.
        rule: what decided, where that was not ASHA: "budget", or "paired", of a comparison with
            the best completed trial.
        against: the name of that one; None if there was none.
        p: that the trial is no worse than that one.
        objectives: what else the search improves, as it was there.
    """

    trial: str
    epoch: int
    value: float
    goes_on: bool
    order: int
    folds: int | None = None
    rule: Literal["budget", "paired"] | None = None
    against: str | None = None
    p: float | None = None
    objectives: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrialRecord:
    """How a trial ended.

    Attributes:
        trial: the trial.
        state: how it ended; a trial that failed is never best.
        reason: why, if it did not complete.
        values: validation epoch and the metric's mean over the folds that it had, in order.
        completion_order: how many trials had ended before it.
        num_folds: how many folds it had when it was stopped, the first ones; None: all.
        objectives: means over folds of what else the search improves, by `search.metrics`.
    """

    trial: Trial
    state: State
    reason: str = ""
    values: Sequence[tuple[int, float]] = ()
    completion_order: int = 0
    num_folds: int | None = None
    objectives: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The trial's name."""
        return self.trial.name

    @property
    def folds(self) -> tuple[FoldAddress, ...]:
        """The folds that it had, in order."""
        return self.trial.folds[: self.num_folds]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What sets the trial apart from others of its study, by dotted key."""
        return self.trial.parameters

    @property
    def best_value(self) -> float:
        """The metric's mean over folds at its best epoch; nan if nothing was validated."""
        return max((value for _, value in self.values), default=math.nan)


def mean_over_folds(values: Sequence[float]) -> float:
    """Return a trial's value from those of its folds, in their order."""
    return float(np.mean(values))


def best_trial(
    ended: Iterable[TrialRecord], states: Sequence[State] = ("completed",)
) -> TrialRecord | None:
    """Return the trial with the largest value, the first of equals; never a repetition."""
    return next(iter(best_trials(ended, states)), None)


def best_trials(
    ended: Iterable[TrialRecord], states: Sequence[State] = ("completed",)
) -> list[TrialRecord]:
    """Return trials by value, the largest first, and of equals the first; no repetitions."""
    eligible = [r for r in ended if r.state in states and not r.trial.is_repetition]
    return sorted(eligible, key=lambda r: (-_or_least(r.best_value), r.trial.number))


def _or_least(value: float) -> float:
    return -math.inf if math.isnan(value) else value
