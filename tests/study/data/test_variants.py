"""The same samples in every variant of a dataset, and that nothing else passes for them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.data import load, load_all
from study.data.assembly import build_samples, content_hash
from study.data.beat_settings import CentredWindow
from study.data.samples import Samples
from study.data.synthetic import RECORD_RATE_HZ, SyntheticSettings
from study.data.variants import Variants, in_common, load_variants
from study.errors import RequestError

SIZE = {"patients": 2, "beats_per_patient": 6, "abnormal_fraction": 0.3}
centred = st.builds(
    lambda width, before, rate: {
        "name": "centred",
        "before": before / rate,
        "after": (width - before) / rate,
        "rate": rate,
    },
    width=st.sampled_from([32, 64, 160]),
    before=st.integers(0, 31),
    rate=st.sampled_from([25, 100, 125, 360]),
)
variant_settings = st.one_of(
    st.builds(lambda window: {"window": window}, centred),
    st.builds(lambda length: {"length": length}, st.sampled_from([32, 96, 160])),
).flatmap(
    lambda window: st.builds(
        lambda amplitude, components: SyntheticSettings.model_validate(
            {**SIZE, **window, "amplitude": amplitude, "components": components}
        ),
        st.sampled_from(["beat", "record", "first_minutes"]),
        st.sampled_from(["none", "record"]),
    )
)


@given(
    settings=st.lists(variant_settings, min_size=2, max_size=3), limit=st.sampled_from([None, 7])
)
def test_any_choice_of_windows_has_the_same_beats_in_the_same_order(
    settings: list[SyntheticSettings], limit: int | None
) -> None:
    folder = Path("/dev/null/nothing is kept")
    settings = [each.model_copy(update={"limit": limit}) for each in settings]
    variants = load_variants(settings, folder, 3, folder)
    assert variants.left_out == 0
    first = variants.samples[0]
    for own, samples in zip(settings, variants.samples, strict=True):
        # Each is what a study of it alone has.
        assert samples.content_hash == load(own, folder, 3, folder).content_hash
        assert (samples.length, samples.record.tolist()) == (own.length, first.record.tolist())
        assert np.array_equal(samples.label, first.label)
        # The R peak of each, from where its window begins in its own rate.
        peaks = np.floor(first.position * (own.window.rate_hz / RECORD_RATE_HZ) + 0.5)
        before = own.window.before * own.window.rate if isinstance(own.window, CentredWindow) else 0
        assert np.array_equal(samples.start, np.maximum(peaks - round(before), 0))


def samples_at(places: Sequence[tuple[str, int]], scale: float = 1.0, **other: Any) -> Samples:
    """Return samples whose values, and labels, say where they are."""
    number = [int(record[1:]) * 100 + position for record, position in places]
    values = np.tile(np.array(number, dtype=np.float64)[:, np.newaxis] / 1000 * scale, (1, 32))
    label = [value % 2 for value in number]
    kind = np.where(label, "abnormal", "normal")
    columns: dict[str, Any] = {
        "record": [record for record, _ in places],
        "position": [position for _, position in places],
        "components": {"early": number},
    }
    return build_samples(values, label, kind, kind, **columns | other)


places = st.tuples(st.sampled_from(["r1", "r2", "r7"]), st.integers(0, 12))


@given(variants=st.lists(st.lists(places, unique=True, max_size=20), min_size=2, max_size=4))
def test_what_not_every_variant_has_is_left_out_of_all(
    variants: list[list[tuple[str, int]]],
) -> None:
    whole = [samples_at(each, 1 / (number + 1)) for number, each in enumerate(variants)]
    kept = [place for place in variants[0] if all(place in other for other in variants)]
    if not kept:
        with pytest.raises(RequestError, match="no sample is in all variants"):
            in_common(whole)
        return
    common, left_out = in_common(whole)
    assert left_out == len(set().union(*variants) - set(kept))
    for number, samples in enumerate(common):
        expected = samples_at(kept, 1 / (number + 1))
        assert samples.content_hash == expected.content_hash == content_hash(samples)
        assert np.array_equal(samples.values, expected.values)
        assert np.array_equal(samples.components["early"], expected.components["early"])
        assert samples.position.tolist() == [position for _, position in kept]
        assert (samples is whole[number]) == (kept == variants[number])


PLACES = [("r1", 3), ("r1", 8), ("r2", 3), ("r2", 5)]
NO_EVENTS = {name: np.empty((0, 2), dtype=np.int64) for name in ("r1", "r2")}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (samples_at(PLACES, position=None), "its samples do not say where in their records"),
        (samples_at(PLACES, start=[3, 8, 3, 5], events=NO_EVENTS), "start -1 and 3 at position 3"),
        (samples_at([*PLACES, PLACES[0]]), "two of its samples are at the same position of one"),
        (samples_at(PLACES, patient=["a", "b", "c", "d"]), "patient  and a at position 3 .* 'r1'"),
        (
            replace(samples_at(PLACES), label=np.array([1, 0, 0, 0])),
            "label 1 and 0 at position 3 of record 'r2'",
        ),
    ],
)
def test_what_cannot_be_told_to_be_the_same_is_refused(other: Samples, words: str) -> None:
    with pytest.raises(RequestError, match=words) as raised:
        in_common([samples_at(PLACES), other])
    assert "\n" not in str(raised.value)


def test_a_dataset_alone_is_loaded_once_and_stands_for_every_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import study.data

    settings, loaded = SyntheticSettings(**SIZE), []
    real = study.data.load_all
    monkeypatch.setattr(study.data, "load_all", lambda *each: loaded.append(each) or real(*each))
    variants = load_variants([settings], tmp_path, 0, tmp_path)
    assert len(loaded) == 1
    assert variants.of(settings) is variants.of(SyntheticSettings()) is variants.samples[0]


def test_a_trial_has_the_samples_of_its_dataset() -> None:
    two = SyntheticSettings(), SyntheticSettings(amplitude="record")
    variants = Variants(two, (samples_at(PLACES), samples_at(PLACES[:2])))
    read_back = SyntheticSettings.model_validate(two[1].model_dump(mode="json"))
    assert variants.of(read_back) is variants.samples[1]
    assert variants.size == 6 * 32 * 4


def clean_windows(seed: int, before: float, after: float) -> tuple[Variants | str, list[Any]]:
    """Two windows of clean beats, or why they are refused; and of which labels they differ."""
    folder = Path("/dev/null/nothing is kept")
    window = {"name": "centred", "before": before, "after": after}
    settings = [
        SyntheticSettings.model_validate({**SIZE, "clean": True, **own})
        for own in ({"length": 32}, {"window": window})
    ]
    one, two = (load_all(each, folder, seed, folder) for each in settings)
    rows = zip(one.label, one.abnormal_neighbour, two.abnormal_neighbour, strict=True)
    labels = sorted(int(label) for label, first, second in rows if first != second)
    try:
        return load_variants(settings, folder, seed, folder), labels
    except RequestError as error:
        return str(error), labels


def test_clean_beats_are_the_same_normals_in_every_window_whatever_abnormal_ones_hold() -> None:
    refusal, labels = clean_windows(0, before=0.2, after=0.12)
    assert labels == [0, 0, 0, 1]
    assert "leaves other normals out of training (3 here)" in str(refusal)
    variants, labels = clean_windows(48, before=0.8, after=0.48)
    assert labels == [1, 1]
    assert isinstance(variants, Variants)
    assert len(variants) == 2
