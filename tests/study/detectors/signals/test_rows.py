from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.interface import Shape
from study.data.mitbih import MitbihSettings
from study.data.resampling import fit_length, interpolate_rows
from study.data.settings import DatasetSettings
from study.data.table import TableSettings
from study.data.ucr import UcrSettings
from study.data.wafer import WaferSettings
from study.detectors.row_form import RowForm
from study.detectors.signals import rows
from study.detectors.signals.block import Block
from study.detectors.signals.rows import open_rows
from study.errors import RequestError

UCR = UcrSettings(length=32, path=("a.tsv",), normal_labels=("1",))


def read(
    path: Path,
    dataset: DatasetSettings = UCR,
    *,
    width: int | None = None,
    resample: bool = False,
    label: str | None = None,
    leave_out: tuple[str, ...] = (),
) -> list[Block]:
    form = RowForm(dataset, Shape(1, dataset.length), width or dataset.row_width)
    return list(open_rows(path, form, label=label, leave_out=leave_out, resample=resample).blocks())


@pytest.fixture
def table() -> np.ndarray:
    return np.random.default_rng(0).normal(5, 3, (7, 32))


def write(folder: Path, name: str, values: np.ndarray, label: list[str] | None = None) -> Path:
    path, frame = folder / name, pd.DataFrame(values)
    if name.endswith(".npy"):
        np.save(path, values)
    elif name.endswith(".parquet"):
        frame.columns = [f"t{i}" for i in range(values.shape[1])]
        (frame if label is None else frame.assign(label=label)).to_parquet(path)
    else:
        if label is not None:
            frame.insert(0, "label", label)
        frame.to_csv(path, sep="\t" if name.endswith(".tsv") else ",", header=False, index=False)
    return path


@pytest.mark.parametrize("name", ["a.csv", "a.npy", "a.parquet"])
@pytest.mark.parametrize("at_once", [3, 100])
def test_values_are_read_as_they_are(
    table: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, at_once: int
) -> None:
    monkeypatch.setattr(rows, "ROWS_AT_ONCE", at_once)
    blocks = read(write(tmp_path, name, table))
    assert [len(block) for block in blocks] == ([3, 3, 1] if at_once == 3 else [7])
    found = np.concatenate([block.values for block in blocks])
    np.testing.assert_array_equal(found[:, 0], table.astype(np.float32))
    assert all(block.columns == {} for block in blocks)


@pytest.mark.parametrize("name", ["a.tsv", "a.parquet"])
def test_labels_are_passed_on(table: np.ndarray, tmp_path: Path, name: str) -> None:
    label = ["1", "-1", "1", "1", "x", "1", "1"]
    (block,) = read(write(tmp_path, name, table, label))
    assert block.columns["label"].tolist() == label
    np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))


@pytest.mark.parametrize("name", ["a.csv", "a.npy"])
def test_a_first_column_can_be_the_label(table: np.ndarray, tmp_path: Path, name: str) -> None:
    labelled = np.column_stack([np.arange(7) % 2, table])
    (block,) = read(write(tmp_path, name, labelled), label="0")
    assert [float(label) for label in block.columns["label"]] == [0, 1, 0, 1, 0, 1, 0]
    np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))


def test_names_of_columns_are_no_row(table: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    pd.DataFrame(table).add_prefix("t").to_csv(path, index=False)
    (block,) = read(path)
    np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))


def test_a_datasets_own_width_is_brought_to_length_as_for_training(tmp_path: Path) -> None:
    wafer = np.random.default_rng(1).normal(size=(4, 152))
    (block,) = read(write(tmp_path, "w.npy", wafer), WaferSettings())
    expected = interpolate_rows(wafer, 160).astype(np.float32)
    np.testing.assert_array_equal(block.values[:, 0], expected)
    beats = np.random.default_rng(2).random((4, 187))
    (block,) = read(write(tmp_path, "b.npy", beats), MitbihSettings())
    np.testing.assert_array_equal(block.values[:, 0], fit_length(beats, 160).astype(np.float32))


