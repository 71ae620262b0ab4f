from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.schema import SplitSettings
from study.data import load
from study.data.assembly import build_samples
from study.data.leakage import count_abnormal_neighbours
from study.data.samples import Samples
from study.data.splits import PARTS, Fold, Splits, make_splits, splits_table
from study.data.synthetic import SyntheticSettings
from study.errors import RequestError

KINDS = ("S", "V", "F")


@st.composite
def sample_sets(draw: Callable[..., Any]) -> Samples:
    """Samples, few or many, of patients who have few or many of them."""
    abnormal = [draw(st.integers(0, 9)) for _ in KINDS]
    kinds = kinds_of(draw(st.integers(0, 60)), abnormal)
    random = np.random.default_rng(draw(st.integers(0, 1000)))
    who = random.integers(draw(st.integers(1, 12)), size=len(kinds))
    return samples_of(kinds[random.permutation(len(kinds))], who)


@st.composite
def ample_sets(draw: Callable[..., Any]) -> Samples:
    """Samples that every protocol can divide: each patient has about as many of each kind."""
    patients = draw(st.integers(12, 16))
    abnormal = [draw(st.integers(16, 24)) for _ in KINDS]
    kinds = kinds_of(draw(st.integers(30, 90)), abnormal)
    order = np.random.default_rng(draw(st.integers(0, 1000))).permutation(len(kinds))
    return samples_of(kinds[order], (np.arange(len(kinds)) % patients)[order])


def kinds_of(normal: int, abnormal: Sequence[int]) -> npt.NDArray[np.str_]:
    return np.repeat(["N", *KINDS], [normal, *abnormal])


def samples_of(kinds: npt.NDArray[np.str_], who: npt.NDArray[np.int64]) -> Samples:
    """Samples of these kinds and patients, half of whom train and a quarter of whom test."""
    sides = np.array(["train", "test", "train", "excluded"])
    return build_samples(
        np.zeros((len(kinds), 32)),
        kinds != "N",
        kinds,
        kinds,
        record=[f"r{w}-{i % 2}" for i, w in enumerate(who)],
        patient=[f"p{w}" for w in who],
        side=sides[who % 4],
    )


def divided(samples: Samples, protocol: str, folds: int = 3, seed: int = 0) -> Splits:
    return make_splits(samples, SplitSettings(protocol=protocol, folds=folds), seed)


def indices(fold: Fold) -> dict[str, set[int]]:
    return {part: set(getattr(fold, part).tolist()) for part in PARTS}


PROTOCOLS = ["paper", "kfold", "inter_patient", "given"]


def assert_sound(splits: Splits, samples: Samples, protocol: str, folds: int) -> None:
    assert splits.protocol == protocol
    assert len(splits.folds) == folds
    for fold in splits.folds:
        parts = indices(fold)
        assert sum(map(len, parts.values())) == len(set().union(*parts.values()))
        assert set().union(*parts.values()) <= set(range(len(samples)))
        assert (samples.label[fold.training] == 0).all()
        for part in PARTS:
            members = getattr(fold, part)
            assert members.dtype == np.int64
            assert (np.diff(members) > 0).all()
        for part in PARTS[1:]:
            labels = set(samples.label[getattr(fold, part)])
            assert 0 in labels
            if (protocol, part) != ("given", "validation"):
                assert (1 in labels) == samples.label.any()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(samples=sample_sets(), folds=st.integers(2, 12), seed=st.integers(0, 2**63 - 1))
def test_any_data_are_divided_soundly_or_refused(
    protocol: str, samples: Samples, folds: int, seed: int
) -> None:
    try:
        splits = divided(samples, protocol, folds, seed)
    except RequestError:
        return
    assert_sound(splits, samples, protocol, folds)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(samples=ample_sets(), folds=st.integers(2, 5), seed=st.integers(0, 2**63 - 1))
def test_data_that_suffice_are_divided_soundly(
    protocol: str, samples: Samples, folds: int, seed: int
) -> None:
    assert_sound(divided(samples, protocol, folds, seed), samples, protocol, folds)


@given(samples=ample_sets(), folds=st.integers(1, 5))
def test_paper_trains_on_85_percent_and_halves_the_rest_by_class(
    samples: Samples, folds: int
) -> None:
    splits = divided(samples, "paper", folds)
    normals = int((samples.label == 0).sum())
    for fold in splits.folds:
        assert abs(len(fold.training) - 0.85 * normals) <= 0.5
        assert len(fold.training) + len(fold.validation) + len(fold.test) == len(samples)
        for kind in np.unique(samples.kind):
            halves = [(samples.kind[getattr(fold, p)] == kind).sum() for p in PARTS[1:]]
            assert abs(int(halves[0]) - int(halves[1])) <= 1, kind


