import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.study_file import check_study
from study.ledger.fold_files import to_parquet
from study.ledger.ledger import (
    DamagedError,
    FoldManifest,
    Ledger,
)
from study.search.trial import FoldAddress, Proposal, RungDecision, TrialRecord, trial_name
from study.storage.folder import Folder, LocalFolder
from study.storage.hashes import canonical_hash
from tests.study.trials import record_of, trial_of

STUDY = check_study(
    {"name": "s", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}, "s.yaml"
)
FOLD = FoldAddress(trial_name(0), 0)
FILES = {"a.json": b"{}", "components.parquet": to_parquet(pa.table({"x": [1.0, 2.0]}))}


def manifest(trial: str = "trial-00000", fold: int = 0, **kept: object) -> FoldManifest:
    known = {"state": "completed", "reason": "", "best_epoch": 2, "last_epoch": 4, "files": {}}
    return FoldManifest(trial=trial, fold=fold, **{**known, **kept})  # type: ignore[arg-type]


def record(number: int = 0, **kept: object) -> TrialRecord:
    known = {"values": [(2, 0.25), (4, 0.75), (6, 0.5)], "completion_order": 1}
    parameters = {"model.beta": 0.5, "model.latent": "mean", "model.latent_size": 4}
    return record_of(trial_of(STUDY, number, parameters), **{**known, **kept})  # type: ignore[arg-type]


def test_a_committed_fold_reads_back(folder: Folder) -> None:
    ledger = Ledger(folder)
    assert ledger.fold(FOLD) is None
    committed = ledger.commit_fold(manifest(), FILES)
    assert ledger.fold(FOLD) == committed
    assert committed.files == {n: hashlib.sha256(c).hexdigest() for n, c in FILES.items()}
    for name, content in FILES.items():
        assert ledger.read(committed, name) == content
    assert sorted(folder.names("trial-00000/fold-0")) == sorted([*FILES, "manifest.json"])


def test_a_fold_is_committed_once(folder: Folder) -> None:
    ledger = Ledger(folder)
    committed = ledger.commit_fold(manifest(), FILES)
    with pytest.raises(ValueError, match="committed already"):
        ledger.commit_fold(manifest(state="failed", reason="x"), {"a.json": b"other"})
    assert ledger.fold(FOLD) == committed
    assert ledger.read(committed, "a.json") == b"{}"


def test_files_without_a_manifest_are_no_commit_and_may_be_written_again(tmp_path: Path) -> None:
    place = tmp_path / "trial-00000" / "fold-0"
    place.mkdir(parents=True)
    (place / "a.json").write_bytes(b"half")
    ledger = Ledger(LocalFolder(tmp_path))
    assert ledger.fold(FOLD) is None
    committed = ledger.commit_fold(manifest(), FILES)
    assert ledger.read(committed, "a.json") == b"{}"


def test_trials_read_back_by_number(folder: Folder) -> None:
    ledger = Ledger(folder)
    written = [
        record(11, state="pruned", reason="r", completion_order=0),
        record(2),
        record(100_000),
    ]
    for each in written:
        ledger.record_trial(each)
    assert ledger.trials() == sorted(written, key=lambda each: each.trial.number)
    assert ledger.trial(trial_name(2)) == record(2)
    assert ledger.trial(trial_name(3)) is None


def test_a_trial_with_folds_alone_has_not_ended(folder: Folder) -> None:
    ledger = Ledger(folder)
    ledger.commit_fold(manifest(), FILES)
    assert ledger.trials() == []


def test_an_empty_ledger_has_no_trials(tmp_path: Path) -> None:
    assert Ledger(LocalFolder(tmp_path / "none")).trials() == []


@given(
    st.dictionaries(
        st.text(max_size=9),
        st.floats(allow_nan=False) | st.integers() | st.booleans() | st.text(max_size=5),
        max_size=4,
    ),
    st.lists(st.tuples(st.integers(0, 9**9), st.floats(allow_nan=False)), max_size=3),
)
def test_any_parameters_and_values_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    parameters: dict[str, object],
    values: list[tuple[int, float]],
) -> None:
    ledger = Ledger(LocalFolder(tmp_path_factory.mktemp("ledger")))
    trial = replace(trial_of(STUDY), parameters=parameters)
    written = record_of(trial, values=values)
    ledger.record_trial(written)
    assert ledger.trial(trial.name) == written


def damaged_forms(content: bytes, step: int = 1) -> Iterator[bytes]:
    """Each `step`-th byte of a file changed, in one bit or in all, and what ends before it."""
    masks = (0x01, 0x04, 0x20, 0x80, 0xFF)
    for at in range(0, len(content), step):
        yield content[:at] + bytes([content[at] ^ masks[at % 5]]) + content[at + 1 :]
        yield content[:at]


def meaning(content: bytes) -> Any:
    """What a file says in JSON, if it is any; 1e-05 may be written as 1E-05."""
    try:
        return json.loads(content)
    except ValueError:
        return None


@pytest.mark.slow
def test_every_flip_and_truncation_of_a_manifest_is_noticed(tmp_path: Path) -> None:
    ledger = Ledger(LocalFolder(tmp_path))
    ledger.commit_fold(manifest(), FILES)
    path = tmp_path / "trial-00000" / "fold-0" / "manifest.json"
    content = path.read_bytes()
    for damaged in damaged_forms(content):
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"manifest\.json"):
            ledger.fold(FOLD)