def test_another_width_needs_consent(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((3, 50))
    path = write(tmp_path, "a.npy", values)
    with pytest.raises(RequestError, match=r"a\.npy: expected rows of 32 values, .* found 50"):
        read(path)
    with pytest.raises(RequestError, match="expected rows of 160 or 152 values"):
        read(path, WaferSettings())
    (block,) = read(path, resample=True)
    np.testing.assert_array_equal(
        block.values[:, 0], interpolate_rows(values, 32).astype(np.float32)
    )


def test_scaling_of_each_sample_is_applied(table: np.ndarray, tmp_path: Path) -> None:
    (block,) = read(write(tmp_path, "a.npy", table), UCR.model_copy(update={"scaling": "sample"}))
    assert block.values.min(axis=2).tolist() == [[0.0]] * 7
    assert block.values.max(axis=2).tolist() == [[1.0]] * 7


@pytest.mark.parametrize("dataset", [UCR.model_copy(update={"scaling": "none"}), MitbihSettings()])
def test_values_that_nobody_scales_are_in_their_range(
    tmp_path: Path, dataset: DatasetSettings
) -> None:
    values = np.full((2, dataset.length), 1.5)
    with pytest.raises(RequestError, match=r"expected values in \[0, 1\], .* found 1\.5 to 1\.5"):
        read(write(tmp_path, "a.npy", values), dataset)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b""),
        ("a.csv", b"a,b\n"),
        ("a.csv", b"1,2\n1,x\n"),
        ("a.tsv", b"1\t2\n1\t2\t3\n"),
        ("a.npy", b"no array"),
        ("a.parquet", b"no table"),
        ("a.csv", b"\xff\xfe\n"),
    ],
)
def test_a_file_of_another_form_is_named_in_one_line(
    tmp_path: Path, name: str, content: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RequestError, match=name) as error:
        read(path, resample=True)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.npy", "a.parquet"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match=name):
        read(tmp_path / name)


@pytest.mark.parametrize("name", ["a.npy", "a.parquet"])
def test_values_that_are_no_numbers_are_refused(
    table: np.ndarray, tmp_path: Path, name: str
) -> None:
    table[2, 3] = np.nan
    with pytest.raises(RequestError, match=f"{name}: expected finite numbers"):
        read(write(tmp_path, name, table))


def test_numpy_arrays_of_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(RequestError, match=r"a\.npy"):
        read(tmp_path / "a.npy")


def test_rows_of_the_width_that_was_trained_on_need_no_consent(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 50))
    path = write(tmp_path, "a.npy", values)
    form = RowForm(UCR, Shape(1, 32), 50)
    source = open_rows(path, form)
    assert source.note == "rows of 50 values brought to 32, as in training"
    (block,) = source.blocks()
    expected = interpolate_rows(values, 32).astype(np.float32)
    np.testing.assert_array_equal(block.values[:, 0], expected)


@pytest.mark.parametrize("resample", [False, True])
def test_a_value_a_line_is_no_table_of_samples(tmp_path: Path, resample: bool) -> None:
    path = tmp_path / "recording.csv"
    np.savetxt(path, np.arange(500.0))
    with pytest.raises(RequestError, match=r"rows of 1 value .*a value a line is a recording"):
        read(path, resample=resample)


@pytest.mark.parametrize("resample", [False, True])
def test_moments_of_three_sensors_are_no_samples(tmp_path: Path, resample: bool) -> None:
    path = tmp_path / "recording.csv"
    pd.DataFrame(np.random.default_rng(0).random((50, 3)), columns=list("abc")).to_csv(
        path, index=False
    )
    with pytest.raises(RequestError, match=r"found 3 \(.*\): these are no samples of another rate"):
        read(path, resample=resample)


@pytest.mark.parametrize("resample", [False, True])
def test_a_column_called_label_is_never_a_value(
    table: np.ndarray, tmp_path: Path, resample: bool
) -> None:
    path = tmp_path / "a.csv"
    frame = pd.DataFrame(table).add_prefix("t").assign(label=np.arange(7) % 2)
    frame.to_csv(path, index=False)
    (block,) = read(path, resample=resample)
    np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))
    assert block.columns["label"].tolist() == ["0", "1", "0", "1", "0", "1", "0"]


def test_a_first_column_can_be_the_label_of_a_table_with_a_header(
    table: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    frame = pd.DataFrame(table).add_prefix("t")
    frame.insert(0, "state", ["ok"] * 7)
    frame.to_csv(path, index=False)
    for label in ("0", "state"):
        (block,) = read(path, label=label)
        np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))
        assert set(block.columns["label"]) == {"ok"}