def test_paper_draws_each_fold_anew(tiny_samples: Callable[..., Samples]) -> None:
    splits = divided(tiny_samples(100, 20), "paper", 4)
    assert len({fold.training.tobytes() for fold in splits.folds}) == 4
    assert len({fold.test.tobytes() for fold in splits.folds}) == 4


@given(samples=ample_sets(), folds=st.integers(2, 6))
def test_kfold_has_one_test_set_and_deals_the_other_normals(samples: Samples, folds: int) -> None:
    splits = divided(samples, "kfold", folds)
    first, normals = splits.folds[0], np.flatnonzero(samples.label == 0)
    for fold in splits.folds:
        assert np.array_equal(fold.test, first.test)
    tested = samples.label[first.test]
    assert abs((tested == 0).sum() - 0.15 * len(normals)) <= 0.5
    for kind in set(samples.kind[samples.label == 1]):
        total = int((samples.kind == kind).sum())
        assert abs(2 * int((samples.kind[first.test] == kind).sum()) - total) <= 1
    rest = set(normals.tolist()) - set(first.test.tolist())
    validated = [fold.validation[samples.label[fold.validation] == 0] for fold in splits.folds]
    assert sorted(np.concatenate(validated).tolist()) == sorted(rest)
    for fold, validation in zip(splits.folds, validated, strict=True):
        assert set(fold.training.tolist()) == rest - set(validation.tolist())
        abnormal = fold.validation[samples.label[fold.validation] == 1]
        assert set(abnormal.tolist()) == set(np.flatnonzero(samples.label == 1).tolist()) - set(
            first.test.tolist()
        )
    sizes = [len(v) for v in validated]
    assert max(sizes) - min(sizes) <= 1


@given(samples=ample_sets(), folds=st.integers(1, 4), seed=st.integers(0, 99))
def test_inter_patient_keeps_records_and_patients_in_one_part(
    samples: Samples, folds: int, seed: int
) -> None:
    splits = divided(samples, "inter_patient", folds, seed)
    tested = np.flatnonzero(samples.side == "test")
    for fold in splits.folds:
        assert np.array_equal(fold.test, tested)
        for names in (samples.record, samples.patient):
            seen = [set(names[getattr(fold, part)].tolist()) for part in PARTS]
            assert not seen[0] & seen[1]
            assert not seen[0] & seen[2]
            assert not seen[1] & seen[2]
        for part in PARTS:
            assert "excluded" not in samples.side[getattr(fold, part)]
    if folds > 1:
        validated = np.concatenate([fold.validation for fold in splits.folds])
        assert sorted(validated.tolist()) == np.flatnonzero(samples.side == "train").tolist()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(samples=ample_sets())
def test_splits_depend_on_what_samples_are_and_on_the_seed_alone(
    protocol: str, samples: Samples
) -> None:
    other = replace(samples, values=1 - samples.values, content_hash="other")
    np.random.seed(5)  # noqa: NPY002 - the global stream must not matter
    first = divided(samples, protocol, 3, 1)
    np.random.seed(6)  # noqa: NPY002
    second = divided(other, protocol, 3, 1)
    assert first.split_hash == second.split_hash
    for a, b in zip(first.folds, second.folds, strict=True):
        assert indices(a) == indices(b)
    assert len({divided(samples, protocol, 3, seed).split_hash for seed in range(8)}) > 4


@pytest.mark.parametrize("protocol", ["inter_patient", "given"])
@given(samples=ample_sets(), seed=st.integers(0, 99))
def test_a_single_fold_is_the_first_of_five(protocol: str, samples: Samples, seed: int) -> None:
    (alone,) = divided(samples, protocol, 1, seed).folds
    assert indices(alone) == indices(divided(samples, protocol, 5, seed).folds[0])


def test_a_fold_of_paper_does_not_depend_on_how_many_there_are(
    tiny_samples: Callable[..., Samples],
) -> None:
    few, many = (divided(tiny_samples(60, 20), "paper", n) for n in (2, 5))
    for a, b in zip(few.folds, many.folds[:2], strict=True):
        assert indices(a) == indices(b)


