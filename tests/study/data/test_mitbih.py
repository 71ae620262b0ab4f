from fractions import Fraction

import numpy as np
import pytest
import wfdb
from scipy.signal import resample_poly

from study.data import load
from study.data.mitbih import MitbihSettings, beats_of, check, prepare_records
from study.data.mitbih_records import (
    DS2,
    PACED_RECORDS,
    patient_of,
    published_digests,
    read_record,
    record_names,
    side_of,
)
from study.errors import RequestError


def copy_folder(real_mitdb, tmp_path):
    """A data folder of links to the real files."""
    folder = tmp_path / "data" / "mitdb"
    folder.mkdir(parents=True)
    for name in published_digests():
        (folder / name).symlink_to(real_mitdb / name)
    return folder


def test_the_published_counts_are_reproduced(mitbih):
    kinds, counts = np.unique(mitbih.kind, return_counts=True)
    found = dict(zip(kinds.tolist(), counts.tolist(), strict=True))
    assert found == {"N": 90_589, "S": 2_779, "V": 7_236, "F": 803, "Q": 8_039}
    assert mitbih.values.shape == (109_446, 1, 160)
    assert mitbih.label.sum() == 109_446 - 90_589
    assert mitbih.sampling_rate_hz == 125.0
    assert mitbih.abnormal_neighbour[mitbih.label == 0].sum() == 7_750


def test_every_position_and_symbol_is_an_annotated_beat(mitbih, real_mitdb):
    annotation = wfdb.rdann(str(real_mitdb / "208"), "atr")
    beats = [
        (round(float(Fraction(int(sample) * 125, 360))), symbol)
        for sample, symbol in zip(annotation.sample, annotation.symbol, strict=True)
        if symbol in "NLRejAaJSVEF/fQ"
    ]
    chosen = mitbih.record == "208"
    found = list(zip(mitbih.start[chosen], mitbih.symbol[chosen], strict=True))
    assert [symbol for _, symbol in found] == [symbol for _, symbol in beats[:-1]]
    assert max(abs(a - b) for (a, _), (b, _) in zip(found, beats, strict=False)) <= 1


def test_one_beat_cut_by_hand(mitbih, real_mitdb):
    signal = wfdb.rdrecord(str(real_mitdb / "100")).p_signal[:, 0]
    resampled = resample_poly(signal, 25, 72, padtype="line")
    chosen = np.flatnonzero(mitbih.record == "100")[5]
    peaks = mitbih.start[mitbih.record == "100"]
    inside = peaks[peaks < 1250]
    extent = int(1.2 * np.median(np.diff(inside)) + 0.5)
    segment = resampled[peaks[5] : peaks[5] + extent]
    segment = (segment - segment.min()) / (segment.max() - segment.min())
    padded = np.concatenate([segment, np.zeros(187 - extent)]).astype(np.float32)
    assert mitbih.extent[chosen] == extent
    # Downsampling chooses values in their order: a subsequence of the beat, same ends.
    found = mitbih.values[chosen, 0]
    rest = iter(padded.tolist())
    assert all(value in rest for value in found.tolist())
    assert found[0] == padded[0]
    assert found[-1] == padded[-1]


def test_sides_are_disjoint_in_patients_and_leave_paced_records_out(mitbih):
    test = set(mitbih.patient[mitbih.side == "test"])
    train = set(mitbih.patient[mitbih.side == "train"])
    assert not test & train
    assert test == set(DS2) - {"202"}
    assert len(train) == 22  # DS1; 202 is the same person as 201
    assert set(mitbih.record[mitbih.side == "excluded"]) == set(PACED_RECORDS)
    assert {side_of(r, "without_202") for r in ("201", "202")} == {"train"}
    assert patient_of("201") == patient_of("202") != patient_of("203")
    assert len(record_names()) == 48
    assert len(set(mitbih.patient)) == 47


