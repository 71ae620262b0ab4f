"""One table, written in every form by another library, is read as the same rows."""

import bz2
import gzip
import lzma
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from study.data.table import TableSettings
from study.data.tables.form import TableForm, canonical_label
from study.data.tables.reader import is_table, open_table, read_table, time_columns
from study.errors import RequestError

VALUES = np.round(np.random.default_rng(0).normal(5, 3, (6, 9)), 6)
STATE = np.array(["ok", "hot", "ok", "ok", "1", "loud"])
NAMES = [f"t{i}" for i in range(9)]
FRAME = pd.DataFrame(VALUES, columns=NAMES).assign(state=STATE)


def channelled() -> np.ndarray:
    return np.stack([VALUES, VALUES[::-1] * 2], axis=1)


def ts(values: np.ndarray) -> str:
    rows = [
        ":".join(",".join(map(repr, map(float, channel))) for channel in row) + f":{state}"
        for row, state in zip(values, STATE, strict=True)
    ]
    head = "# made\n@problemName own\n@timeStamps false\n@classLabel true ok hot loud 1\n@data\n"
    return head + "\n".join(rows) + "\n"


WRITERS: dict[str, Callable[[Path], Any]] = {
    "a.csv": lambda path: FRAME.to_csv(path, index=False),
    "index.csv": lambda path: FRAME.to_csv(path),
    "counted.csv": lambda path: pd.DataFrame(VALUES).assign(state=STATE).to_csv(path, index=False),
    "german.csv": lambda path: FRAME.to_csv(path, index=False, sep=";", decimal=","),
    "quoted.csv": lambda path: FRAME.to_csv(path, index=False, quoting=1),
    "a.tsv": lambda path: FRAME.to_csv(path, index=False, sep="\t"),
    "a.parquet": lambda path: FRAME.to_parquet(path),
    "lists.parquet": lambda path: pd.DataFrame({"x": list(VALUES), "state": STATE}).to_parquet(
        path
    ),
    "a.feather": lambda path: FRAME.to_feather(path),
    "a.npz": lambda path: np.savez(path, values=VALUES, state=STATE),
    "a.ts": lambda path: path.write_text(ts(VALUES[:, np.newaxis])),
    "a.csv.gz": lambda path: path.write_bytes(gzip.compress(FRAME.to_csv(index=False).encode())),
    "a.csv.bz2": lambda path: path.write_bytes(bz2.compress(FRAME.to_csv(index=False).encode())),
    "a.csv.xz": lambda path: path.write_bytes(lzma.compress(FRAME.to_csv(index=False).encode())),
    "a.csv.zst": lambda path: path.write_bytes(
        pa.compress(FRAME.to_csv(index=False).encode(), "zstd", asbytes=True)
    ),
}


def write(folder: Path, name: str) -> Path:
    path = folder / name
    WRITERS[name](path)
    return path


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("size", [2, 100])
def test_every_form_is_the_same_table(tmp_path: Path, name: str, size: int) -> None:
    table = open_table(write(tmp_path, name), TableForm(label="state"))
    assert (table.channels, table.width, table.has_labels) == (1, 9, True)
    blocks = list(table.blocks(size))
    assert max(len(block.values) for block in blocks) <= size
    np.testing.assert_array_equal(np.concatenate([block.values for block in blocks])[:, 0], VALUES)
    assert [label for block in blocks for label in block.label] == STATE.tolist()


@pytest.mark.parametrize("name", ["arrow file", "arrow stream"])
def test_arrows_two_forms_are_told_apart(tmp_path: Path, name: str) -> None:
    path, table = tmp_path / "a.arrow", pa.Table.from_pandas(FRAME)
    new = pa.ipc.new_file if name == "arrow file" else pa.ipc.new_stream
    with new(str(path), table.schema) as writer:
        writer.write_table(table, max_chunksize=4)
    read = read_table(path, TableForm(label="state"))
    np.testing.assert_array_equal(read.values[:, 0], VALUES)


