"""The index of ended trials in a store: believed where the listing agrees, and nowhere else."""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from study.config.schema import Study
from study.ledger import index
from study.ledger.fold_contents import history_file
from study.ledger.index import IndexedLedger, drop_index, open_ledger
from study.ledger.ledger import LEARNED, FoldManifest, Ledger
from study.ledger.recovery import recover
from study.ledger.trial_outcome import split_by_completeness
from study.search.trial import FoldAddress, Proposal, RungDecision, trial_name
from study.storage.folder import Folder, LocalFolder, open_folder
from study.storage.hashes import with_digest
from tests.s3_server import S3Server
from tests.study.trials import record_of, trial_of

TRIALS = 5


@pytest.fixture
def results(store: S3Server, request: pytest.FixtureRequest) -> Folder:
    return open_folder(store.uri(f"index/{request.node.name}"))


@pytest.fixture
def study(tiny_study: Callable[..., Study]) -> Study:
    return tiny_study()


def end(ledger: Ledger, study: Study, number: int) -> None:
    """Do what workers and the driver do of a trial of two folds."""
    trial = trial_of(study, number)
    ledger.record_proposal(Proposal(trial, number, (), 7))
    ledger.record_decision(RungDecision(trial.name, 2, 0.5, goes_on=True, order=number))
    workers = Ledger(ledger.folder)
    for address in trial.folds:
        manifest = FoldManifest(address.trial, address.fold, "completed", "", 2, 2, {})
        history = history_file([{"epoch": 2, "value": 0.5}])
        workers.commit_fold(manifest, {"history.parquet": history, "x": bytes(9)})
    ledger.record_trial(record_of(trial, values=[(2, 0.5)], completion_order=number))
    ledger.remember(trial.name)


@pytest.fixture
def ended(results: Folder, study: Study) -> Folder:
    ledger = open_ledger(results)
    for number in range(TRIALS):
        end(ledger, study, number)
    ledger.save()
    return results


def reads(store: S3Server, work: Callable[[], object]) -> list[str]:
    """Return the paths of the objects of trials and of the index that are read meanwhile.

    A study's own small files are left out, which a start reads once, whatever the trials.
    """
    before = len(store.requests)
    work()
    requests = store.requests[before:]
    paths = [path for method, path, _ in requests if method == "GET"]
    own = ("/run_time", f"/{LEARNED}")
    return [path for path in paths if "list-type" not in path and not path.endswith(own)]


def test_a_ledger_that_is_opened_again_knows_all_and_reads_the_index_alone(
    ended: Folder, store: S3Server, study: Study
) -> None:
    plain = Ledger(ended.folder("ledger"))
    expected = (
        plain.trials(),
        plain.proposals(),
        plain.decisions(),
        [(plain.folds(name), plain.committed(name), plain.size(name)) for name in plain.names()],
    )

    def look() -> None:
        ledger = open_ledger(ended)
        assert recover(ended, ledger) == []
        actual = (
            ledger.trials(),
            ledger.proposals(),
            ledger.decisions(),
            [(ledger.folds(n), ledger.committed(n), ledger.size(n)) for n in ledger.names()],
        )
        assert actual == expected
        assert len(split_by_completeness(ledger)[0]) == TRIALS

    (path,) = reads(store, look)
    assert "/index/000001.segment" in path


@pytest.mark.parametrize("how", ["changed", "gone", "new", "truncated"])
def test_a_trial_whose_files_are_others_by_now_is_read_and_what_is_damaged_is_found(
    how: str, ended: Folder, store: S3Server
) -> None:
    path = "trial-00003/fold-1/x"
    if how == "gone":
        ended.remove(f"ledger/{path}")
    elif how == "new":
        ended.write("ledger/trial-00003/fold-1/other", b"1")
    else:
        ended.write(f"ledger/{path}", b"changed" if how == "changed" else bytes(8))
    ledger = open_ledger(ended)
    assert [ledger.is_known(trial_name(number)) for number in range(TRIALS)] == [
        number != 3 for number in range(TRIALS)
    ]
    lines = recover(ended, ledger)
    assert len(lines) == (how != "new")
    assert (FoldAddress(trial_name(3), 1) in ledger.committed(trial_name(3))) == (how == "new")
    assert all("trial-00003" in each for each in reads(store, lambda: recover(ended, ledger)))


