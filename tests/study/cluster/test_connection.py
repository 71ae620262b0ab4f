"""Folders of private clusters whose drivers were killed, and nodes that join late."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from study.cluster import capacity
from study.cluster.capacity import plan_when_joined
from study.cluster.connection import DRIVER_LOCK, FOLDER_PREFIX, _temporary_folder, connected
from study.config.study_file import load_study
from study.errors import RequestError, StudyFailedError
from study.search.plan import NodeCapacity
from study.storage.locks import locked


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(base: Path, name: str) -> Path:
    folder = base / f"{FOLDER_PREFIX}{name}"
    (folder / "session").mkdir(parents=True)
    (folder / DRIVER_LOCK).touch()
    return folder


def test_a_killed_drivers_folder_is_deleted_by_the_next_one(base: Path) -> None:
    killed = left_behind(base, "killed")
    with _temporary_folder() as folder:
        assert Path(folder).is_dir()
        assert not killed.exists()
    assert not list(base.iterdir())


def test_folders_in_use_of_others_and_behind_links_stay(base: Path) -> None:
    held, used = left_behind(base, "held"), left_behind(base, "used")
    foreign = base / f"{FOLDER_PREFIX}foreign"
    foreign.mkdir()
    outside = base / "outside"
    outside.mkdir()
    (outside / DRIVER_LOCK).touch()
    (base / f"{FOLDER_PREFIX}link").symlink_to(outside)
    sleeper = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()", str(used / "session")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert sleeper.stdout
    sleeper.stdout.readline()  # it has its command line by now
    try:
        with locked(held / DRIVER_LOCK), _temporary_folder():
            pass
    finally:
        sleeper.communicate()
    assert all(folder.is_dir() for folder in (held, used, foreign, outside))


def test_a_cluster_that_does_not_start_is_told_of_in_one_line(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(*_: object, **__: object) -> None:
        raise Exception("The node timed out.\nThe machine may be overloaded.")

    monkeypatch.setattr("ray.init", init)
    before = dict(os.environ)
    line = "^Ray did not start: The node timed out. The machine may be overloaded.$"
    with pytest.raises(StudyFailedError, match=line), connected(None):
        pass
    assert not list(base.iterdir())
    assert dict(os.environ) == before


def test_a_study_waits_for_nodes_that_have_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_study("quickstart", ["split.folds=3", "resources.per_fold.cpu=1"])
    nodes = [NodeCapacity(0, 0)]
    said: list[str] = []

    def joining() -> list[NodeCapacity]:
        nodes.append(NodeCapacity(1, 0))
        return list(nodes[:-1])

    monkeypatch.setattr(capacity, "capacity", joining)
    monkeypatch.setattr(capacity, "POLL_SECONDS", 0.0)
    assert plan_when_joined(study, said.append).trials_at_a_time == 1
    assert len(nodes) == 5
    assert len(said) == 1
    assert "waiting" in said[0]


def test_a_study_with_folds_that_wait_their_turn_waits_for_nodes_unless_it_wants_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(capacity, "capacity", lambda: [NodeCapacity(2, 0)])
    settings = ["split.folds=3", "resources.per_fold.cpu=1"]
    study = load_study("quickstart", settings)
    assert plan_when_joined(study, shown.append, patience_seconds=0.01).workers == 2
    assert ["2 of 3 folds" in line for line in shown] == [True]
    wants = load_study("quickstart", [*settings, "resources.workers_per_trial=2"])
    assert plan_when_joined(wants, shown.append).workers == 2
    assert len(shown) == 1


def test_a_study_that_never_fits_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    study = load_study("quickstart", ["resources.per_fold.gpu=1"])
    monkeypatch.setattr(capacity, "capacity", lambda: [NodeCapacity(8, 0)])
    with pytest.raises(RequestError, match="GPU"):
        plan_when_joined(study, lambda said: None, patience_seconds=0.0)