def test_the_hash_is_of_every_index(tiny_samples: Callable[..., Samples]) -> None:
    """Recomputed from the table as it is stored."""
    import hashlib

    samples = tiny_samples(60, 20)
    splits = divided(samples, "paper", 2)
    table = splits_table(samples, {"paper": splits}).to_pandas()

    def hashed(frame: Any) -> str:
        digest = hashlib.sha256(b"paper")
        for number in range(2):
            for part in PARTS:
                rows = frame[(frame["fold"] == number) & (frame["split"] == part)]
                digest.update(f"{part}:{len(rows)};".encode())
                digest.update(rows["sample"].to_numpy().astype("<i8").tobytes())
        return digest.hexdigest()

    assert hashed(table) == splits.split_hash
    seen = {splits.split_hash}
    for row in (0, len(table) // 2, len(table) - 1):
        moved = table.copy()
        moved.loc[row, "sample"] += 1
        seen.add(hashed(moved))
    assert len(seen) == 4
    assert set(table["protocol"]) == {"paper"}
    assert (samples.record[table["sample"]] == table["record"]).all()


@pytest.mark.parametrize(
    ("protocol", "normal", "abnormal", "folds"),
    [
        ("paper", 0, 10, 2),
        ("paper", 2, 4, 2),
        ("paper", 0, 0, 1),
        ("kfold", 0, 10, 2),
        ("kfold", 8, 10, 20),
        ("kfold", 1, 10, 2),
        ("inter_patient", 20, 10, 2),
    ],
)
def test_too_small_data_are_a_wrong_request(
    protocol: str, normal: int, abnormal: int, folds: int, tiny_samples: Callable[..., Samples]
) -> None:
    if normal + abnormal == 0:
        samples = tiny_samples(4, 4).take(np.array([], dtype=np.int64))
    else:
        samples = tiny_samples(normal, abnormal)
    with pytest.raises(RequestError, match="split"):
        make_splits(samples, SplitSettings(protocol=protocol, folds=folds), 0)


def test_patients_with_one_sample_each_are_divided_or_refused() -> None:
    kinds = ["N", "S", "V", "F", "Q", "N", "S"]
    side = ["train"] * 5 + ["test"] * 2
    who = [f"p{i}" for i in range(7)]
    label = [int(kind != "N") for kind in kinds]
    samples = build_samples(
        np.zeros((7, 32)), label, kinds, kinds, record=who, patient=who, side=side
    )
    with pytest.raises(RequestError, match="split"):
        make_splits(samples, SplitSettings(protocol="inter_patient", folds=5), 0)


@pytest.mark.parametrize("protocol", ["paper", "kfold", "inter_patient"])
def test_clean_leaves_neighbours_out_of_training_and_of_nothing_else(
    protocol: str, tmp_path: Path
) -> None:
    settings = SyntheticSettings(length=32, beats_per_patient=40)
    samples = load(settings, tmp_path, 0, tmp_path)
    cleaned = load(settings.model_copy(update={"clean": True}), tmp_path, 0, tmp_path)
    assert cleaned.content_hash == samples.content_hash
    division = SplitSettings.model_validate({"protocol": protocol, "folds": 2})
    every, clean = (make_splits(each, division, 0) for each in (samples, cleaned))
    assert every.split_hash != clean.split_hash
    counts = count_abnormal_neighbours(samples, every)
    for fold, less, count in zip(every.folds, clean.folds, counts, strict=True):
        np.testing.assert_array_equal(fold.validation, less.validation)
        np.testing.assert_array_equal(fold.test, less.test)
        left_out = set(fold.training.tolist()) - set(less.training.tolist())
        assert len(less.training) == len(fold.training) - len(left_out)
        assert left_out == {i for i in fold.training.tolist() if samples.abnormal_neighbour[i]}
        assert count == len(left_out) > 0
    assert count_abnormal_neighbours(cleaned, clean) == (0, 0)


@given(samples=ample_sets(), folds=st.integers(1, 6))
def test_given_tests_on_the_data_s_own_test_set_and_deals_the_normals_of_the_rest(
    samples: Samples, folds: int
) -> None:
    splits = divided(samples, "given", folds)
    own = np.flatnonzero(samples.side == "train")
    normals, abnormals = (set(own[samples.label[own] == label].tolist()) for label in (0, 1))
    dealt = []
    for fold in splits.folds:
        parts = indices(fold)
        assert parts["test"] == set(np.flatnonzero(samples.side == "test").tolist())
        assert parts["training"] | (parts["validation"] - abnormals) == normals
        assert abnormals <= parts["validation"]
        dealt.append(parts["validation"] & normals)
    assert sum(map(len, dealt)) == len(set().union(*dealt))
    if folds > 1:
        assert set().union(*dealt) == normals


@pytest.mark.parametrize("protocol", ["paper", "kfold"])
def test_data_of_normals_alone_are_divided(
    protocol: str, tiny_samples: Callable[..., Samples]
) -> None:
    samples = tiny_samples(60, 0)
    splits = divided(samples, protocol, 3)
    for fold in splits.folds:
        assert {len(getattr(fold, part)) > 0 for part in PARTS} == {True}


def test_given_needs_a_test_set(tiny_samples: Callable[..., Samples]) -> None:
    with pytest.raises(RequestError, match=r"split\.protocol: given needs .*test_path"):
        make_splits(tiny_samples(), SplitSettings(protocol="given"), 0)