@pytest.mark.parametrize("how", ["missing", "flipped", "truncated", "of another form"])
def test_a_damaged_index_is_made_again_and_hides_nothing(
    how: str, ended: Folder, store: S3Server
) -> None:
    path = "index/000001.segment"
    content = ended.read(path)
    if how == "missing":
        drop_index(ended)
    elif how == "flipped":
        ended.write(path, content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    elif how == "truncated":
        ended.write(path, content[:20])
    else:
        ended.write(path, with_digest(b"no table"))
    ended.write("ledger/trial-00001/fold-0/x", b"changed")
    ledger = open_ledger(ended)
    assert isinstance(ledger, IndexedLedger)
    assert not any(ledger.is_known(trial_name(number)) for number in range(TRIALS))
    (line,) = recover(ended, ledger)
    assert "trial-00001/fold-0/x" in line
    again = open_ledger(ended)
    assert [again.is_known(trial_name(number)) for number in range(TRIALS)] == [
        number != 1 for number in range(TRIALS)
    ]
    assert len(ended.names("index")) == 1


def test_a_trial_with_a_damaged_small_file_is_not_remembered(ended: Folder) -> None:
    drop_index(ended)
    path = f"ledger/{trial_name(1)}/proposal.json"
    ended.write(path, ended.read(path).replace(b'"seed": 7', b'"seed": 8'))
    ledger = open_ledger(ended)
    for number in (0, 1):
        ledger.remember(trial_name(number))
    assert ledger.is_known(trial_name(0))
    assert not ledger.is_known(trial_name(1))


@pytest.mark.parametrize("name", ["proposal.json", "rung-000002.json"])
def test_a_small_file_of_an_ended_trial_that_is_put_aside_hinders_nothing(
    name: str, ended: Folder
) -> None:
    drop_index(ended)
    path = f"ledger/{trial_name(1)}/{name}"
    ended.write(path, ended.read(path)[:-5])
    (line,) = recover(ended, open_ledger(ended))
    assert name in line
    assert not ended.exists(path)
    again = open_ledger(ended)
    assert all(again.is_known(trial_name(number)) for number in range(TRIALS))
    assert recover(ended, again) == []


def test_trials_that_threads_add_at_the_same_time_are_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "SEGMENT_TRIALS", 70)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    segments = index._Segments(LocalFolder(tmp_path))
    known = index.KnownTrial("0" * 64, (0,), 1, {f"{n}.json": b"x" for n in range(20)})
    names = [trial_name(number) for number in range(300)]
    try:
        with ThreadPoolExecutor(16) as adding:
            list(adding.map(lambda name: segments.add(name, known), names))
    finally:
        sys.setswitchinterval(interval)
    segments.write()
    assert sorted(index._Segments(LocalFolder(tmp_path)).trials) == names


def test_segments_are_filled_and_few_trials_are_unsaved_at_any_time(
    results: Folder, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "SEGMENT_TRIALS", 3)
    monkeypatch.setattr(index, "UNSAVED_TRIALS", 2)
    ledger = open_ledger(results)
    for number in range(8):
        end(ledger, study, number)
        known = open_ledger(results)
        unknown = [n for n in range(number + 1) if not known.is_known(trial_name(n))]
        assert len(unknown) < 2
    ledger.save()
    assert results.names("index") == [f"00000{number}.segment" for number in (1, 2, 3)]
    more = open_ledger(results)
    end(more, study, 8)
    more.save()
    assert len(results.names("index")) == 3
    assert all(open_ledger(results).is_known(trial_name(number)) for number in range(9))


def test_a_trial_that_ends_again_is_known_as_it_is_then(ended: Folder, study: Study) -> None:
    ledger = open_ledger(ended)
    name = trial_name(2)
    before = ledger.trial(name)
    assert before is not None
    after = replace(before, completion_order=9)
    ledger.record_trial(after)
    assert not ledger.is_known(name)
    assert ledger.trial(name) == after
    ledger.remember(name)
    ledger.save()
    again = open_ledger(ended)
    assert again.is_known(name)
    assert again.trial(name) == after


def test_a_disk_has_no_index_since_nothing_tells_its_bytes_but_they(
    tmp_path: Path, study: Study
) -> None:
    results = LocalFolder(tmp_path)
    ledger = open_ledger(results)
    end(ledger, study, 0)
    ledger.save()
    assert not ledger.is_known(trial_name(0))
    assert results.names() == ["ledger"]