def test_channels_are_kept(tmp_path: Path) -> None:
    values = channelled()
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "a.npz", X=values, y=STATE)
    pd.DataFrame({"left": list(values[:, 0]), "right": list(values[:, 1])}).to_parquet(
        tmp_path / "a.parquet"
    )
    (tmp_path / "a.ts").write_text(ts(values))
    for ending in ("npy", "npz", "parquet", "ts"):
        read = read_table(tmp_path / f"a.{ending}", TableForm(label="y", may_lack_label=True))
        np.testing.assert_array_equal(read.values, values, err_msg=ending)


@pytest.mark.parametrize("position", [0, 4, -1])
@pytest.mark.parametrize("ending", ["csv", "npy"])
def test_a_label_is_in_any_column(tmp_path: Path, position: int, ending: str) -> None:
    label = np.array([1.0, -1, 1, 2, 1, 1])
    column = position if position >= 0 else VALUES.shape[1]
    joined = np.insert(VALUES, column, label, axis=1)
    path = tmp_path / f"a.{ending}"
    if ending == "csv":
        np.savetxt(path, joined, delimiter=",", fmt="%.17g")
    else:
        np.save(path, joined)
    read = read_table(path, TableForm(label=position))
    np.testing.assert_array_equal(read.values[:, 0], VALUES)
    assert [float(each) for each in read.symbol] == label.tolist()


def test_what_is_left_out_is_no_value(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    FRAME.assign(time=np.arange(6), machine="m").to_csv(path, index=False)
    form = TableForm(label="State", leave_out=("time", "machine"))
    table = open_table(path, form)
    assert "a header, 12 columns, the label in the column 'state', 2 left out" in table.understood
    np.testing.assert_array_equal(read_table(path, form).values[:, 0], VALUES)


@pytest.mark.parametrize(
    ("name", "content", "form", "words"),
    [
        ("a.csv", b"1\n2\n3\n", TableForm(), "rows of 1 value .*no header, 1 column, no label"),
        ("a.csv", b"t,v\n1,2\n", TableForm(label="x"), "the label in the column 'x', .* 't', 'v'"),
        ("a.csv", b"time,v,w\n1,2,3\n", TableForm(), "with the column 'time': leave it out"),
        ("a.csv", b"a,b\n1,x\n2,3\n", TableForm(), "'x' in the column 'b' .*a header, 2 columns"),
        ("a.csv", b"1,2,3\n1,x,3\n", TableForm(), "line 2: .*'x' in column 1 "),
        ("a.csv", b"1,2,3\n1,2\n", TableForm(), "line 2: expected a row of 3 values, found 2"),
        ("a.csv", b"1,2,3\n", TableForm(label=7), "the label in column 7, .*3 columns without"),
        ("a.csv.gz", b"no gzip", TableForm(), "a.csv.gz: expected a readable file"),
        ("a.csv.xz", b"no xz", TableForm(), "a.csv.xz: expected a readable file"),
        ("a.ts", b"@data\n1,2:3,4\n1,2\n", TableForm(), "line 3: expected 2 channels of 2"),
        ("a.ts", b"@classLabel false\n@data\n1,2\n", TableForm(label="y"), "@classLabel false"),
        ("a.ts", b"@timeStamps true\n@data\n(0,1)\n", TableForm(), "@timeStamps true"),
        ("a.ts", b"1,2,3\n", TableForm(), "expected a line @data"),
        ("a.npz", b"no zip", TableForm(), "a.npz: expected a table of numbers"),
        ("a.arrow", b"no arrow", TableForm(), "a.arrow: expected a table of numbers"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_was_understood(
    tmp_path: Path, name: str, content: bytes, form: TableForm, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RequestError, match=words) as error:
        read_table(tmp_path / name, form)
    assert "\n" not in str(error.value)


def damaged_text(offsets: list[int], text: bytes) -> pa.Table:
    """A label of damaged strings beside two columns of values."""
    buffers = [None, pa.py_buffer(np.array(offsets, dtype=np.int32)), pa.py_buffer(text)]
    label = pa.Array.from_buffers(pa.utf8(), 2, buffers)
    return pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0], "label": label})


def damaged_arrow(path: Path) -> None:
    table = damaged_text([0, 10**9, 2], b"ok")
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def damaged_deflate(path: Path) -> None:
    np.savez_compressed(path, values=VALUES)
    content = bytearray(path.read_bytes())
    name_length, extra_length = struct.unpack_from("<HH", content, 26)
    content[30 + name_length + extra_length] = 0b111  # a kind of block that deflate does not have
    path.write_bytes(content)


def write_zip(path: Path, offset: int, value: int) -> None:
    """Write an archive with another byte at `offset` of its member's header."""
    np.savez(path, values=VALUES)
    content = bytearray(path.read_bytes())
    for signature, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):  # local, and central
        content[content.index(signature) + offset + shift] = value
    path.write_bytes(content)


