"""Every step of every durable write fails once in every way: the state is old or new."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from study.config.schema import Study
from study.data.assembly import build_samples
from study.data.cache import read_entry, write_entry
from study.data.samples import ARRAYS
from study.ledger.checkpoint import FoldProgress, load_checkpoint, save_checkpoint
from study.ledger.fold_contents import history_file
from study.ledger.ledger import FoldManifest, Ledger
from study.ledger.trial_outcome import finalize
from study.report.build import build_report
from study.report.cache import ScoreCache
from study.report.fold_scores import SCHEMA
from study.search.trial import FoldAddress, TrialRecord
from study.storage.folder import LocalFolder
from tests.faulty_disk import MODES, FaultyDisk, Killed
from tests.study.report.conftest import DrawnLedger
from tests.study.trials import record_of, trial_of

pytestmark = pytest.mark.slow

TRIAL = "trial-00003"
FOLD = FoldAddress(TRIAL, 0)


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """The faulty disk knows what was synced; waiting for the real one would say no more."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@dataclass(frozen=True)
class Deed:
    """What is done below a folder, and what a reader sees of it."""

    prepare: Callable[[Path], object]
    act: Callable[[Path], object]
    see: Callable[[Path], Any]


def manifest(fold: int = 0, state: Any = "completed") -> FoldManifest:
    return FoldManifest(TRIAL, fold, state, "", 1, 2, {})


def files(fold: int = 0) -> dict[str, bytes]:
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "value": 0.5 + fold}]
    return {"history.parquet": history_file(rows), "x": bytes([fold]) * 5000}


def commit(root: Path) -> None:
    ledger = Ledger(LocalFolder(root))
    if ledger.fold(FOLD) is None:
        ledger.commit_fold(manifest(), files())


def committed(root: Path) -> Any:
    ledger = Ledger(LocalFolder(root))
    found = ledger.fold(FOLD)
    return found and {name: ledger.read(found, name) for name in found.files}


def record(study: Study, value: float) -> TrialRecord:
    return record_of(trial_of(study, 3, {"model.beta": value}), values=[(2, value)])


def stop(study: Study) -> Callable[[Path], object]:
    trial = trial_of(study, 3)

    def act(root: Path) -> None:
        ledger, checkpoints = Ledger(LocalFolder(root / "l")), LocalFolder(root / "checkpoints")
        for fold in range(2):
            if ledger.fold(FoldAddress(TRIAL, fold)) is None:
                ledger.commit_fold(manifest(fold, "pruned"), files(fold))
        if ledger.trial(TRIAL) is None:
            finalize(ledger, checkpoints, trial, 0)

    return act


def stopped(root: Path) -> Any:
    ledger = Ledger(LocalFolder(root / "l"))
    for address in ledger.committed(TRIAL):
        found = ledger.fold(address)
        assert found is not None
        ledger.verify(found)
    ended = ledger.trial(TRIAL)
    return ended and (ended, ledger.committed(TRIAL))


def checkpoint(epoch: int) -> Callable[[Path], object]:
    state = {"w": torch.full((500,), float(epoch)), "rates": (0.5, [1, None])}
    progress = FoldProgress(epoch, [{"epoch": epoch}], 1, 0.5, {}, {"0": state}, 1.0)
    return lambda root: save_checkpoint(LocalFolder(root), progress)


def reached(root: Path) -> Any:
    loaded = load_checkpoint(LocalFolder(root))
    return loaded and (loaded.epoch, loaded.model_state["0"]["w"].tolist())


def keep_scores(rows: int) -> Callable[[Path], object]:
    values = {pa.string(): "x", pa.int64(): rows, pa.float64(): 0.5}
    table = pa.table({f.name: pa.array([values[f.type]] * rows, f.type) for f in SCHEMA}, SCHEMA)
    return lambda root: ScoreCache(LocalFolder(root), "scores", SCHEMA).write(
        TRIAL, {0: "key"}, {0: table}
    )


def kept_scores(root: Path) -> Any:
    found = ScoreCache(LocalFolder(root), "scores", SCHEMA).read(TRIAL, {0: "key"})
    return {fold: table.to_pylist() for fold, table in found.items()}


def keep_samples(root: Path) -> None:
    values = np.random.default_rng(0).random((6, 32))
    write_entry(root, "k" * 64, build_samples(values, [0, 1] * 3, ["a", "b"] * 3, ["a", "b"] * 3))


def kept_samples(root: Path) -> Any:
    found = read_entry(root, "k" * 64)
    return found and {name: getattr(found, name).tolist() for name in ARRAYS}


def nothing(root: Path) -> None:
    del root


