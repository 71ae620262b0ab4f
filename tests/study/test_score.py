import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import confusion_matrix, f1_score, matthews_corrcoef, roc_auc_score

from study import load_detector, score
from study.terminal.command import NOT_FINISHED, REQUEST_WRONG
from tests.study.conftest import Trained
from tests.study.ledger.older_form import to_older_form


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> object:
    """Runs the command in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["score", *map(str, arguments)])
        code = score.app.main()
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_a_record_becomes_a_table_of_its_beats(run, record: Path, trained_beats: Trained) -> None:
    code, printed, _ = run(trained_beats.fold(), record)
    assert code == 0
    frame = pd.read_parquet("b1.scores.parquet")
    samples = trained_beats.samples
    assert printed.endswith(
        f"{frame['decision'].sum()} of {len(samples)} beats abnormal; scores in b1.scores.parquet\n"
    )
    assert list(frame) == [
        "sample", "record", "position", "seconds", "symbol", "reconstruction_error",
        "discrimination_error", "latent_norm", "drawn_norm", "score", "decision", "votes",
        "composition", "latent_form", "supervision", "tau",
    ]  # fmt: skip
    stored = trained_beats.stored()
    np.testing.assert_allclose(frame["latent_norm"], stored["latent_norm"], rtol=1e-3)
    assert frame["symbol"].tolist() == samples.symbol.tolist()
    np.testing.assert_array_equal(frame["decision"], frame["score"] > frame["tau"])
    assert set(frame["composition"]) == {"svm_lambda"}
    assert set(frame["supervision"]) == {"svm"}
    np.testing.assert_allclose(frame["seconds"], frame["position"] / 360)


def test_folds_together_are_the_ensemble(run, record: Path, trained_beats: Trained) -> None:
    code, *_ = run(
        trained_beats.place, record, "--output", "e.parquet", "--composition", "svm_gamma",
        "--latent-form", "chi_mode",
    )  # fmt: skip
    assert code == 0
    frame = pd.read_parquet("e.parquet")
    detector = load_detector(str(trained_beats.place), "svm_gamma", "chi_mode")
    expected = detector.score(trained_beats.samples.values)
    np.testing.assert_allclose(frame["score"], expected.score, rtol=1e-2, atol=1e-2)
    assert set(frame["latent_form"]) == {"chi_mode"}
    assert set(frame["votes"]) <= {0, 1, 2}


def test_a_table_of_rows_keeps_its_labels(run, trained_rows: Trained, tmp_path: Path) -> None:
    values = trained_rows.samples.values[:, 0]
    np.savetxt("new.csv", values, delimiter=",")
    assert run(trained_rows.fold(), "new.csv")[0] == 0
    frame = pd.read_parquet("new.scores.parquet")
    np.testing.assert_allclose(
        frame["reconstruction_error"], trained_rows.stored()["reconstruction_error"], rtol=1e-3
    )
    assert frame["sample"].tolist() == list(range(len(values)))
    np.savetxt("new.tsv", np.column_stack([trained_rows.samples.label, values]), delimiter="\t")
    assert run(trained_rows.fold(), "new.tsv")[0] == 0
    assert "label" in pd.read_parquet("new.scores.parquet")


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_stretch_of_the_record_is_drawn(
    run, record: Path, trained_beats: Trained, ending: str
) -> None:
    code, printed, _ = run(
        trained_beats.fold(), record, "--plot", f"p.{ending}", "--from", 20, "--to", 45
    )
    assert code == 0
    assert printed.endswith(f"picture in p.{ending}\n")
    assert Path(f"p.{ending}").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--peaks", "guessed"], "guessed"),
        (["--composition", "svm_lamda"], "did you mean 'svm_lambda'"),
        (["--latent-form", "x", "--composition", "latent"], "latent form: expected one of"),
        (["--output", "no/folder.parquet"], "expected a file in a folder that exists"),
        (["--plot", "p.gif"], "expected a file ending in .png, .svg, .pdf"),
        (["--plot", "p.png", "--from", "9000"], "which is 170 s long"),
        (["--plot", "p.png", "--from", "9", "--to", "9"], "which is 170 s long"),
    ],
)
def test_a_wrong_request_is_one_line_and_writes_nothing(
    run, record: Path, trained_beats: Trained, tmp_path: Path, options: list[str], words: str
) -> None:
    code, output, error = run(trained_beats.fold(), record, *options)
    assert (code, output) == (REQUEST_WRONG, "")
    assert words in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_on_the_way_leaves_nothing(
    run, record: Path, trained_beats: Trained, tmp_path: Path
) -> None:
    for ending in (".hea", ".dat", ".atr"):
        content = record.with_suffix(ending).read_bytes()
        (tmp_path / f"b1{ending}").write_bytes(content[: 900 if ending == ".dat" else None])
    before = sorted(tmp_path.iterdir())
    code, _, error = run(trained_beats.fold(), "b1")
    assert code == REQUEST_WRONG
    assert "b1: expected a WFDB record" in error
    assert sorted(tmp_path.iterdir()) == before


def test_a_fold_that_was_stored_with_its_study_scores_as_before(
    run, record: Path, trained_beats: Trained, tmp_path: Path
) -> None:
    assert run(trained_beats.place, record, "--output", "new.parquet")[0] == 0
    older = tmp_path / "ledger" / trained_beats.place.name
    shutil.copytree(trained_beats.place, older)
    to_older_form(older, trained_beats.study)
    assert run(older, record, "--output", "old.parquet")[0] == 0
    pd.testing.assert_frame_equal(pd.read_parquet("old.parquet"), pd.read_parquet("new.parquet"))


def test_a_damaged_model_is_not_used(run, record: Path, trained_beats: Trained) -> None:
    file = trained_beats.fold() / "model.safetensors"
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        code, _, error = run(trained_beats.fold(), record)
    finally:
        file.write_bytes(content)
    assert code == NOT_FINISHED
    assert "is not what was committed" in error


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--from", "5", "--to", "9"]])
def test_samples_of_a_table_are_drawn(
    run, trained_rows: Trained, tmp_path: Path, options: list[str]
) -> None:
    np.save("new.npy", trained_rows.rows)
    code, printed, _ = run(trained_rows.fold(), "new.npy", "--plot", "p.png", *options)
    assert code == 0
    assert printed.endswith("picture in p.png\n")
    assert Path("p.png").stat().st_size > 5000


def test_samples_that_are_not_there_are_not_drawn(run, trained_rows: Trained) -> None:
    np.save("new.npy", trained_rows.rows)
    for options, words in (
        (["--from", "80"], "--from 80: expected a sample of the table, which has 80"),
        (["--from", "500", "--to", "510"], "--from 500: expected a sample of the table"),
        (
            ["--from", "5", "--to", "3"],
            "--from 5, --to 3: expected --to above --from, found no sample",
        ),
        (["--from", "5.2", "--to", "5.8"], "--from 5, --to 5: expected --to above"),
        (["--to", "0"], "--from 0, --to 0: expected --to above --from, found no sample"),
        (["--to", "61"], "--from 0, --to 61: expected at most 60 samples, found 61"),
    ):
        code, printed, error = run(trained_rows.fold(), "new.npy", "--plot", "p.png", *options)
        assert (code, printed) == (REQUEST_WRONG, "")
        assert words in error
        assert error.count("\n") == 1
        assert [path.name for path in Path().iterdir()] == ["new.npy"]


@pytest.mark.parametrize("ending", ["csv", "parquet", "feather", "arrow"])
def test_scores_have_the_form_that_their_name_says(run, trained_rows: Trained, ending: str) -> None:
    np.save("new.npy", trained_rows.rows)
    assert run(trained_rows.fold(), "new.npy", "--output", f"s.{ending}")[0] == 0
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}.get(ending, pd.read_feather)
    frame = read(f"s.{ending}")
    assert len(frame) == 80
    expected = load_detector(str(trained_rows.fold())).score(trained_rows.rows)
    np.testing.assert_allclose(frame["score"], expected.score)
    assert frame["decision"].tolist() == expected.decision.tolist()


def test_a_form_that_no_file_of_scores_has_is_refused(run, trained_rows: Trained) -> None:
    code, _, error = run(trained_rows.fold(), "new.csv", "--output", "s.xlsx")
    assert code == REQUEST_WRONG
    assert "--output s.xlsx: expected a file ending in .parquet, .csv" in error


def test_labels_are_compared_with_decisions(run, trained_rows: Trained) -> None:
    label = np.where(trained_rows.samples.label == 0, "1.0", "2")
    frame = pd.DataFrame(trained_rows.rows).add_prefix("t").assign(label=label)
    frame.to_csv("new.csv", index=False)
    code, printed, _ = run(trained_rows.fold(), "new.csv", "--output", "s.csv")
    assert code == 0
    scores, truth = pd.read_csv("s.csv"), trained_rows.samples.label
    (_, alarms), (missed, hits) = confusion_matrix(truth, scores["decision"])
    assert f"of 20 abnormal samples {hits} found and {missed} missed" in printed
    assert f"of 60 normal ones {alarms} called abnormal" in printed
    assert f"F1 weighted {f1_score(truth, scores['decision'], average='weighted'):.4f}" in printed
    assert f"F1 of abnormal {f1_score(truth, scores['decision']):.4f}" in printed
    assert f"phi {matthews_corrcoef(truth, scores['decision']):.4f}" in printed
    assert f"AUROC {roc_auc_score(truth, scores['score']):.4f}" in printed


@pytest.mark.parametrize("ending", ["csv", "npy"])
def test_samples_without_labels_are_compared_with_none(
    run, trained_rows: Trained, ending: str
) -> None:
    np.save("new.npy", trained_rows.rows)
    pd.DataFrame(trained_rows.rows).add_prefix("t").to_csv("new.csv", index=False)
    code, printed, _ = run(trained_rows.fold(), f"new.{ending}")
    assert code == 0
    assert "of 80 samples abnormal; scores in" in printed
    assert "found" not in printed
    assert "F1" not in printed
    frame = pd.DataFrame(trained_rows.rows).add_prefix("t")
    frame.assign(label=["1"] * 79 + [""]).to_csv("new.csv", index=False)
    code, printed, error = run(trained_rows.fold(), "new.csv")
    assert code == 0, error
    assert "of 0 abnormal samples 0 found and 0 missed; of 79 normal ones" in printed


def test_beats_with_annotations_are_compared_with_them(
    run, record: Path, trained_beats: Trained
) -> None:
    code, printed, _ = run(trained_beats.fold(), record)
    abnormal = int(trained_beats.samples.label.sum())
    assert code == 0
    assert f"of {abnormal} abnormal beats " in printed
    assert "AUROC" in printed


@pytest.mark.parametrize("name", ["mine", "trial-00007", "fold-9"])
@pytest.mark.parametrize("part", ["trial", "fold"])
def test_a_copy_scores_wherever_it_is(
    run, trained_rows: Trained, part: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save("new.npy", trained_rows.rows)
    source = trained_rows.place if part == "trial" else trained_rows.fold(1)
    assert run(source, "new.npy", "--output", "before.csv")[0] == 0
    shutil.copytree(source, name)
    assert run(name, "new.npy", "--output", "after.csv")[0] == 0
    monkeypatch.chdir(name)
    assert run(".", "../new.npy", "--output", "../inside.csv")[0] == 0
    for copied in ("after", "inside"):
        assert Path(f"../{copied}.csv").read_text() == Path("../before.csv").read_text()


def test_rows_of_the_file_that_was_trained_on_are_taken_and_what_is_done_to_them_said(
    run, trained_rows: Trained
) -> None:
    frame = pd.DataFrame(trained_rows.rows).add_prefix("t")
    frame.assign(label=trained_rows.samples.label).to_csv("new.csv", index=False)
    code, printed, _ = run(trained_rows.fold(), "new.csv")
    assert code == 0
    assert "a header, 41 columns, the label in the column 'label'" in printed
    assert "rows of 40 values brought to 32, as in training" in printed
    np.testing.assert_allclose(
        pd.read_parquet("new.scores.parquet")["reconstruction_error"],
        trained_rows.stored()["reconstruction_error"],
        rtol=1e-3,
    )
