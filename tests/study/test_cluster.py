"""Folders of private clusters whose drivers were killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from study.cluster import DRIVER_LOCK, FOLDER_PREFIX, _temporary_folder
from study.locks import locked
from study.storage import LocalFolder


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
        [sys.executable, "-c", "import time; time.sleep(600)", str(used / "session")]
    )
    try:
        with locked(LocalFolder(held), DRIVER_LOCK), _temporary_folder():
            pass
    finally:
        sleeper.kill()
        sleeper.wait()
    assert all(folder.is_dir() for folder in (held, used, foreign, outside))
