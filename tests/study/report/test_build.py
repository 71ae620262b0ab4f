import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study.config.study_file import check_study, dump_study
from study.data.samples import Samples
from study.errors import StudyFailedError
from study.ledger import fold_files
from study.report import build, cache, fold_scores
from study.report.build import build_report
from study.report.cache import FOLDER
from study.report.fold_scores import ScoreTask, score_fold
from study.report.parallel import Backend
from study.search.trial import FoldAddress, trial_name
from study.storage.folder import LocalFolder
from tests.study.report.conftest import FOLDS, LAST_EPOCH, DrawnLedger
from tests.study.trials import trial_of


@pytest.fixture(autouse=True)
def _without_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests here are of tables, of which cards are made."""
    monkeypatch.setattr(build, "write_model_cards", lambda *_: [])


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Trial and fold of every fit, as they happen."""
    done: list[tuple[str, int]] = []

    def watched(task: ScoreTask) -> object:
        done.append((task.manifest.trial, task.manifest.fold))
        return score_fold(task)

    monkeypatch.setattr(build, "score_fold", watched)
    return done


def report(drawn: DrawnLedger, backend: Backend = "serial") -> dict[str, bytes]:
    assert build_report(drawn.study, drawn.facts, drawn.results, backend) is not None
    return drawn.tables()


def without_cache(drawn: DrawnLedger) -> dict[str, bytes]:
    drawn.results.remove(FOLDER)
    return report(drawn)


def folds_of(*numbers: int) -> list[tuple[str, int]]:
    return [(trial_name(number), fold) for number in numbers for fold in range(FOLDS)]


