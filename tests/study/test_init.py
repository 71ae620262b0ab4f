"""A study file for a table: what is understood of it, and that it runs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from study import init
from study.config.study_file import load_study
from study.data.tables.guess import guess_table
from study.errors import RequestError
from study.training.prepared import prepare
from tests.commands import call

VALUES = np.random.default_rng(0).normal(size=(120, 50))
STATE = np.where(np.arange(120) % 6 == 0, "hot", "ok")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STUDY_CACHE_DIR", str(tmp_path / "cache"))


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(VALUES).add_prefix("t").assign(**columns)


def ucr(path: str, rows: slice, label: np.ndarray) -> None:
    table = np.column_stack([label, VALUES])[rows]
    np.savetxt(path, table, delimiter="\t", fmt="%.6g")


def test_a_csv_becomes_a_study_that_is_accepted(tmp_path: Path) -> None:
    frame(machine="m1", timestamp=np.arange(120), state=STATE).to_csv("my pumps.csv", index=False)
    done = call(init.app, "my pumps.csv")
    assert done.code == 0, done.errors
    assert "a header, 53 columns, the label in the column 'state', 2 left out" in done.output
    assert "hot: 20 rows, abnormal" in done.output
    study = load_study("study.yaml")
    assert study.name == "my_pumps"
    assert study.dataset.length == 64
    prepared = prepare(study, tmp_path / "nowhere", tmp_path)
    assert prepared.samples.label.sum() == 20
    assert list(prepared.warnings(study)) == ["rows of 50 values are brought to 64"]
    assert "normal label is known by its name" in Path("study.yaml").read_text()


def test_the_archive_s_two_files_are_training_and_test(tmp_path: Path) -> None:
    label = np.where(STATE == "ok", 1, 2)
    (tmp_path / "data").mkdir()
    ucr("data/Own_TRAIN.tsv", slice(0, 60), label)
    ucr("data/Own_TEST.tsv", slice(60, 120), label)
    done = call(init.app, "data/Own_TRAIN.tsv", "--output", "own.yaml")
    assert done.code == 0, done.errors
    study = load_study("own.yaml")
    assert (study.name, study.split.protocol) == ("own", "given")
    samples = prepare(study, tmp_path / "nowhere", tmp_path).samples
    assert (samples.side == "test").sum() == 60


def test_normals_alone_are_chosen_by_without_labels(tmp_path: Path) -> None:
    np.save("healthy.npy", VALUES)
    done = call(init.app, "healthy.npy", "--unlabelled")
    assert done.code == 0, done.errors
    assert "no F1 or AUROC" in done.output
    study = load_study("study.yaml")
    assert study.search.metric.score == "normal_error"
    prepare(study, tmp_path / "nowhere", tmp_path)


def test_what_is_known_is_taken(tmp_path: Path) -> None:
    frame(grade=STATE).to_parquet("a.parquet")
    done = call(init.app, "a.parquet", "--label", "grade", "--normal", "hot")
    assert done.code == 0, done.errors
    assert load_study("study.yaml").dataset.normal_labels == ("hot",)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.csv", "--normal", "cold"], "expected one of hot, ok, found cold"),
        (["a.csv", "--label", "colour"], "the label in the column 'colour'"),
        (["a.csv", "--unlabelled", "--normal", "ok"], "leave one out"),
        (["many.csv", "--label", "note"], "found 120 different ones"),
        (["a.csv", "--output", "a.csv"], "is there already"),
        (["recording.csv"], "a value a line is a recording"),
        (["sensors.csv"], "120 rows of 3 values: these are moments of a recording"),
        (["nowhere.csv"], "expected a readable file"),
        (["few.csv"], "split"),
    ],
)
def test_what_cannot_be_a_study_is_refused_in_a_line(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    frame(state=STATE).to_csv("a.csv", index=False)
    frame(state=STATE)[:4].to_csv("few.csv", index=False)
    frame(note=[f"n{i}" for i in range(120)]).to_csv("many.csv", index=False)
    np.savetxt("recording.csv", VALUES[:, 0])
    pd.DataFrame(VALUES[:, :3], columns=list("abc")).assign(time=range(120)).to_csv(
        "sensors.csv", index=False
    )
    before = sorted(path.name for path in tmp_path.iterdir())
    done = call(init.app, *arguments)
    assert (done.code, done.output) == (2, "")
    assert words in done.errors
    assert done.errors.count("\n") == 1
    assert sorted({path.name for path in tmp_path.iterdir()} - {"cache"}) == before


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (np.arange(120) % 3, 0),
        (np.random.default_rng(1).normal(size=120), None),
        (np.ones(120), None),
    ],
)
def test_a_first_column_is_a_label_if_it_has_few_whole_numbers(
    label: np.ndarray, expected: int | None
) -> None:
    np.savetxt("a.csv", np.column_stack([label, VALUES]), delimiter=",")
    assert guess_table(Path("a.csv")).form.label == expected


def test_words_in_the_last_column_are_labels() -> None:
    frame(grade=STATE).to_csv("a.csv", index=False)
    guess = guess_table(Path("a.csv"))
    assert (guess.form.label, guess.normal) == ("grade", ("ok",))


def test_words_that_are_no_labels_are_refused() -> None:
    frame(note=[f"n{i}" for i in range(120)]).to_csv("a.csv", index=False)
    with pytest.raises(RequestError, match="'n0' in the column 'note'"):
        guess_table(Path("a.csv"))
