from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import wfdb

from study import load_detector
from study.data import amplitude
from study.data.mitbih import MitbihSettings, prepare_records
from study.data.mitbih_records import read_record
from study.data.wafer import WaferSettings
from study.detectors.signals import records
from study.detectors.signals.block import Block
from study.detectors.signals.records import BeatSource, read_beats
from study.detectors.signals.table import write_scores
from study.errors import RequestError
from tests.study.conftest import Trained, train_trial, write_heartbeats

BEATS = MitbihSettings(length=96)


def joined(source: BeatSource) -> Block:
    blocks = list(source.blocks())
    known = {name: np.concatenate([b.columns[name] for b in blocks]) for name in blocks[0].columns}
    return Block(np.concatenate([block.values for block in blocks]), known)


@pytest.mark.parametrize("seconds", [7, 60, 600])
def test_beats_in_blocks_are_those_that_are_trained_on(
    record: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
) -> None:
    monkeypatch.setattr(records, "BLOCK_SECONDS", seconds)
    source = read_beats(record, BEATS, "annotated", resample=False)
    assert (len(list(source.blocks())) > 1) == (seconds < 600)
    found = joined(source)
    expected = prepare_records([record.name], record.parent, BEATS)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(source.spans.start, expected.start)
    np.testing.assert_array_equal(source.spans.extent, expected.extent)
    stored = read_record(record)
    np.testing.assert_array_equal(found.columns["position"], stored.position[:-1])
    np.testing.assert_array_equal(found.columns["symbol"], stored.symbol[:-1])
    assert set(found.columns["record"]) == {"b1"}


def test_several_leads_in_blocks_are_what_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK_SECONDS", 20)
    record = write_heartbeats(tmp_path, "b2", seconds=60, leads=("MLII", "V5"))
    settings = MitbihSettings.model_validate(
        {"window": "centred", "amplitude": "record", "components": "record", "leads": "both"}
    )
    source = read_beats(record, settings, "annotated", resample=False)
    expected = prepare_records([record.name], record.parent, settings)
    assert expected.values.shape[1] == 2
    assert not np.array_equal(expected.values[:, 0], expected.values[:, 1])
    np.testing.assert_allclose(joined(source).values, expected.values, rtol=0, atol=1e-6)
    found = joined_components(source)["template_distance"]
    np.testing.assert_allclose(found, expected.components["template_distance"], rtol=0, atol=1e-6)


def test_a_record_without_the_leads_is_refused(record: Path) -> None:
    with pytest.raises(RequestError, match="leads that the model was trained on, V5, found MLII"):
        read_beats(record, MitbihSettings(leads=("V5",)), "annotated", resample=False)


def joined_components(source: BeatSource) -> dict[str, np.ndarray]:
    blocks = list(source.blocks())
    return {
        name: np.concatenate([block.components[name] for block in blocks])
        for name in blocks[0].components
    }


@pytest.mark.parametrize("reference", ["record", "first_minutes"])
@pytest.mark.parametrize("window", ["centred", "published"])
def test_a_record_in_blocks_is_what_is_trained_on_in_every_window_and_amplitude(
    record: Path, monkeypatch: pytest.MonkeyPatch, window: str, reference: str
) -> None:
    monkeypatch.setattr(records, "BLOCK_SECONDS", 50)
    # The record is shorter than the five minutes that are learned from.
    monkeypatch.setattr(amplitude, "LEARNING_SECONDS", 60)
    settings = MitbihSettings.model_validate(
        {"window": window, "amplitude": reference, "components": reference}
    )
    source = read_beats(record, settings, "annotated", resample=False)
    assert len(list(source.blocks())) == 4
    expected = prepare_records([record.name], record.parent, settings)
    found = joined(source)
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(source.spans.start, expected.start)
    components = joined_components(source)
    assert list(components) == list(expected.components) == list(settings.component_names)
    for name, values in components.items():
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, expected.components[name], rtol=0, atol=1e-6)


@pytest.mark.parametrize("relative_to", ["beat", "record", "first_minutes"])
@pytest.mark.parametrize("window", ["centred", "published"])
def test_samples_are_drawn_where_they_are_in_the_record(
    record: Path, window: str, relative_to: str
) -> None:
    settings = MitbihSettings.model_validate({"window": window, "amplitude": relative_to})
    source = read_beats(record, settings, "annotated", resample=False)
    members = np.arange(40, 60)
    signal = read_record(record).signal
    drawn = source.in_record(members, source.block(members).values[:, 0])
    for member, (seconds, unit) in zip(members, drawn, strict=True):
        peak = source.position[member] / 360
        assert seconds.min() <= peak + 0.01 < seconds.max()
        # Resampling, and limits of [0, 1], take a little of the steepest stretches.
        there = np.interp(seconds, np.arange(len(signal)) / 360, signal)
        assert np.quantile(np.abs(unit - there), 0.8) < 0.05
    first, last = source.shown.first, source.shown.last
    assert (first[1:] >= last[:-1]).all()


def test_components_of_a_record_are_columns_of_its_scores(
    record: Path, trained_beats: Trained, tmp_path: Path
) -> None:
    settings = BEATS.model_copy(update={"components": "record"})
    source = read_beats(record, settings, "annotated", resample=False)
    write_scores(tmp_path / "s.parquet", load_detector(str(trained_beats.fold())), source.blocks())
    found = pd.read_parquet(tmp_path / "s.parquet")
    for name, values in joined_components(source).items():
        np.testing.assert_array_equal(found[name], values)