def deeds(study: Study) -> dict[str, Deed]:
    fold = LocalFolder
    return {
        "write": Deed(
            lambda root: fold(root).write("a/f", b"old"),
            lambda root: fold(root).write("a/f", b"new" * 3000),
            lambda root: fold(root).read("a/f"),
        ),
        "remove": Deed(
            lambda root: fold(root).write_all({"a/b/f": b"1", "a/g": b"2", "a/b/h": b"3"}),
            lambda root: fold(root).remove("a"),
            lambda root: [fold(root).exists(name) for name in ("a", "a/b/f", "a/g", "a/b/h")],
        ),
        "move": Deed(
            lambda root: fold(root).write_all({"a/f": b"1", "a/g": b"2"}),
            lambda root: fold(root).exists("a") and fold(root).move("a", "c/d"),
            lambda root: [fold(root).names(name) for name in ("a", "c/d")],
        ),
        "commit": Deed(nothing, commit, committed),
        "record": Deed(
            lambda root: Ledger(fold(root)).record_trial(record(study, 0.25)),
            lambda root: Ledger(fold(root)).record_trial(record(study, 0.5)),
            lambda root: Ledger(fold(root)).trial(TRIAL),
        ),
        "early stop": Deed(nothing, stop(study), stopped),
        "first checkpoint": Deed(nothing, checkpoint(2), reached),
        "checkpoint": Deed(
            lambda root: [checkpoint(epoch)(root) for epoch in (2, 4)], checkpoint(6), reached
        ),
        "score cache": Deed(keep_scores(2), keep_scores(3), kept_scores),
        "data cache": Deed(nothing, keep_samples, kept_samples),
    }


NAMES = (
    "write",
    "remove",
    "move",
    "commit",
    "record",
    "early stop",
    "first checkpoint",
    "checkpoint",
    "score cache",
    "data cache",
)


def faults(act: Callable[[Path], object], fresh: Callable[[], Path]) -> Iterator[tuple[str, Path]]:
    """Do `act` once for each step and mode, in a fresh folder, with that fault."""
    with FaultyDisk(root := fresh()) as disk:
        act(root)
    assert disk.steps > 2
    for at in range(disk.steps):
        for mode in MODES:
            root = fresh()
            with FaultyDisk(root, at, mode), suppress(OSError, Killed):
                act(root)
            yield f"step {at} of {disk.steps}, {mode}", root


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_at_any_step_leaves_the_old_or_the_new_and_the_next_try_succeeds(
    name: str, tmp_path: Path, tiny_study: Callable[..., Study]
) -> None:
    deed = deeds(tiny_study())[name]
    places = (tmp_path / str(number) for number in range(10_000))

    def fresh() -> Path:
        root = next(places)
        root.mkdir()
        deed.prepare(root)
        return root

    untouched, done = fresh(), fresh()
    deed.act(done)
    old, new = deed.see(untouched), deed.see(done)
    assert old != new
    for fault, root in faults(deed.act, fresh):
        assert deed.see(root) in (old, new), fault
        LocalFolder(root).sweep()
        deed.act(root)
        assert deed.see(root) == new, fault
        drafts = [path for path in root.rglob(".*") if path.is_file() or path.suffix == ".tmp"]
        assert not drafts or name == "data cache", fault


def test_a_full_disk_in_a_report_leaves_the_old_one_and_a_kill_whole_tables(
    tmp_path: Path, tiny_samples: Callable[..., Any]
) -> None:
    root = tmp_path / "results"
    root.mkdir()
    drawn = DrawnLedger(LocalFolder(root), tiny_samples(40, 24))
    tables = []
    for number in range(2):
        drawn.commit(number)
        report = build_report(drawn.study, drawn.facts, drawn.results)
        assert report is not None
        written = [name for name in report.files if "/" not in name]  # all tables, at once
        tables.append({name: (root / name).read_bytes() for name in written})
    old, new = tables
    changed = [name for name in old if old[name] != new[name]]
    assert len(changed) > 2

    def write_tables(fault: FaultyDisk) -> list[bool]:
        for name, content in old.items():
            (root / name).write_bytes(content)
        with fault, suppress(OSError, Killed):
            build_report(drawn.study, drawn.facts, drawn.results)
        seen = {name: (root / name).read_bytes() for name in old}
        assert all(seen[name] in (old[name], new[name]) for name in old)
        LocalFolder(root).sweep()
        return [seen[name] == new[name] for name in changed]

    drafted = 3 * len(new)  # a draft of each is opened, written and synced
    for at in range(1, drafted, 7):
        assert not any(write_tables(FaultyDisk(root, at, "full"))), at
    for at in range(drafted, drafted + len(new), 5):
        write_tables(FaultyDisk(root, at, "kill"))
    assert all(write_tables(FaultyDisk(root)))
