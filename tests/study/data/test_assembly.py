import numpy as np
import pytest

from study.data.assembly import build_samples, content_hash, stratified_subset


def made(kinds: list[str]):
    values = np.linspace(0, 1, len(kinds) * 4).reshape(len(kinds), 4)
    return build_samples(values, [int(kind != "a") for kind in kinds], kinds, kinds)


def test_what_is_not_given_is_unknown():
    samples = made(["a", "b"])
    assert samples.values.shape == (2, 1, 4)
    assert samples.record.tolist() == samples.patient.tolist() == samples.side.tolist() == ["", ""]
    assert samples.start.tolist() == [-1, -1]
    assert samples.extent.tolist() == [4, 4]


@pytest.mark.parametrize("name", ["values", "label", "kind", "start"])
def test_the_content_hash_sees_every_change(name):
    samples, changed = made(["a", "b"]), made(["a", "b"])
    array = getattr(changed, name)
    array.reshape(-1)[0] = "z" if name == "kind" else array.reshape(-1)[0] + 1
    assert content_hash(samples) == samples.content_hash
    assert content_hash(changed) != samples.content_hash


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10, 50, 99])
def test_a_subset_has_exactly_the_wanted_size(limit):
    samples = made(["a"] * 90 + ["b"] * 7 + ["c"] * 3)
    subset = stratified_subset(samples, limit, 0)
    assert len(subset) == limit
    if limit >= 3:
        assert set(subset.kind) == {"a", "b", "c"}


def test_a_subset_of_ten_is_shared_by_proportion():
    samples = made(["a"] * 80 + ["b"] * 10 + ["c"] * 10)
    kinds, counts = np.unique(stratified_subset(samples, 10, 3).kind, return_counts=True)
    assert dict(zip(kinds, counts, strict=True)) == {"a": 8, "b": 1, "c": 1}


def test_a_limit_above_the_count_keeps_all():
    samples = made(["a", "b"])
    assert stratified_subset(samples, 3, 0) is samples
    assert stratified_subset(samples, None, 0) is samples
