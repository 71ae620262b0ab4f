"""Samples from arrays: types, ranges, the content hash and stratified subsets."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from study.data.samples import ARRAYS, Samples
from study.randomness import stream_seed

NOT_HASHED = ("position", "abnormal_neighbour")
"""Arrays that samples came to have later, and which say nothing of what is trained on."""


def content_hash(samples: Samples) -> str:
    """Return the sha256 (hex) of what `samples` hold, but for `NOT_HASHED` and `clean`."""
    digest = hashlib.sha256()
    arrays = {name: getattr(samples, name) for name in ARRAYS if name not in NOT_HASHED}
    # Without components or events the hash is what it was before there were any.
    arrays |= {f"components.{name}": each for name, each in sorted(samples.components.items())}
    arrays |= {f"events.{name}": each for name, each in sorted(samples.events.items())}
    for name, values in arrays.items():
        array = np.ascontiguousarray(values)
        header = [name, array.dtype.str, list(array.shape)]
        digest.update(json.dumps(header).encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    digest.update(json.dumps(samples.sampling_rate_hz).encode())
    return digest.hexdigest()


def build_samples(
    values: npt.ArrayLike,
    label: npt.ArrayLike,
    kind: Sequence[str] | npt.NDArray[np.str_],
    symbol: Sequence[str] | npt.NDArray[np.str_],
    *,
    record: Sequence[str] | npt.NDArray[np.str_] | None = None,
    patient: Sequence[str] | npt.NDArray[np.str_] | None = None,
    side: Sequence[str] | npt.NDArray[np.str_] | None = None,
    start: npt.ArrayLike | None = None,
    extent: npt.ArrayLike | None = None,
    position: npt.ArrayLike | None = None,
    abnormal_neighbour: npt.ArrayLike | None = None,
    sampling_rate_hz: float = 0.0,
    unit_range: bool = True,
    components: Mapping[str, npt.ArrayLike] | None = None,
    channel_names: Sequence[str] = (),
    events: Mapping[str, npt.NDArray[np.int64]] | None = None,
) -> Samples:
    """Return `Samples` with its types and content hash; what is None is unknown.

    Args:
        values: `(n, length)` of one channel, or `(n, channels, length)`.
        label: `(n,)` 0 normal, 1 abnormal.
        kind: `(n,)` class of each sample.
        symbol: `(n,)` annotation of each sample.
        record: `(n,)` record of each sample; unknown is "".
        patient: `(n,)` patient of each sample; unknown is "".
        side: `(n,)` inter-patient side; none is "".
        start: `(n,)` first position in the record; none is -1.
        extent: `(n,)` length in the record; unknown is the length of `values`.
        position: `(n,)` where in its record a sample is, whatever its window; unknown is -1.
        abnormal_neighbour: `(n,)` whether another sample in its window is abnormal; unknown is
            False.
        sampling_rate_hz: rate that `start` and `extent` count in; unknown is 0.0.
        unit_range: whether values are in [0, 1], or are scaled later by each fold.
        components: name to `(n,)`, finite; None for none.
        channel_names: of several channels; () numbers them.
        events: of windows of recordings, each record's abnormal stretches; None for none.
    """
    channelled = np.ascontiguousarray(values, dtype=np.float32)
    if channelled.ndim == 2:
        channelled = channelled[:, np.newaxis, :]  # (n, length) -> (n, 1, length)
    count, channels, length = channelled.shape
    assert len(channel_names) in (0, channels)
    assert np.isfinite(channelled).all()
    assert not (count and unit_range) or (channelled.min() >= 0 and channelled.max() <= 1)
    unknown = [""] * count
    samples = Samples(
        values=channelled,
        label=np.asarray(label, dtype=np.int8),
        kind=np.asarray(kind, dtype=np.str_),
        symbol=np.asarray(symbol, dtype=np.str_),
        record=np.asarray(unknown if record is None else record, dtype=np.str_),
        patient=np.asarray(unknown if patient is None else patient, dtype=np.str_),
        side=np.asarray(unknown if side is None else side, dtype=np.str_),
        start=np.asarray([-1] * count if start is None else start, dtype=np.int64),
        extent=np.asarray([length] * count if extent is None else extent, dtype=np.int64),
        position=np.asarray([-1] * count if position is None else position, dtype=np.int64),
        abnormal_neighbour=np.asarray(
            [False] * count if abnormal_neighbour is None else abnormal_neighbour, dtype=np.bool_
        ),
        sampling_rate_hz=sampling_rate_hz,
        content_hash="",
        components={
            name: np.asarray(each, dtype=np.float32) for name, each in (components or {}).items()
        },
        channel_names=tuple(channel_names or map(str, range(channels))) if channels > 1 else (),
        events=dict(events or {}),
    )
    assert all(len(each) == count for each in samples.components.values())
    assert all(np.isfinite(each).all() for each in samples.components.values())
    return replace(samples, content_hash=content_hash(samples))


def stratified_subset(samples: Samples, limit: int | None, seed: int) -> Samples:
    """Return `limit` samples in their original order, or all if there are no more.

    Kinds keep their proportions (largest remainder); a kind that the proportions
    would drop keeps one sample while there is room. The subset has a content hash
    of its own.

    Args:
        samples: the samples to draw from.
        limit: how many to keep; None keeps all.
        seed: the study's seed.
    """
    if limit is None or limit >= len(samples):
        return samples
    generator = np.random.default_rng(stream_seed(seed, "data", "limit"))
    kinds, counts = np.unique(samples.kind, return_counts=True)
    chosen = [
        generator.permutation(np.flatnonzero(samples.kind == kind))[:share]
        for kind, share in zip(kinds, _shares(counts, limit), strict=True)
    ]
    subset = samples.take(np.sort(np.concatenate(chosen)))
    return replace(subset, content_hash=content_hash(subset))


def _shares(counts: npt.NDArray[np.int64], limit: int) -> npt.NDArray[np.int64]:
    """Divide `limit` in proportion to `counts`, each at most its count; sums to `limit`."""
    exact = counts * (limit / counts.sum())
    shares = np.asarray(np.floor(exact), dtype=np.int64)
    if limit >= len(counts):
        shares = np.maximum(shares, 1)
    while shares.sum() < limit:
        # A full kind takes no more, whatever its remainder.
        shares[np.argmax(np.where(shares < counts, exact - shares, -np.inf))] += 1
    while shares.sum() > limit:
        shares[np.argmax(np.where(shares > 1, shares - exact, -np.inf))] -= 1
    return shares