@pytest.mark.parametrize("resample", [False, True])
def test_a_label_that_nobody_named_is_asked_for(tmp_path: Path, resample: bool) -> None:
    path, beats = tmp_path / "a.csv", np.random.default_rng(0).random((7, 160))
    np.savetxt(path, np.column_stack([np.arange(7) % 2, beats]), delimiter=",")
    with pytest.raises(RequestError, match="is one of the columns a label\\? name it with --label"):
        read(path, MitbihSettings(), resample=resample)


def test_new_rows_have_the_columns_of_those_that_were_trained_on(
    table: np.ndarray, tmp_path: Path
) -> None:
    dataset = TableSettings(
        path="x.csv", label="state", normal_labels="ok", leave_out=("machine",), length=32
    )
    path, frame = tmp_path / "a.csv", pd.DataFrame(table).add_prefix("t")
    for beside in ({}, {"machine": "m"}, {"machine": "m", "state": "ok"}):
        frame.assign(**beside).to_csv(path, index=False)
        (block,) = read(path, dataset)
        np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))
        assert ("label" in block.columns) == ("state" in beside)


def table_settings(**settings: object) -> TableSettings:
    labels = {} if settings.get("label", "") is None else {"normal_labels": ("0",)}
    return TableSettings.model_validate({"path": "x", "length": 32, **labels, **settings})


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.csv", "a.npy"])
@pytest.mark.parametrize("position", [-1, 32, 3, 0])
@pytest.mark.parametrize("resample", [False, True])
def test_the_label_is_in_the_column_that_the_models_table_had(
    table: np.ndarray, tmp_path: Path, name: str, position: int, resample: bool
) -> None:
    at = position % 33
    labelled = np.insert(table, at, [0, 1, 0, 1, 0, 1, 0], axis=1)
    dataset = table_settings(label=position)
    (block,) = read(write(tmp_path, name, labelled), dataset, resample=resample)
    np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))
    assert [float(label) for label in block.columns["label"]] == [0, 1, 0, 1, 0, 1, 0]


@pytest.mark.parametrize("name", ["a.txt", "a.tsv", "a.csv", "a.npy", "a.parquet"])
@pytest.mark.parametrize("position", [None, -1, 32, 0])
def test_a_table_with_a_column_less_has_no_labels(
    table: np.ndarray, tmp_path: Path, name: str, position: int | None
) -> None:
    (block,) = read(write(tmp_path, name, table), table_settings(label=position))
    np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))
    assert block.columns == {}


def test_a_table_of_another_width_keeps_the_label_where_it_was(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 50))
    path = write(tmp_path, "a.txt", np.column_stack([values, [0, 1, 0]]))
    (block,) = read(path, table_settings(label=-1), resample=True)
    expected = interpolate_rows(values, 32).astype(np.float32)
    np.testing.assert_array_equal(block.values[:, 0], expected)
    assert [float(label) for label in block.columns["label"]] == [0, 1, 0]


def test_columns_left_out_by_position_do_not_move(table: np.ndarray, tmp_path: Path) -> None:
    dataset = table_settings(label=0, leave_out=(1,))
    path = write(tmp_path, "a.csv", np.column_stack([range(7), table]))
    with pytest.raises(RequestError, match="expected rows of 32 values"):
        read(path, dataset)


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.npy"])
def test_a_table_in_the_archives_form_has_its_label_first(
    table: np.ndarray, tmp_path: Path, name: str
) -> None:
    path = write(tmp_path, name, np.column_stack([np.arange(7) % 2, table]))
    (block,) = read(path)
    np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))
    assert [float(label) for label in block.columns["label"]] == [0, 1, 0, 1, 0, 1, 0]


def test_columns_that_are_no_values_are_left_out(table: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    pd.DataFrame(table).add_prefix("t").assign(time=range(7), who="x").to_csv(path, index=False)
    with pytest.raises(RequestError, match="with the column 'time': leave it out"):
        read(path)
    (block,) = read(path, leave_out=("time", "-1"))
    np.testing.assert_array_equal(block.values[:, 0], table.astype(np.float32))