def damaged_header(path: Path) -> None:
    np.save(path, VALUES)
    path.write_bytes(path.read_bytes().replace(b"}", b" ", 1))


DAMAGED: dict[str, Callable[[Path], Any]] = {
    "offsets.arrow": damaged_arrow,
    "names.parquet": lambda path: pq.write_table(damaged_text([0, 1, 2], b"\xff\xfe"), path),
    "columns.parquet": lambda path: path.write_bytes(b"PAR1 no parquet PAR1"),
    "deflate.npz": damaged_deflate,
    "compression.npz": lambda path: write_zip(path, 8, 99),
    "encrypted.npz": lambda path: write_zip(path, 6, 1),
    "header.npy": damaged_header,
    "deflate.csv.gz": lambda path: path.write_bytes(
        gzip.compress(FRAME.to_csv().encode())[:40] + bytes(100)
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    DAMAGED[name](tmp_path / name)
    with pytest.raises(RequestError, match=rf"{name}: expected a (table of numbers|readable file)"):
        read_table(tmp_path / name, TableForm(label="label", may_lack_label=True))


def test_lists_are_read_by_a_process_that_reads_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, "lists.parquet")
    code = (
        "from pathlib import Path; from study.data.tables.form import TableForm;"
        "from study.data.tables.reader import read_table;"
        f"print(read_table(Path({str(path)!r}), TableForm(label='state')).values.shape)"
    )
    shown = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert shown.stdout == "(6, 1, 9)\n"


def test_channels_of_unequal_length_are_no_table(tmp_path: Path) -> None:
    pd.DataFrame({"a": [[1.0, 2], [3.0, 4]], "b": [[1.0, 2, 3], [3.0, 4, 5]]}).to_parquet(
        tmp_path / "a.parquet"
    )
    with pytest.raises(RequestError, match="lists of equal length, found lengths 2, 3"):
        read_table(tmp_path / "a.parquet", TableForm())


def test_text_in_a_column_of_a_parquet_file_is_named(tmp_path: Path) -> None:
    FRAME.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(RequestError, match=r"string in the column 'state'.*name it as the label"):
        read_table(tmp_path / "a.parquet", TableForm())


@pytest.mark.parametrize("name", ["a.npz", "a.ts"])
def test_labels_that_nobody_wants_are_not_read(tmp_path: Path, name: str) -> None:
    table = read_table(write(tmp_path, name), TableForm())
    assert table.symbol is None
    np.testing.assert_array_equal(table.values[:, 0], VALUES)


def test_several_arrays_are_not_guessed_between(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=VALUES, other=VALUES)
    with pytest.raises(RequestError, match=r"one \(6, 9\), other \(6, 9\)"):
        read_table(tmp_path / "a.npz", TableForm())


@pytest.mark.parametrize("name", ["npy", "npz"])
def test_an_archive_and_an_array_are_told_apart_by_what_they_hold(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / f"a.{name}"
    with file.open("wb") as opened:
        np.savez(opened, X=VALUES) if name == "npy" else np.save(opened, VALUES)
    other = "npz" if name == "npy" else "npy"
    with pytest.raises(RequestError, match=rf"a\.{name}: .*: call the file \.{other}"):
        read_table(file, TableForm())


def test_endings_of_tables_are_known() -> None:
    assert all(is_table(Path(name)) for name in (*WRITERS, "x/A.TSV", "a.npy.gz"))
    assert not any(map(is_table, map(Path, ("mitdb/100", "mitdb/100.dat", "a.gz", "a.zip"))))


def test_a_time_beyond_the_columns_of_a_header_has_no_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n2026-01-01,1,2026-01-02\n")
    assert time_columns(path) == ("a",)


@pytest.mark.parametrize("name", ["a.parquet", "a.feather", "a.csv", "lists.parquet"])
def test_pandas_index_is_no_value(tmp_path: Path, name: str) -> None:
    every = pd.DataFrame({"x": list(VALUES)}) if "lists" in name else FRAME.drop(columns="state")
    kept = every.iloc[[0, 2, 5]]  # an index that pandas does not make anew
    path = tmp_path / name
    if name == "a.csv":
        kept.to_csv(tmp_path / "own.csv")
        pd.read_csv(tmp_path / "own.csv").to_csv(path, index=False)  # "Unnamed: 0"
    elif name == "a.feather":
        pa.feather.write_feather(pa.Table.from_pandas(kept), path)
    else:
        kept.to_parquet(path)
    table = open_table(path, TableForm())
    assert "1 left out" in table.understood
    np.testing.assert_array_equal(read_table(path, TableForm()).values[:, 0], VALUES[[0, 2, 5]])


@pytest.mark.parametrize("name", ["a.csv", "na.csv", "a.parquet", "number.parquet", "a.npz"])
def test_a_row_without_a_label_is_refused_with_its_number(tmp_path: Path, name: str) -> None:
    missing, path = FRAME.assign(state=[0.0, 1, 0, 0, np.nan, 1]), tmp_path / name
    if name == "a.npz":
        np.savez(path, values=VALUES, state=missing["state"])
    elif path.suffix == ".csv":
        missing.to_csv(path, index=False, na_rep="nan" if name == "na.csv" else "")
    else:
        words = missing["state"].map({0: "ok", 1: "hot"})  # nan becomes null
        missing.assign(state=missing["state"] if "number" in name else words).to_parquet(path)
    form = TableForm(label="state")
    with pytest.raises(RequestError, match=rf"{name}: expected a label .* none in row 5 .*fill it"):
        read_table(path, form)
    (rows,) = open_table(path, form).blocks(100)  # as study.score reads it
    settings = TableSettings(path="a.csv", label="state", normal_labels=("0", "ok"))
    assert settings.labels_of(rows.label).tolist() == [0, 1, 0, 0, -1, 1]


def test_truths_are_zero_and_one(tmp_path: Path) -> None:
    on = VALUES > 5
    pd.DataFrame(on, columns=NAMES).assign(t0=VALUES[:, 0]).to_parquet(tmp_path / "a.parquet")
    values = read_table(tmp_path / "a.parquet", TableForm()).values[:, 0]
    np.testing.assert_array_equal(values, np.column_stack([VALUES[:, :1], on[:, 1:]]))


@pytest.mark.parametrize(
    ("written", "label"),
    [
        *(("+1", "1"), ("1e0", "1"), ("-0", "0"), ("007", "7"), ("-2.50", "-2.5"), ("nan", "")),
        *((" ok ", "ok"), ("1_1", "1_1"), (str(2**53 + 1), str(2**53 + 1))),
    ],
)
def test_labels_have_one_form(written: str, label: str) -> None:
    assert canonical_label(written) == label
