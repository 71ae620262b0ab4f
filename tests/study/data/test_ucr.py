import numpy as np
import pytest

from study.data import load
from study.data.table import check
from study.data.tables.form import TableForm, canonical_label
from study.data.tables.reader import read_table
from study.data.ucr import UcrSettings
from study.errors import RequestError

ROWS = [["1", 0.5, 1.5, -2.0], ["-1", 3.0, 1e-3, 2.0], ["1", 0.0, 0.0, 0.0]]


def text(separator: str, rows=ROWS, end: str = "\n") -> str:
    return "".join(separator.join(map(str, row)) + end for row in rows)


def prepared(tmp_path, **changes):
    settings = UcrSettings(**{"path": "a.tsv", "normal_labels": 1, "length": 32} | changes)
    return load(settings, tmp_path, 0, tmp_path / "cache")


@pytest.mark.parametrize("separator", ["\t", ",", " ", "   ", ", "])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
def test_tabs_commas_and_blanks_separate(tmp_path, separator, end):
    path = tmp_path / "a.tsv"
    path.write_bytes(text(separator, end=end).encode())
    table = read_table(path, TableForm(label=0))
    assert table.values[:, 0].tolist() == [row[1:] for row in ROWS]
    assert table.symbol.tolist() == ["1", "-1", "1"]


def test_leading_blanks_and_a_byte_order_mark_are_passed_over(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeff  1.0e+00  2.0e+00  3.0\n  -1  4 5\n")
    table = read_table(tmp_path / "a.txt", TableForm(label=0))
    assert table.values[:, 0].tolist() == [[2.0, 3.0], [4.0, 5.0]]
    assert [canonical_label(item) for item in table.symbol] == ["1", "-1"]


@pytest.mark.parametrize("written", ["1", "1.0", "1.0000000e+00", "+1"])
@pytest.mark.parametrize("setting", [1, "1", 1.0, "1.00"])
def test_labels_that_are_numbers_are_compared_as_numbers(tmp_path, written, setting):
    (tmp_path / "a.tsv").write_text(f"{written}\t1\t2\n2\t3\t4\n")
    samples = prepared(tmp_path, normal_labels=[setting])
    assert samples.label.tolist() == [0, 1]
    assert samples.kind.tolist() == ["1", "2"]
    assert samples.symbol.tolist() == [written, "2"]


def test_labels_may_be_words(tmp_path):
    (tmp_path / "a.tsv").write_text("good\t1\t2\nbad\t3\t4\nfine\t1\t0\n")
    samples = prepared(tmp_path, normal_labels=["good", "fine"])
    assert samples.label.tolist() == [0, 1, 0]


def test_files_are_joined_in_order_and_values_interpolated_and_scaled(tmp_path):
    (tmp_path / "a.tsv").write_text("1\t0\t4\t2\n")
    (tmp_path / "b.tsv").write_text("2\t1\t1\t1\n")
    samples = prepared(tmp_path, path=["b.tsv", "a.tsv"])
    assert samples.kind.tolist() == ["2", "1"]
    assert (samples.values[0] == 1).all()
    position = np.arange(32) * 2 / 31
    line = np.where(position < 1, 4 * position, 4 - 2 * (position - 1))
    np.testing.assert_allclose(samples.values[1, 0], line, atol=1e-6)
    each = prepared(tmp_path, path=["b.tsv", "a.tsv"], scaling="sample")
    assert not each.values[0].any()
    np.testing.assert_allclose(each.values[1, 0], line / line.max(), atol=1e-6)
    assert samples.start.tolist() == [-1, -1]
    assert samples.extent.tolist() == [3, 3]


def test_unscaled_values_stay_and_must_be_in_range(tmp_path):
    (tmp_path / "a.tsv").write_text("1\t0.25\t0.5\n")
    assert prepared(tmp_path, scaling="none").values.min() == 0.25
    (tmp_path / "a.tsv").write_text("1\t0.25\t1.5\n")
    with pytest.raises(RequestError, match=r"a\.tsv: .*\[0, 1\].*0\.25 to 1\.5"):
        prepared(tmp_path, scaling="none")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"\n \n", "an empty file"),
        (b"1\t2\t3\n1\t2\n", "line 2: .*found 1 values"),
        (b"1\n", "line 1: .*found 0 values"),
        (b"1\t2\tNaN\n", "line 1: .*'NaN'"),
        (b"1\t2\t3\n\n1\tinf\t3\n", "line 3: .*'inf'"),
        (b"1\t2\tx\n", "line 1: .*'x'"),
        (b"1\t2\t\n", "line 1: .*found"),
        (b"\x93NUMPY\x01\xff\xfe", "not UTF-8"),
    ],
)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, content, found):
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(RequestError, match=rf"a\.tsv.*{found}") as error:
        prepared(tmp_path)
    assert "\n" not in str(error.value)


def test_a_second_file_of_another_width_is_named(tmp_path):
    (tmp_path / "a.tsv").write_text("1\t2\t3\n")
    (tmp_path / "b.tsv").write_text("1\t2\t3\t4\n")
    with pytest.raises(RequestError, match=r"b\.tsv: expected rows of 2 values, .*found 3"):
        prepared(tmp_path, path=["a.tsv", "b.tsv"])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RequestError, match=r"dataset\.path: .*nowhere\.tsv"):
        prepared(tmp_path, path="nowhere.tsv")


def test_normal_labels_that_do_not_occur_are_answered_with_those_that_do(tmp_path):
    (tmp_path / "a.tsv").write_text("3\t2\t3\n4\t2\t3\n")
    with pytest.raises(RequestError, match=r"normal_labels: .*found 1: .* are 3, 4"):
        prepared(tmp_path)


def test_a_label_beside_the_right_one_that_does_not_occur_is_refused(tmp_path):
    (tmp_path / "a.tsv").write_text("good\t1\t2\nbad\t3\t4\nfine\t1\t0\n")
    with pytest.raises(RequestError, match=r"normal_labels: .*found fien: .* bad, fine, good"):
        prepared(tmp_path, normal_labels=["good", "fien"])


def test_a_changed_file_is_prepared_anew(tmp_path):
    (tmp_path / "a.tsv").write_text("1\t0\t1\n")
    before = prepared(tmp_path)
    (tmp_path / "a.tsv").write_text("1\t1\t0\n")
    after = prepared(tmp_path)
    np.testing.assert_array_equal(after.values, before.values[:, :, ::-1])


def test_check_says_what_is_right(tmp_path):
    (tmp_path / "a.tsv").write_text("1\t0\t1\n2\t0\t1\n2\t0\t1\n")
    lines = check(UcrSettings(path="a.tsv", normal_labels=1), tmp_path)
    assert lines == [f"{tmp_path / 'a.tsv'}: 3 rows of 2 values, labels 1 of 1, 2 of 2"]
