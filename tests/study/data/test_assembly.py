import numpy as np
import pytest

from study.data.assembly import build_samples, content_hash, stratified_subset


def made(kinds: list[str], components=None):
    values = np.linspace(0, 1, len(kinds) * 4).reshape(len(kinds), 4)
    labels = [int(kind != "a") for kind in kinds]
    return build_samples(values, labels, kinds, kinds, components=components)


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


def test_components_go_with_their_samples_and_into_the_content_hash():
    samples = made(["a", "b", "a"], {"pause": [0.5, 1.5, 2.5], "early": [3, 4, 5]})
    taken = samples.take(np.array([2, 0]))
    assert {name: each.tolist() for name, each in taken.components.items()} == {
        "pause": [2.5, 0.5],
        "early": [5.0, 3.0],
    }
    assert {each.dtype for each in taken.components.values()} == {np.dtype(np.float32)}
    hashes = {
        made(["a", "b", "a"], components).content_hash
        for components in (
            None,
            {"pause": [0.5, 1.5, 2.5]},
            {"pause": [0.5, 1.5, 2.75]},
            {"early": [0.5, 1.5, 2.5]},
        )
    }
    assert len(hashes) == 4


def test_the_content_hash_of_samples_without_components_is_what_it_was():
    assert made(["a", "b"]).content_hash.startswith("4b2949e57f768882")


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
