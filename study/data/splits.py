"""Folds: which samples train, validate and test.

A split depends on the samples and the split's own seed only, never on a model.
Training holds normal samples only. Data without abnormal samples have none in validation and
test either. Protocols are those of the paper's section IV and its appendix "Experimental setup",
of its reference code, and of de Chazal et al. 2004; those of long recordings are in
`study.data.series_splits`.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from study.data.halves import halve
from study.data.samples import Samples
from study.data.series_splits import by_series, by_time
from study.data.settings import SplitSettings
from study.errors import RequestError
from study.randomness import stream_seed

if TYPE_CHECKING:
    import pyarrow as pa

TRAINING_SHARE = 0.85
LONE_FOLD_GROUPS = 5
PARTS = ("training", "validation", "test")
ONE_TEST_SET = frozenset({"kfold", "inter_patient", "given", "time"})
"""Protocols whose folds all have the same test samples."""

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fold:
    """Sorted sample indices of one fold; `training` holds normal samples only."""

    training: Index
    validation: Index
    test: Index


@dataclass(frozen=True)
class Splits:
    """The folds of a study.

    Attributes:
        protocol: the protocol's name.
        folds: the folds, in order.
        split_hash: sha256 (hex) of the protocol and of every index list.
    """

    protocol: str
    folds: tuple[Fold, ...]
    split_hash: str


def make_splits(samples: Samples, settings: SplitSettings, study_seed: int) -> Splits:
    """Divide `samples` by `settings`, drawing from the study's stream "splits".

    Raises:
        RequestError: the samples cannot be divided that way.
    """
    draw = _PROTOCOLS[settings.protocol]
    folds = tuple(draw(samples, settings.folds, stream_seed(study_seed, "splits")))
    if samples.clean:
        folds = tuple(_without_neighbours(samples, fold) for fold in folds)
    for number, fold in enumerate(folds):
        _check(samples, fold, number, settings.protocol)
    return Splits(settings.protocol, folds, _hash(settings.protocol, folds))


def splits_by_protocol(
    samples: Samples, settings: SplitSettings, study_seed: int
) -> dict[str, Splits]:
    """Return the folds of every protocol of a study."""
    return {
        protocol: make_splits(
            samples, settings.model_copy(update={"protocol": protocol}), study_seed
        )
        for protocol in settings.protocols
    }


def splits_table(samples: Samples, splits: Mapping[str, Splits]) -> "pa.Table":
    """Return `splits.parquet`, a row per member: fold, split, sample index, record, protocol."""
    import pyarrow as pa

    protocols: list[str] = []
    fold, part, index = [], [], []
    for protocol, divided in splits.items():
        for number, members in enumerate(divided.folds):
            for name in PARTS:
                indices = getattr(members, name)
                fold.append(np.full(len(indices), number, dtype=np.int32))
                protocols += [protocol] * len(indices)
                part += [name] * len(indices)
                index.append(indices)
    sample = np.concatenate(index)
    return pa.table(
        {
            "fold": np.concatenate(fold),
            "split": part,
            "sample": sample,
            "record": samples.record[sample].tolist(),
            "protocol": protocols,
        }
    )


def stored_split_hashes(table: "pa.Table") -> dict[str, str]:
    """Return the `split_hash` of each protocol's folds in `splits.parquet`."""
    frame = table.to_pandas()
    hashes = {}
    for protocol, rows in frame.groupby("protocol", sort=False):
        folds = []
        for number in range(int(rows["fold"].max()) + 1):
            own = rows[rows["fold"] == number]
            parts = (own[own["split"] == part]["sample"].to_numpy(np.int64) for part in PARTS)
            folds.append(Fold(*parts))
        hashes[str(protocol)] = _hash(str(protocol), tuple(folds))
    return hashes


def _paper(samples: Samples, folds: int, seed: int) -> Iterator[Fold]:
    """Decision 3: 85 % of the normals train; the rest halve, stratified by class.

    One such draw per fold.
    """
    normal, abnormal = _by_label(samples)
    for number in range(folds):
        random = np.random.default_rng(stream_seed(seed, "paper", number))
        order = random.permutation(normal)
        cut = round(TRAINING_SHARE * len(normal))
        training, rest = order[:cut], np.concatenate([order[cut:], abnormal])
        validation, test = halve(samples, rest, random)
        yield _fold(training, validation, test)


def _kfold(samples: Samples, folds: int, seed: int) -> Iterator[Fold]:
    """The reference code's form: one test set for all folds.

    15 % of the normals and half of the abnormals test; the other half of the
    abnormals validates in every fold, with that fold's part of the normals.
    """
    normal, abnormal = _by_label(samples)
    random = np.random.default_rng(stream_seed(seed, "kfold"))
    order = random.permutation(normal)
    cut = round((1 - TRAINING_SHARE) * len(normal))
    test_normal, rest = order[:cut], order[cut:]
    validation_abnormal, test_abnormal = halve(samples, abnormal, random)
    test = np.concatenate([test_normal, test_abnormal])
    yield from _dealt(rest, validation_abnormal, test, folds, folds)


