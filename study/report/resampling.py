"""A paired bootstrap over test patients, or over test samples where no patient is known.

Beats of one patient are alike, so that patients are drawn whole, with replacement. One set
of draws serves all systems, compositions and folds: a difference is of the same patients, or
samples, on both sides, also where folds test the same ones.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from study.scores.confusion import Confusion

RESAMPLED_METRICS = ("f1_weighted", "phi")
DRAWS = 1000
KEYS = ("trial", "epoch_rule", "composition", "latent_form")
COUNTS = ("normal", "abnormal", "false_alarms", "hits")
_VALUES_AT_ONCE = 2**22

Float = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Counts = Float32
"""`(4, units, folds)` normal, abnormal, false alarms and hits of each unit."""
Key = tuple[str, str, str, str]
"""Trial, epoch rule, composition and latent form."""


@dataclass(frozen=True)
class Units:
    """Patients or samples of the test sets of one protocol, and what is decided of them.

    Attributes:
        unit: `patient` or `sample`.
        counts: by trial, epoch rule, composition and latent form; the units are the same in all.
    """

    unit: str
    counts: Mapping[Key, Counts]

    @property
    def size(self) -> int:
        """How many units there are."""
        return int(next(iter(self.counts.values())).shape[1])


@dataclass(frozen=True)
class FoldSamples:
    """Test samples of one fold.

    Attributes:
        sample: `(n,)` index in the dataset.
        label: `(n,)` 0 normal, 1 abnormal.
    """

    sample: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]


@dataclass
class Resampled:
    """Metrics of the same draws, by trial, epoch rule, composition and latent form.

    Attributes:
        unit: `patient` or `sample`.
        size: how many units there are.
        drawn: `(draws, folds)` by `RESAMPLED_METRICS` and key; nan where a draw has no decision on
            an abnormal sample of the fold, or on none of its normals: there is no metric then.
    """

    unit: str
    size: int
    drawn: dict[str, dict[Key, Float]] = field(default_factory=dict)

    def error(self, metric: str, first: Key, second: Key) -> float:
        """Return the standard error of the mean difference of two; nan if there is none.

        The mean of a draw is over the folds that have both in it.
        """
        drawn = self.drawn.get(metric, {})
        if self.size < 2 or first not in drawn or second not in drawn:
            return float("nan")
        one, other = drawn[first], drawn[second]
        has_both = ~np.isnan(one - other)
        known = has_both.any(axis=1)
        if np.count_nonzero(known) < 2:
            return float("nan")
        means = (each[known].mean(axis=1, where=has_both[known]) for each in (one, other))
        # Drawing from so few units understates the variance by (size - 1) / size.
        correction = self.size / (self.size - 1)
        return float(np.sqrt(correction * np.var(np.subtract(*means), ddof=1)))


def units_of_patients(strata: pd.DataFrame) -> Units | None:
    """Return the patients of `strata.parquet`'s rows of one protocol; None if there are none."""
    frame = strata[strata["stratum"] == "patient"]
    if frame.empty:
        return None
    names, patient = np.unique(frame["value"].to_numpy(dtype=str), return_inverse=True)
    folds, fold = np.unique(frame["fold"].to_numpy(), return_inverse=True)
    frame = frame.assign(patient=patient, position=fold)
    counts = {}
    for key, rows in frame.groupby(list(KEYS), sort=False):
        table = np.zeros((len(COUNTS), len(names), len(folds)), np.float32)
        at = rows["patient"].to_numpy(), rows["position"].to_numpy()
        table[:, *at] = rows[list(COUNTS)].to_numpy().T
        counts[_key(key)] = table
    return Units("patient", counts)


def units_of_samples(decisions: pd.DataFrame, tested: Mapping[int, FoldSamples]) -> Units | None:
    """Return the samples that any fold tests; None if no decisions are known.

    Args:
        decisions: `FoldDetails.decisions` of one protocol, with a column `trial`.
        tested: by fold.
    """
    return None if decisions.empty else Units("sample", _SampleCounts(decisions, tested))


class _SampleCounts(Mapping[Key, Counts]):
    """Counts of single samples, made when they are asked for: all would fill the memory."""

    def __init__(self, decisions: pd.DataFrame, tested: Mapping[int, FoldSamples]) -> None:
        self._tested = [tested[fold] for fold in sorted(tested)]
        self._fold = {fold: number for number, fold in enumerate(sorted(tested))}
        self._names = np.unique(np.concatenate([each.sample for each in self._tested]))
        self._predicted: dict[Key, dict[int, bytes]] = {}
        for row in decisions[[*KEYS, "fold", "predicted"]].to_dict("records"):
            key = _key([row[name] for name in KEYS])
            self._predicted.setdefault(key, {})[self._fold[row["fold"]]] = row["predicted"]

    def __getitem__(self, key: Key) -> Counts:
        counts = np.zeros((len(COUNTS), len(self._names), len(self._tested)), np.float32)
        for fold, packed in self._predicted[key].items():
            tested = self._tested[fold]
            bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=len(tested.sample))
            called, abnormal = bits.astype(np.bool_), tested.label == 1
            at = np.searchsorted(self._names, tested.sample)
            counts[:, at, fold] = ~abnormal, abnormal, ~abnormal & called, abnormal & called
        return counts

    def __iter__(self) -> Iterator[Key]:
        return iter(self._predicted)

    def __len__(self) -> int:
        return len(self._predicted)


def resampled(units: Units, keys: Iterable[Key], seed: int, draws: int = DRAWS) -> Resampled:
    """Draw units with replacement, and return the metrics of `keys` that are known.

    Args:
        units: of one protocol.
        keys: what is compared.
        seed: of the draws.
        draws: how many.
    """
    known = [key for key in dict.fromkeys(keys) if key in units.counts]
    values: dict[str, dict[Key, list[Float]]] = {
        metric: {key: [] for key in known} for metric in RESAMPLED_METRICS
    }
    for weights in _weights(units.size, seed, draws):
        for key in known:
            counts = units.counts[key]
            confusion = _drawn(weights, counts)
            normals, *_ = counts.sum(axis=1)
            has_metric = (confusion.abnormal > 0) & ((confusion.normal > 0) | (normals == 0))
            for metric, drawn in values.items():
                drawn[key].append(np.where(has_metric, getattr(confusion, metric), np.nan))
    by_key = {
        metric: {key: np.concatenate(parts) for key, parts in drawn.items()}
        for metric, drawn in values.items()
    }
    return Resampled(units.unit, units.size, by_key)


def _drawn(weights: Float32, counts: Counts) -> Confusion:
    """Return the confusion matrices of draws, `(draws, folds)`."""
    cells, units, folds = counts.shape
    flat = counts.transpose(1, 0, 2).reshape(units, cells * folds)  # (4, u, f) -> (u, 4 * f)
    sums = (weights @ flat).astype(np.float64).reshape(len(weights), cells, folds)
    return Confusion(*sums.transpose(1, 0, 2))


def _weights(units: int, seed: int, draws: int) -> Iterator[Float32]:
    """Yield `(k, units)`, how often each is in each of some draws, `draws` in all."""
    random = np.random.default_rng(seed)
    at_once = max(1, min(draws, _VALUES_AT_ONCE // units))
    for start in range(0, draws, at_once):
        some = min(at_once, draws - start)
        yield random.multinomial(units, np.full(units, 1 / units), size=some).astype(np.float32)


def _key(values: Iterable[object]) -> Key:
    trial, rule, composition, form = map(str, values)
    return trial, rule, composition, form
