import numpy as np
import pytest

from study.data import load
from study.data.wafer import WaferSettings, check
from study.errors import RequestError


@pytest.fixture
def copied(real_wafer, tmp_path):
    folder = tmp_path / "Wafer"
    folder.mkdir()
    for path in (real_wafer / "wafer").glob("Wafer_T*.tsv"):
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def test_both_files_are_read_training_first(real_wafer, tmp_path):
    samples = load(WaferSettings(), real_wafer, 0, tmp_path)
    assert len(samples) in (7163, 7164)
    assert samples.label.sum() == 762
    assert samples.label[:1000].sum() == 97
    assert set(samples.kind) == {"1", "-1"}
    first = (real_wafer / "wafer" / "Wafer_TRAIN.tsv").read_text().split("\n", 1)[0].split()
    row = np.array(first[1:], dtype=float)
    line = np.interp(np.linspace(0, 151, 160), np.arange(152), row)
    np.testing.assert_allclose(samples.values[0, 0], line, atol=1e-6)
    scaled = load(WaferSettings(scaling="sample"), real_wafer, 0, tmp_path)
    expected = (line - line.min()) / (line.max() - line.min())
    np.testing.assert_allclose(scaled.values[0, 0], expected, atol=1e-6)


def test_other_forms_of_the_archive_give_the_same_samples(real_wafer, copied, tmp_path):
    file = copied / "Wafer_TRAIN.tsv"
    lines = file.read_text().splitlines()
    file.unlink()
    # The archive's .txt form: blanks, and labels as floating point numbers.
    rows = ("  ".join([f"{float(row[0]):.7e}", *row[1:]]) for row in map(str.split, lines))
    (copied / "Wafer_TRAIN.txt").write_text("".join(f"  {row}\n" for row in rows))
    original = load(WaferSettings(), real_wafer, 0, tmp_path / "cache")
    found = load(WaferSettings(), copied.parent, 0, tmp_path / "cache")
    np.testing.assert_array_equal(found.values, original.values)
    np.testing.assert_array_equal(found.kind, original.kind)


def test_check_tells_a_copy_without_its_first_row(real_wafer):
    training, test = check(WaferSettings(), real_wafer)
    assert "1000 rows of 152 values, labels 97 of -1, 903 of 1" in training
    assert ("6163 rows" in test) == ("lacks its first row" in test)


def test_a_file_cut_between_two_rows_is_named(copied):
    file = copied / "Wafer_TEST.tsv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(RequestError, match=r"Wafer_TEST\.tsv: expected 5499 rows of 1 and 665"):
        load(WaferSettings(), copied.parent, 0, copied)


def test_a_file_cut_within_a_row_is_named(copied):
    file = copied / "Wafer_TRAIN.tsv"
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(RequestError, match=r"Wafer_TRAIN\.tsv, line \d+: expected a label and 152"):
        load(WaferSettings(), copied.parent, 0, copied)


def test_another_label_is_named(copied):
    file = copied / "Wafer_TRAIN.tsv"
    file.write_text("2" + file.read_text()[1:])
    with pytest.raises(RequestError, match=r"Wafer_TRAIN\.tsv: .*labels 1 and -1 only, found '2'"):
        load(WaferSettings(), copied.parent, 0, copied)


def test_a_missing_file_says_what_fetches_it(tmp_path):
    with pytest.raises(RequestError, match=r"Wafer_TRAIN\.tsv: .*fetch wafer --data"):
        load(WaferSettings(), tmp_path, 0, tmp_path)