@pytest.mark.slow
def test_every_flip_and_truncation_of_a_trial_is_noticed(tmp_path: Path) -> None:
    ledger = Ledger(LocalFolder(tmp_path))
    ledger.record_trial(record())
    path = tmp_path / trial_name(0) / "trial.json"
    content = path.read_bytes()
    for damaged in damaged_forms(content, 7):
        path.write_bytes(damaged)
        if meaning(damaged) != meaning(content):
            with pytest.raises(DamagedError, match=r"trial\.json"):
                ledger.trials()


@pytest.mark.slow
def test_every_flip_and_truncation_of_a_file_is_noticed(tmp_path: Path) -> None:
    ledger = Ledger(LocalFolder(tmp_path))
    committed = ledger.commit_fold(manifest(), FILES)
    path = tmp_path / "trial-00000" / "fold-0" / "components.parquet"
    content = path.read_bytes()
    for damaged in damaged_forms(content, 7):
        path.write_bytes(damaged)
        with pytest.raises(DamagedError, match=r"components\.parquet"):
            ledger.read(committed, "components.parquet")
    path.write_bytes(content)
    table = pq.read_table(io.BytesIO(ledger.read(committed, "components.parquet")))
    assert table["x"].to_pylist() == [1.0, 2.0]
    path.unlink()
    with pytest.raises(DamagedError, match="missing"):
        ledger.read(committed, "components.parquet")


def test_a_manifest_that_was_edited_with_its_seal_kept_is_refused(tmp_path: Path) -> None:
    ledger = Ledger(LocalFolder(tmp_path))
    ledger.commit_fold(manifest(), FILES)
    path = tmp_path / "trial-00000" / "fold-0" / "manifest.json"
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps({**content, "best_epoch": 3}))
    with pytest.raises(DamagedError):
        ledger.fold(FOLD)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"3", b'"x"', b"{}", b'{"seal": 1}'])
def test_other_json_is_not_a_record(content: bytes, tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    folder.write("trial-00000/trial.json", content)
    with pytest.raises(DamagedError):
        Ledger(folder).trial(trial_name(0))


def test_a_file_that_was_not_committed_is_not_read(tmp_path: Path) -> None:
    folder = LocalFolder(tmp_path)
    ledger = Ledger(folder)
    committed = ledger.commit_fold(manifest(), FILES)
    folder.write("trial-00000/fold-0/extra", b"1")
    with pytest.raises(DamagedError):
        ledger.read(committed, "extra")


def test_of_two_that_commit_a_fold_at_the_same_time_one_does(folder: Folder) -> None:
    """The second finds no manifest when it begins, and one when it would write its own."""

    class Hurried:
        def __getattr__(self, name: str) -> Any:
            return getattr(folder, name)

        def create(self, path: str, content: bytes) -> bool:
            Ledger(folder).commit_fold(manifest(state="pruned"), FILES)
            return folder.create(path, content)

    with pytest.raises(ValueError, match="is committed already"):
        Ledger(Hurried()).commit_fold(manifest(), FILES)  # type: ignore[arg-type]
    kept = Ledger(folder).fold(FOLD)
    assert kept is not None
    assert kept.state == "pruned"


def test_the_canonical_hash_ignores_order_and_nothing_else() -> None:
    one = canonical_hash({"a": 1, "b": {"c": [1, 2], "d": None}})
    assert one == canonical_hash({"b": {"d": None, "c": [1, 2]}, "a": 1})
    assert one == canonical_hash({"b": {"d": None, "c": (1, 2)}, "a": 1})
    for other in ({"a": 1, "b": {"c": [2, 1], "d": None}}, {"a": 1, "b": {"c": [1, 2]}}, {}):
        assert canonical_hash(other) != one


def proposal(number: int = 0) -> Proposal:
    return Proposal(record(number).trial, 3, ["trial-00004", "trial-00002"], 2**32 - 1)


def test_proposals_and_decisions_read_back_in_their_order(folder: Folder) -> None:
    ledger = Ledger(folder)
    assert ledger.proposals() == []
    assert ledger.decisions() == []
    for number in (11, 2):
        ledger.record_proposal(proposal(number))
    assert ledger.proposals() == [proposal(2), proposal(11)]
    assert ledger.proposal("trial-00003") is None
    decisions = [
        RungDecision("trial-00011", 4, 0.5, goes_on=True, order=0),
        RungDecision("trial-00002", 4, 0.25, goes_on=False, order=1, folds=2),
        RungDecision("trial-00011", 12, 0.1 + 0.2, goes_on=True, order=2),
    ]
    for decision in reversed(decisions):
        ledger.record_decision(decision)
    assert ledger.decisions() == decisions
    assert ledger.trials() == []


@pytest.mark.parametrize("name", ["proposal.json", "rung-000004.json"])
def test_what_is_no_proposal_or_decision_of_the_trial_is_damaged(name: str, tmp_path: Path) -> None:
    ledger = Ledger(LocalFolder(tmp_path))
    ledger.record_proposal(proposal(1))
    ledger.record_decision(RungDecision("trial-00001", 4, 0.5, goes_on=True, order=0))
    stored = (tmp_path / "trial-00001" / name).read_bytes()
    other = tmp_path / "trial-00002" / name
    other.parent.mkdir()
    read = ledger.proposals if name == "proposal.json" else ledger.decisions
    for content in (stored, stored[:-3], stored.replace(b"1", b"2", 1), b"{}"):
        other.write_bytes(content)
        with pytest.raises(DamagedError, match="trial-00002"):
            read()
