"""Windows of WFDB records."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from study.data.series import prepare, sources
from study.data.series_settings import SeriesSettings
from study.errors import RequestError


def of_records(**settings: Any) -> SeriesSettings:
    wfdb_settings = {"folder": ".", "beats": {"abnormal": "V"}}
    return SeriesSettings.model_validate({"wfdb": wfdb_settings, "length": 32} | settings)


def test_records_of_any_database_are_series(tmp_path: Path, write_record: Any) -> None:
    signal = np.sin(np.arange(3600) / 20)
    write_record(signal, [100, 400, 500, 700, 1000], ["N", "V", "V", "N", "+"])
    settings = of_records(rate_hz=360)
    samples = prepare(settings, tmp_path, 0)
    assert samples.channel_names == ("MLII", "V5")
    # From halfway between the first two beats to halfway between the last two.
    assert samples.events["r1"].tolist() == [[250, 600]]
    held = (samples.start < 600) & (samples.start + 32 > 250)
    np.testing.assert_array_equal(samples.label == 1, held)
    np.testing.assert_allclose(samples.values[0, 0], signal[:32], atol=0.01)
    chosen = prepare(settings.model_copy(update={"channels": ("V5",)}), tmp_path, 0)
    np.testing.assert_array_equal(chosen.values[:, 0], samples.values[:, 1])
    with pytest.raises(RequestError, match=r"dataset\.channels: expected V1, found MLII, V5"):
        prepare(settings.model_copy(update={"channels": ("V1",)}), tmp_path, 0)
    (tmp_path / "r1.mat").write_bytes(b"")  # signals of other records are stored so
    assert [name for name, _ in sources(settings, tmp_path, None)] == [
        *("r1.hea", "r1.dat", "r1.mat", "r1.atr")
    ]


def test_signals_of_one_name_are_told_apart(tmp_path: Path, write_record: Any) -> None:
    signal = np.sin(np.arange(3600) / 20)
    record = write_record(signal, [100, 400, 700], ["N", "V", "N"], leads=("ECG", "other"))
    header = record.with_suffix(".hea")
    header.write_text(header.read_text().replace("other", "ECG"))
    settings = of_records(rate_hz=360)
    samples = prepare(settings, tmp_path, 0)
    assert samples.channel_names == ("ECG", "ECG.2")
    np.testing.assert_allclose(samples.values[0], [signal[:32], np.zeros(32)], atol=0.01)
    second = prepare(settings.model_copy(update={"channels": ("ECG.2",)}), tmp_path, 0)
    np.testing.assert_array_equal(second.values[:, 0], samples.values[:, 1])


def test_signals_of_records_are_those_of_their_names(tmp_path: Path, write_record: Any) -> None:
    signal = np.sin(np.arange(3600) / 20)
    for name, leads in (("101", ("MLII", "V1")), ("114", ("V5", "MLII"))):
        write_record(signal, [100, 400, 700], ["N", "V", "N"], name, leads)
    settings = of_records()
    with pytest.raises(RequestError, match="channels of 101, MLII, V1, found V5, MLII: name those"):
        prepare(settings, tmp_path, 0)


def test_annotations_have_a_time_resolution_of_their_own(tmp_path: Path, write_record: Any) -> None:
    write_record(np.sin(np.arange(3600) / 20), [100, 400, 700], ["N", "V", "N"])
    position, symbol = np.array([50, 200, 350]), ["N", "V", "N"]
    wfdb.wrann("r1", "atr", position, symbol=symbol, fs=180, write_dir=str(tmp_path))
    assert prepare(of_records(), tmp_path, 0).events["r1"].tolist() == [[250, 550]]


@pytest.mark.parametrize(
    ("position", "symbol", "problem"),
    [
        ([100, 4000], ["N", "V"], "beats out of order or past the signal's end"),
        ([100, 400], ["+", "+"], "no annotated beat"),
    ],
)
def test_beats_are_in_the_signal(
    tmp_path: Path, write_record: Any, position: list[int], symbol: list[str], problem: str
) -> None:
    write_record(np.sin(np.arange(3600) / 20), position, symbol)
    with pytest.raises(RequestError, match=problem):
        prepare(of_records(), tmp_path, 0)


def test_records_have_one_rate(tmp_path: Path, write_record: Any) -> None:
    for name in ("r1", "r2"):
        record = write_record(np.sin(np.arange(3600) / 20), [100, 400], ["N", "V"], name)
    header = record.with_suffix(".hea")
    header.write_text(header.read_text().replace("360", "250", 1))
    with pytest.raises(
        RequestError, match=r"r2\.hea: expected 360 points a second, as r1 has, found 250"
    ):
        prepare(of_records(), tmp_path, 0)


@pytest.mark.parametrize("name", ["events", "label", "time"])
def test_what_records_do_not_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be left out beside wfdb"):
        of_records(**{name: "a"})


def test_sources_are_the_files_that_headers_name(tmp_path: Path, write_record: Any) -> None:
    record = write_record(np.sin(np.arange(3600) / 20), [100, 400], ["N", "V"])
    header = record.with_suffix(".hea")
    header.write_text(header.read_text().replace("r1.dat", "r1_signals.d"))
    record.with_suffix(".dat").rename(tmp_path / "r1_signals.d")
    names = [name for name, _ in sources(of_records(), tmp_path, None)]
    assert names == ["r1.hea", "r1.atr", "r1_signals.d"]
