"""A folder that denies deletion as NFS does: Python's own calls, for files below one folder.

A file that this process has open is not deleted: it becomes `.nfs...` in its
folder, and is gone once it is closed. Until then the folder cannot be removed.
"""

import os
import uuid
from pathlib import Path
from typing import Any

import pytest

PREFIX = ".nfs"


class NfsFolder:
    """Makes deletions below `root` those of NFS; `denied` counts folders that were not empty."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.denied = 0

    def __enter__(self) -> "NfsFolder":
        self._patch = pytest.MonkeyPatch()
        for name in ("unlink", "remove"):
            self._patch.setattr(os, name, self._deleting(getattr(os, name)))
        self._patch.setattr(os, "rmdir", self._removing(os.rmdir))
        return self

    def __exit__(self, *_: Any) -> None:
        self._patch.undo()

    def left(self) -> list[Path]:
        """Return what is still there of deleted files; those that were closed go."""
        renamed = list(self.root.rglob(f"{PREFIX}*"))
        for path in renamed:
            if not _is_open(path):
                path.unlink()
        return [path for path in renamed if path.exists()]

    def _deleting(self, call: Any) -> Any:
        def delete(target: Any, *, dir_fd: int | None = None) -> None:
            path = _path(target, dir_fd)
            if path.is_relative_to(self.root) and path.is_file() and _is_open(path):
                path.rename(path.with_name(f"{PREFIX}{uuid.uuid4().hex}"))
            else:
                call(target, dir_fd=dir_fd)

        return delete

    def _removing(self, call: Any) -> Any:
        def remove(target: Any, *, dir_fd: int | None = None) -> None:
            self.left()
            try:
                call(target, dir_fd=dir_fd)
            except OSError:
                self.denied += 1
                raise

        return remove


def _path(target: Any, folder: int | None) -> Path:
    named = Path(os.fsdecode(os.fspath(target)))
    return Path(f"/proc/self/fd/{folder}").readlink() / named if folder is not None else named


def _is_open(path: Path) -> bool:
    """Return whether this process has the file open."""
    status = path.stat()
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            if os.path.samestat(descriptor.stat(), status):
                return True
        except OSError:
            continue
    return False