def _dealt(normals: Index, validated: Index, test: Index, folds: int, parts: int) -> Iterator[Fold]:
    """Deal shuffled normals into parts; a fold validates with one of them, and trains on the rest.

    Args:
        normals: in the order in which they are dealt.
        validated: what validates in every fold besides.
        test: what tests in every fold.
        folds: at most `parts`.
        parts: at least 2.
    """
    from sklearn.model_selection import KFold

    if len(normals) < parts:
        raise RequestError(
            f"split.folds: {len(normals)} normal samples cannot be divided into {parts} folds; use"
            " fewer folds or raise dataset.limit"
        )
    for training, validation in list(KFold(parts).split(normals))[:folds]:
        yield _fold(normals[training], np.concatenate([normals[validation], validated]), test)


def _given(samples: Samples, folds: int, seed: int) -> Iterator[Fold]:
    """The data's own division: one test set, and training data that validate as well.

    Normals of the training data are dealt into as many parts as there are folds (five for a
    single fold); a fold validates with one of them, and with all abnormals of the training data.
    """
    own = np.flatnonzero(samples.side == "train")
    test = np.flatnonzero(samples.side == "test")
    if not len(own) or not len(test):
        raise RequestError(
            "split.protocol: given needs a dataset with a test set of its own (dataset.test_path of"
            " table and ucr, DS2 of mitbih); use paper or kfold"
        )
    is_normal = samples.label[own] == 0
    order = np.random.default_rng(stream_seed(seed, "given")).permutation(own[is_normal])
    yield from _dealt(order, own[~is_normal], test, folds, folds if folds > 1 else LONE_FOLD_GROUPS)


def _inter_patient(samples: Samples, folds: int, seed: int) -> Iterator[Fold]:
    """De Chazal's division: DS1 trains and validates by patient, DS2 tests.

    DS1's patients are dealt into as many groups as there are folds (five for a
    single fold), stratified by class; a fold validates with one group.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    if not (samples.side == "train").any() or not (samples.side == "test").any():
        raise RequestError(
            "split.protocol: inter_patient needs a dataset whose patients are divided"
            " (mitbih, synthetic); use paper or kfold"
        )
    own = np.flatnonzero(samples.side == "train")
    test = np.flatnonzero(samples.side == "test")
    groups = folds if folds > 1 else LONE_FOLD_GROUPS
    patients = len(np.unique(samples.patient[own]))
    if patients < groups:
        raise RequestError(
            f"split.folds: inter_patient has {patients} patients to train with, fewer than"
            f" {groups} groups; use fewer folds"
        )
    if np.unique(samples.kind[own], return_counts=True)[1].max() < groups:
        raise RequestError(
            f"split.folds: every class has fewer samples than {groups} groups; use fewer folds or"
            " raise dataset.limit"
        )
    dealer = StratifiedGroupKFold(
        groups, shuffle=True, random_state=stream_seed(seed, "inter_patient") % 2**32
    )
    dealt = dealer.split(own, samples.kind[own], samples.patient[own])
    for training, validation in list(dealt)[:folds]:
        members = own[training]
        yield _fold(members[samples.label[members] == 0], own[validation], test)


def _time(samples: Samples, folds: int, seed: int) -> Iterator[Fold]:
    """The beginning of each recording trains, what follows tests; nothing is drawn."""
    del seed
    groups = folds if folds > 1 else LONE_FOLD_GROUPS
    for parts in itertools.islice(by_time(samples, groups), folds):
        yield _fold(*parts)


def _series(samples: Samples, folds: int, seed: int) -> Iterator[Fold]:
    """Whole recordings train, validate or test."""
    for parts in by_series(samples, folds, seed):
        yield _fold(*parts)


_PROTOCOLS: dict[str, Callable[[Samples, int, int], Iterator[Fold]]] = {
    "paper": _paper,
    "kfold": _kfold,
    "inter_patient": _inter_patient,
    "given": _given,
    "time": _time,
    "series": _series,
}


def _by_label(samples: Samples) -> tuple[Index, Index]:
    return np.flatnonzero(samples.label == 0), np.flatnonzero(samples.label == 1)


def _without_neighbours(samples: Samples, fold: Fold) -> Fold:
    """Leave training samples out whose window holds an abnormal neighbour."""
    return replace(fold, training=fold.training[~samples.abnormal_neighbour[fold.training]])


def _fold(training: Index, validation: Index, test: Index) -> Fold:
    return Fold(*(np.sort(members).astype(np.int64) for members in (training, validation, test)))


def _check(samples: Samples, fold: Fold, number: int, protocol: str) -> None:
    if len(fold.training) < 2:
        raise RequestError(
            f"split: fold {number} has {len(fold.training)} training normals, at least 2 are"
            " needed; raise dataset.limit"
        )
    for part in ("validation", "test"):
        labels = samples.label[getattr(fold, part)]
        # What is given for training may be normal alone, though other data are not, and so may
        # the beginning of a recording.
        may_be_normal = protocol in ("given", "time") and part == "validation"
        is_mixed = samples.label.any() and not may_be_normal
        if not (labels == 0).any() or (is_mixed and not (labels == 1).any()):
            needed = "both are needed" if is_mixed else "normal ones are needed"
            raise RequestError(
                f"split: {part} of fold {number} has {(labels == 0).sum()} normal and"
                f" {(labels == 1).sum()} abnormal samples, {needed}; raise dataset.limit"
                " or change split.folds"
            )


def _hash(protocol: str, folds: tuple[Fold, ...]) -> str:
    digest = hashlib.sha256(protocol.encode())
    for fold in folds:
        for part in PARTS:
            members: Index = getattr(fold, part)
            digest.update(f"{part}:{len(members)};".encode())
            digest.update(np.ascontiguousarray(members, dtype="<i8").tobytes())
    return digest.hexdigest()