def test_a_whole_real_record_is_cut_as_for_training(real_mitdb: Path) -> None:
    source = read_beats(real_mitdb / "208", BEATS, "annotated", resample=False)
    expected = prepare_records(["208"], real_mitdb, BEATS)
    found = joined(source)
    assert len(found) == len(expected) > 2900
    np.testing.assert_allclose(found.values, expected.values, rtol=0, atol=1e-6)


def test_errors_of_a_scored_record_are_those_of_the_ledger(
    record: Path, trained_beats: Trained
) -> None:
    detector = load_detector(str(trained_beats.fold()))
    found = joined(read_beats(record, BEATS, "annotated", resample=False))
    stored = trained_beats.stored()
    assert stored.index.tolist() == list(range(len(found)))
    for name, values in detector.errors(found.values).items():
        np.testing.assert_allclose(values, stored[name], rtol=1e-3, atol=1e-7, err_msg=name)


@pytest.mark.slow
def test_errors_of_a_real_record_are_those_of_the_ledger(
    real_mitdb: Path, trained_beats: Trained, tmp_path: Path
) -> None:
    samples = prepare_records(["208", "222"], real_mitdb, BEATS)
    members = np.flatnonzero(samples.kind != "Q")[::40]
    samples = samples.take(members)
    trained = train_trial(trained_beats.study, samples, tmp_path)
    stored = trained.stored()
    detector = load_detector(str(trained.fold()))
    for name in ("208", "222"):
        source = read_beats(real_mitdb / name, BEATS, "annotated", resample=False)
        found = detector.errors(joined(source).values)
        own = np.flatnonzero(samples.record == name)
        rows = pd.Index(source.spans.start).get_indexer(samples.start[own])
        for component, values in found.items():
            expected = stored[component].to_numpy()[own]
            np.testing.assert_allclose(values[rows], expected, rtol=1e-3, atol=1e-7)


def test_memory_does_not_grow_with_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "BLOCK_SECONDS", 20)
    read: list[int] = []
    stored = wfdb.rdrecord

    def watched(name: str, **options: int) -> object:
        read.append(options["sampto"] - options["sampfrom"])
        return stored(name, **options)

    monkeypatch.setattr(wfdb, "rdrecord", watched)
    largest = []
    for seconds in (60, 240):
        read.clear()
        path = write_heartbeats(tmp_path, f"s{seconds}", seconds)
        sizes = [len(b) for b in read_beats(path, BEATS, "annotated", resample=False).blocks()]
        largest.append((max(read), max(sizes)))
        assert max(read) < 25 * 360
    assert largest[1][1] < 1.2 * largest[0][1]


def test_detected_beats_are_the_annotated_ones(record: Path) -> None:
    annotated = read_beats(record, BEATS, "annotated", resample=False)
    detected = read_beats(record, BEATS, "detected", resample=False)
    upright = annotated.position[annotated.symbol == "N"]
    distance = np.abs(upright[:, None] - detected.position).min(axis=1)
    assert np.mean(distance <= 4) > 0.9
    assert set(detected.symbol) == {""}
    assert (np.diff(detected.position) > 0.2 * 360).all()


def test_a_record_of_another_rate_needs_consent(record: Path, tmp_path: Path) -> None:
    signal = wfdb.rdrecord(str(record)).p_signal
    wfdb.wrsamp(
        "r500", fs=500, units=["mV"], sig_name=["I"], p_signal=signal, fmt=["16"],
        write_dir=str(tmp_path),
    )  # fmt: skip
    wfdb.wrann("r500", "atr", np.array([200, 600, 1000]), symbol=["N"] * 3, write_dir=str(tmp_path))
    with pytest.raises(RequestError, match=r"expected 360 Hz, .* found 500 Hz: .*--resample"):
        read_beats(tmp_path / "r500", BEATS, "annotated", resample=False)
    source = read_beats(tmp_path / "r500", BEATS, "annotated", resample=True)
    assert source.spans.start.tolist() == [50, 150]
    np.testing.assert_allclose(joined(source).columns["seconds"], [0.4, 1.2])


def test_what_is_no_record_for_this_model_is_refused(record: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="knows no heartbeats"):
        read_beats(record, WaferSettings(), "annotated", resample=False)
    with pytest.raises(RequestError, match="expected a WFDB record, or a table"):
        read_beats(tmp_path / "absent", BEATS, "annotated", resample=False)
    for ending in (".hea", ".dat"):
        (tmp_path / f"b1{ending}").write_bytes(record.with_suffix(ending).read_bytes())
    with pytest.raises(RequestError, match=r"b1\.atr: .*--peaks detected"):
        read_beats(tmp_path / "b1", BEATS, "annotated", resample=False)


def test_a_truncated_record_is_named(record: Path, tmp_path: Path) -> None:
    for ending in (".hea", ".dat", ".atr"):
        (tmp_path / f"b1{ending}").write_bytes(record.with_suffix(ending).read_bytes())
    (tmp_path / "b1.dat").write_bytes(b"\0" * 900)
    source = read_beats(tmp_path / "b1.hea", BEATS, "annotated", resample=False)
    with pytest.raises(RequestError, match="b1: expected a WFDB record") as error:
        list(source.blocks())
    assert "\n" not in str(error.value)
