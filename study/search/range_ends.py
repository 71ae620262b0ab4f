"""Searched settings whose best values lie at an end of their range: beyond may be better ones."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from study.config.schema import Study
from study.config.search_space import Distribution
from study.search.trial import TrialRecord, best_trials

BEST = 3
"""Trials that must all lie at one end. Where a setting has no effect they do so in 1 of 500
searches, and of a range of five whole numbers in 1 of 60."""
TRIALS = 10
"""Trials from which on an end is named."""
OUTER = 0.1
"""Share of a range that is its end."""
FEWEST_VALUES = 5
"""Of a range of whole numbers: of fewer, half of all trials and more have the first or last."""


@dataclass(frozen=True)
class RangeEnd:
    """An end of a range at which the best trials lie.

    Attributes:
        setting: its dotted key.
        bound: the value that bounds the range there.
        is_upper: whether it is the largest.
    """

    setting: str
    bound: float
    is_upper: bool

    @property
    def advice(self) -> str:
        """What it says of the search, as a sentence without its full stop."""
        side, better = ("upper", "larger") if self.is_upper else ("lower", "smaller")
        return (
            f"The best {BEST} trials lie at the {side} end of {self.setting} ({self.bound:g}):"
            f" {better} values, which were not searched, may be better"
        )


def range_ends(study: Study, ended: Iterable[TrialRecord]) -> list[RangeEnd]:
    """Return the ends of ranges at which the best completed trials lie, by the space's order.

    An end that no value may lie beyond is left out, and so are choices, which have no order.

    Args:
        study: the study.
        ended: its trials.
    """
    valued = [r for r in ended if not math.isnan(r.best_value) and not r.trial.is_repetition]
    best = best_trials(valued)[:BEST]
    if len(valued) < TRIALS or len(best) < BEST:
        return []
    reached = (_reached(key, form, best) for key, form in study.search.space.items())
    return [end for end in reached if end and _has_values_beyond(end, study, best[0])]


def _reached(key: str, form: Distribution, best: Sequence[TrialRecord]) -> RangeEnd | None:
    if form.choice is not None or any(key not in record.parameters for record in best):
        return None
    low, high = form.ends
    if form.is_integer and high - low + 1 < FEWEST_VALUES:
        return None
    shares = [form.share(record.parameters[key]) for record in best]
    if min(shares) >= 1 - OUTER:
        return RangeEnd(key, high, is_upper=True)
    if max(shares) <= OUTER:
        return RangeEnd(key, low, is_upper=False)
    return None


def _has_values_beyond(end: RangeEnd, study: Study, record: TrialRecord) -> bool:
    """Return whether the setting may have a value a little beyond an end."""
    form = study.search.space[end.setting]
    low, high = form.ends
    if form.is_integer:
        step: float = 1
    elif form.loguniform:
        step = 0.1 * end.bound
    else:
        step = 0.1 * (high - low)
    beyond = end.bound + (step if end.is_upper else -step)
    try:
        record.trial.config.with_parameters({end.setting: beyond})
    except ValidationError:
        return False
    return True