def flip(drawn: DrawnLedger, path: str, place: int) -> None:
    content = bytearray(drawn.results.read(path))
    content[place // 8 % len(content)] ^= 1 << place % 8
    drawn.results.write(path, bytes(content))


def test_a_study_without_scores_has_no_tables(drawn: DrawnLedger) -> None:
    assert build_report(drawn.study, drawn.facts, drawn.results) is None
    assert not drawn.results.exists("scores.parquet")


def test_only_folds_that_are_new_are_fitted(
    drawn: DrawnLedger, fitted: list[tuple[str, int]]
) -> None:
    drawn.commit(0)
    report(drawn)
    assert fitted == folds_of(0)
    fitted.clear()
    report(drawn)
    assert fitted == []
    drawn.commit(1)
    drawn.commit(2, state="pruned")
    tables = report(drawn)
    assert fitted == folds_of(1, 2)
    assert tables == without_cache(drawn)
    assert fitted == folds_of(1, 2) + folds_of(0, 1, 2)


def test_failed_trials_have_no_scores(drawn: DrawnLedger, fitted: list[tuple[str, int]]) -> None:
    drawn.commit(0, state="failed")
    drawn.commit(1)
    scores = pd.read_parquet(io.BytesIO(report(drawn)["scores"]))
    assert set(scores["trial"]) == {"trial-00001"}
    assert fitted == folds_of(1)


@pytest.mark.parametrize("folder", ["local", "s3"], indirect=True)
@pytest.mark.slow
def test_tables_are_the_same_bytes_with_and_without_kept_scores(
    drawn_anywhere: DrawnLedger,
) -> None:
    drawn = drawn_anywhere
    drawn.commit(0, (LAST_EPOCH, 2))
    drawn.commit(1)
    cold = report(drawn)
    assert report(drawn) == cold
    drawn.results.remove(f"{FOLDER}/scores/trial-00000")
    assert report(drawn) == cold


@pytest.mark.slow
def test_tables_do_not_depend_on_how_they_were_computed(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    expected = report(drawn, "serial")
    backends: tuple[Backend, ...] = ("threads", "processes")
    for backend in backends:
        drawn.results.remove(FOLDER)
        assert report(drawn, backend) == expected, backend


@pytest.mark.slow
def test_a_damaged_cache_is_noticed_and_replaced(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    expected = report(drawn)
    path = f"{FOLDER}/scores/trial-00000"
    sound = drawn.results.read(path)
    flip(drawn, path, 4 * len(sound))
    for damaged in (drawn.results.read(path), sound[: len(sound) // 2]):
        drawn.results.write(path, damaged)
        assert report(drawn) == expected
        assert drawn.results.read(path) == sound


@pytest.mark.slow
def test_kept_scores_of_another_trial_or_study_are_not_used(
    drawn: DrawnLedger,
    fitted: list[tuple[str, int]],
    tmp_path: Path,
    tiny_samples: Callable[..., Samples],
) -> None:
    other = DrawnLedger(LocalFolder(tmp_path / "other"), tiny_samples(40, 24), seed=1)
    drawn.commit(0)
    for ledger in (drawn, other):
        ledger.commit(1)
        report(ledger)
    expected = drawn.tables()
    own = drawn.results.read(f"{FOLDER}/scores/trial-00001")
    for foreign in (
        other.results.read(f"{FOLDER}/scores/trial-00001"),
        drawn.results.read(f"{FOLDER}/scores/trial-00000"),
    ):
        fitted.clear()
        drawn.results.write(f"{FOLDER}/scores/trial-00001", foreign)
        assert report(drawn) == expected
        assert fitted == folds_of(1)
        assert drawn.results.read(f"{FOLDER}/scores/trial-00001") == own


@pytest.mark.slow
def test_other_settings_code_or_libraries_fit_anew(
    drawn: DrawnLedger, fitted: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn.commit(0)
    before = report(drawn)
    content = dump_study(drawn.study)
    content["scores"] |= {"quantile": 0.5}
    drawn.write_study(check_study(content, "drawn.yaml"))
    record = drawn.ledger.trial(trial_name(0))
    assert record is not None
    other = trial_of(drawn.study, 0, record.trial.parameters)
    drawn.ledger.record_trial(replace(record, trial=other))
    fitted.clear()
    assert report(drawn) != before
    assert fitted == folds_of(0)
    fitted.clear()
    known = cache.scoring()
    name = next(iter(known))  # each is in the key: see the tests of the cache
    monkeypatch.setattr(cache, "scoring", lambda: {**known, name: "other"})
    report(drawn)
    assert fitted == folds_of(0)


@pytest.mark.slow
def test_damage_to_the_ledger_is_named_whether_scores_were_kept_or_not(
    drawn: DrawnLedger,
) -> None:
    drawn.commit(0)
    before = report(drawn)
    for kept in (True, False):
        if not kept:
            drawn.results.remove(FOLDER)
        for name in (*fold_scores.READ_FILES, fold_files.TIMINGS, fold_files.HISTORY):
            path = f"ledger/{FoldAddress(trial_name(0), 1).path}/{name}"
            flip(drawn, path, 1001)
            with pytest.raises(StudyFailedError, match=name):
                report(drawn)
            assert drawn.tables() == before
            flip(drawn, path, 1001)
        assert report(drawn) == before


def test_a_missing_fold_is_named(drawn: DrawnLedger) -> None:
    drawn.commit(0, (3,))
    with pytest.raises(StudyFailedError, match=r"trial-00000\S*: fold 1 is missing"):
        report(drawn)


@pytest.mark.slow
def test_trials_that_were_fitted_before_an_interruption_are_kept(
    drawn: DrawnLedger, monkeypatch: pytest.MonkeyPatch, fitted: list[tuple[str, int]]
) -> None:
    for number in range(2):
        drawn.commit(number)

    def interrupted(task: ScoreTask) -> object:
        if (task.manifest.trial, task.manifest.fold) == ("trial-00001", 1):
            raise KeyboardInterrupt
        return score_fold(task)

    with monkeypatch.context() as patch:
        patch.setattr(build, "score_fold", interrupted)
        with pytest.raises(KeyboardInterrupt):
            report(drawn)
    assert drawn.results.names(f"{FOLDER}/scores") == ["trial-00000"]
    after = report(drawn)
    assert fitted == folds_of(1)
    assert after == without_cache(drawn)


def test_equal_errors_under_both_epoch_rules_are_fitted_once(
    drawn: DrawnLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn.commit(0, (LAST_EPOCH, 2))
    evaluate = fold_scores.evaluate_compositions
    fits: list[float] = []

    def counted(errors, settings):  # type: ignore[no-untyped-def]
        fits.append(errors.test.values["reconstruction_error"].sum())
        return evaluate(errors, settings)

    monkeypatch.setattr(fold_scores, "evaluate_compositions", counted)
    scores = pd.read_parquet(io.BytesIO(report(drawn)["scores"]))
    assert len(fits) == len(set(fits)) == 3
    for fold, equal in ((0, True), (1, False)):
        best, last = (
            scores[(scores["fold"] == fold) & (scores["epoch_rule"] == rule)].reset_index(drop=True)
            for rule in ("best_validation", "last")
        )
        same = best.drop(columns=["epoch_rule", "epoch"]).equals(
            last.drop(columns=["epoch_rule", "epoch"])
        )
        assert same == equal
        np.testing.assert_array_equal(last["epoch"], LAST_EPOCH)
        np.testing.assert_array_equal(best["epoch"], (LAST_EPOCH, 2)[fold])


def test_little_work_stays_in_this_process_and_much_does_not(drawn: DrawnLedger) -> None:
    drawn.commit(0)
    ledger = drawn.ledger
    trial = trial_of(drawn.study)
    manifests = [ledger.fold(address) for address in trial.folds]
    tasks = [ScoreTask(ledger, m, trial.config, (), False) for m in manifests if m is not None]
    rows = pd.read_parquet(io.BytesIO(ledger.read(tasks[0].manifest, fold_files.COMPONENTS)))
    assert build._work(tasks) == 2 * len(rows) / build.ROWS_WORTH_PROCESSES
    assert build._work([]) == 0


def test_a_search_of_which_every_trial_was_stopped_has_scores_and_no_details(
    drawn: DrawnLedger,
) -> None:
    drawn.commit(0)
    record = drawn.ledger.trial(trial_name(0))
    assert record is not None
    drawn.ledger.record_trial(replace(record, state="pruned"))
    report(drawn)
    assert set(pd.read_parquet(io.BytesIO(drawn.results.read("scores.parquet")))["state"]) == {
        "pruned"
    }
    assert not drawn.results.exists("epochs.parquet")


def test_a_trial_that_was_stopped_with_some_of_its_folds_has_rows_of_those(
    drawn: DrawnLedger,
) -> None:
    """They are what they are where it has all; others keep all of theirs."""
    for number in (0, 1):
        drawn.commit(number)
    before = pd.read_parquet(io.BytesIO(report(drawn)["scores"]))
    stopped = drawn.ledger.trial(trial_name(1))
    assert stopped is not None
    drawn.ledger.record_trial(replace(stopped, state="pruned", num_folds=1))
    for fold in range(1, FOLDS):
        drawn.results.remove(f"ledger/{trial_name(1)}/fold-{fold}")
    report(drawn)
    tables = {
        name: pd.read_parquet(io.BytesIO(drawn.results.read(f"{name}.parquet")))
        for name in ("scores", "summary", "timings", "trials")
    }
    now = tables["scores"]
    kept = (before["trial"] == trial_name(0)) | (before["fold"] == 0)
    pd.testing.assert_frame_equal(
        now.drop(columns=["state", "labels_chose"]),
        before[kept].drop(columns=["state", "labels_chose"]).reset_index(drop=True),
    )
    assert tables["trials"]["folds"].tolist() == [FOLDS, 1]
    assert set(tables["timings"].query("trial == 'trial-00001'")["fold"]) == {0}
    summary = tables["summary"].set_index("trial")["folds"]
    assert {name: set(summary[name]) for name in summary.index} == {
        trial_name(0): {FOLDS},
        trial_name(1): {1},
    }