def test_beats_of_a_small_record(write_record):
    signal = np.sin(np.arange(3600) / 20)
    path = write_record(signal, [100, 400, 500, 700, 1000, 1300], ["N", "V", "+", "A", "/", "N"])
    samples = prepare_records([path.name], path.parent, MitbihSettings())
    # "+" marks a change of rhythm and no beat; the last beat is left out.
    assert samples.symbol.tolist() == ["N", "V", "A", "/"]
    assert samples.kind.tolist() == ["N", "V", "S", "Q"]
    assert samples.label.tolist() == [0, 1, 1, 1]
    assert samples.start.tolist() == [35, 139, 243, 347]
    assert samples.extent.tolist() == [125, 125, 125, 125]
    assert samples.record.tolist() == ["r1"] * 4


def test_leads_are_the_channels_of_a_sample(write_record):
    signal = np.sin(np.arange(3600) / 20)
    path = write_record(signal, [100, 400, 700, 1000], ["N", "V", "N", "N"])

    def prepared(leads):
        return prepare_records([path.name], path.parent, MitbihSettings(leads=leads))

    first, both = prepared("first"), prepared("both")
    assert first.channel_names == ()
    assert both.channel_names == ("first", "second")
    assert both.values.shape == (3, 2, 160)
    np.testing.assert_array_equal(both.values[:, 0], first.values[:, 0])
    turned = prepared(("V5", "MLII"))
    assert turned.channel_names == ("V5", "MLII")
    np.testing.assert_array_equal(turned.values, both.values[:, ::-1])
    assert prepared(("MLII",)).content_hash == first.content_hash


def test_records_without_a_lead_are_left_out(write_record):
    signal = np.sin(np.arange(3600) / 20)
    write_record(signal, [100, 400, 700], ["N", "V", "N"], "r2", ("MLII", "V1"))
    path = write_record(signal, [100, 400, 700], ["N", "V", "N"])
    samples = prepare_records(["r1", "r2"], path.parent, MitbihSettings(leads=("MLII", "V1")))
    assert set(samples.record) == {"r2"}
    with pytest.raises(RequestError, match=r"dataset\.leads: .*V1.*there are MLII, V5"):
        prepare_records([path.name], path.parent, MitbihSettings(leads=("MLII", "V1")))


# A shorter list of annotations is a valid list: only the checksum finds it.
@pytest.mark.parametrize(
    ("extension", "kept"), [(".dat", 0), (".dat", 11), (".hea", 0), (".hea", 11), (".atr", 0)]
)
def test_a_truncated_record_is_named(write_record, extension, kept):
    path = write_record(np.sin(np.arange(3600) / 20), [100, 400, 700], ["N", "N", "N"])
    file = path.with_suffix(extension)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(RequestError) as error:
        beats_of(read_record(path), MitbihSettings())
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_dataset_says_what_fetches_it(tmp_path):
    with pytest.raises(RequestError, match=r"python -m study\.data fetch mitbih --data"):
        load(MitbihSettings(), tmp_path, 0, tmp_path / "cache")


def test_right_files_are_right(real_mitdb):
    assert "all 144 files" in check(MitbihSettings(), real_mitdb.parent)[0]


@pytest.mark.parametrize("damage", ["truncated", "one bit", "missing"])
def test_a_damaged_file_is_named_with_what_to_do(real_mitdb, mitbih_cache, tmp_path, damage):
    folder = copy_folder(real_mitdb, tmp_path)
    file = folder / "203.dat"
    content = bytearray(file.read_bytes())
    file.unlink()
    content[5000] ^= 1
    if damage != "missing":
        file.write_bytes(content[: 1000 if damage == "truncated" else None])
    # A cache that holds the right samples is no excuse for a wrong file.
    with pytest.raises(RequestError, match=r"203\.dat: expected .*fetch mitbih") as error:
        load(MitbihSettings(), folder.parent, 0, mitbih_cache)
    assert "\n" not in str(error.value)


def test_the_other_folder_name_is_accepted(mitbih, real_mitdb, mitbih_cache, tmp_path):
    (tmp_path / "mitbih").symlink_to(real_mitdb)
    again = load(MitbihSettings(), tmp_path, 0, mitbih_cache)
    assert again.content_hash == mitbih.content_hash
