"""A disk whose every step can fail: Python's own calls, for files below one folder.

Steps are counted: opening a file to write, each write, sync, rename, deletion and new
folder. At the step that is asked for, one of four things happens:

- `error`: it is refused with EIO, and the program goes on;
- `full`: half of a write arrives, then ENOSPC; other steps are refused;
- `kill`: the process is gone before the step: `Killed`, and no later step does anything;
- `power`: as `kill`, and of the disk only what was synced is left.
"""

import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

MODES = ("error", "full", "kill", "power")
CALLS = ("link", "replace", "rename", "unlink", "remove", "rmdir", "mkdir", "fsync")


class Killed(BaseException):
    """The process is gone."""


class FaultyDisk:
    """Makes step `at` of what is done below `root` fail in `mode`."""

    def __init__(self, root: Path, at: int = -1, mode: str = "error") -> None:
        self.root, self.at, self.mode = root, at, mode
        self.steps = 0
        self.killed = False
        self._synced_files: dict[int, bytes] = {}
        self._synced_folders: dict[int, dict[str, int]] = {}
        self._renames: list[tuple[Path, Path]] = []
        self._kept_open: list[int] = []  # so that no inode's number is used twice

    def __enter__(self) -> "FaultyDisk":
        self._remember_all()
        self._patch = pytest.MonkeyPatch()
        for name in CALLS:
            self._patch.setattr(os, name, self._guarded(getattr(os, name), name))
        self._patch.setattr(io, "open", self._opening(io.open))
        return self

    def __exit__(self, *_: Any) -> None:
        self._patch.undo()
        if self.killed and self.mode == "power":
            self._lose_power()
        for descriptor in self._kept_open:
            os.close(descriptor)

    def _remember_all(self) -> None:
        for folder, folders, files in os.walk(self.root):
            self._sync(Path(folder))
            for name in [*folders, *files]:
                self._sync(Path(folder) / name)

    def _sync(self, path: Path) -> None:
        inode = path.stat().st_ino
        if path.is_dir():
            self._synced_folders[inode] = {e.name: e.stat().st_ino for e in path.iterdir()}
        else:
            self._synced_files[inode] = path.read_bytes()
        self._kept_open.append(os.open(path, os.O_RDONLY))

    def _guarded(self, call: Any, name: str) -> Any:
        def guarded(target: Any, *others: Any, **options: Any) -> Any:
            path = self._path(target, options.get("dir_fd"))
            if path is None:
                return call(target, *others, **options)
            self.step()
            result = None if name == "fsync" else call(target, *others, **options)
            if name == "fsync":
                self._sync(path)
                # A journal holds a rename as one: no folder of it is synced without the other.
                for pair in self._renames:
                    if path in pair:
                        for folder in pair:
                            self._sync(folder)
            elif name in ("rename", "replace"):
                self._renames.append((path.parent, Path(others[0]).parent))
            return result

        return guarded

    def _opening(self, plain: Any) -> Any:
        def opening(file: Any, mode: str = "r", *others: Any, **options: Any) -> Any:
            path = None if isinstance(file, int) else self._path(file)
            if path is None or not set(mode) & set("wxa+"):
                return plain(file, mode, *others, **options)
            self.step()
            opened = plain(file, mode, *others, **options)
            self._kept_open.append(os.open(path, os.O_RDONLY))
            return _Writer(opened, self)

        return opening

    def _path(self, target: Any, folder: int | None = None) -> Path | None:
        if isinstance(target, int):
            target = Path(f"/proc/self/fd/{target}").readlink()
        elif folder is not None:
            target = Path(f"/proc/self/fd/{folder}").readlink() / os.fsdecode(target)
        name = os.fsdecode(os.fspath(target))
        return Path(name) if f"{name}/".startswith(f"{self.root}/") else None

    def step(self) -> None:
        """Count a step; fail if it is the one."""
        if self.killed:
            raise Killed
        self.steps += 1
        if self.steps - 1 == self.at:
            if self.mode in ("kill", "power"):
                self.killed = True
                raise Killed
            number = errno.ENOSPC if self.mode == "full" else errno.EIO
            raise OSError(number, os.strerror(number), str(self.root))

    def write(self, file: Any, content: Any) -> int:
        """Write all of `content`, or the half of it that arrives."""
        try:
            self.step()
        except BaseException:
            if self.mode != "error" and self.steps - 1 == self.at:
                file.write(content[: len(content) // 2])
                file.flush()
            raise
        return int(file.write(content))

    def _lose_power(self) -> None:
        """Leave what the synced folders name, with what was synced of each file."""
        root = self.root.stat().st_ino
        tree = list(self._tree(root, Path()))
        for entry in list(self.root.iterdir()):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for path, content in tree:
            if content is None:
                (self.root / path).mkdir(exist_ok=True)
            else:
                (self.root / path).write_bytes(content)

    def _tree(self, inode: int, path: Path) -> Any:
        for name, inner in self._synced_folders.get(inode, {}).items():
            is_file = inner in self._synced_files or not self._is_folder(inner)
            yield path / name, self._synced_files.get(inner, b"") if is_file else None
            if not is_file:
                yield from self._tree(inner, path / name)

    def _is_folder(self, inode: int) -> bool:
        if inode in self._synced_folders:
            return True
        return any(e.is_dir() for e in self.root.rglob("*") if e.stat().st_ino == inode)


class _Writer:
    """A file whose writes are steps."""

    def __init__(self, file: Any, disk: FaultyDisk) -> None:
        self._file, self._disk = file, disk

    def write(self, content: Any) -> int:
        return self._disk.write(self._file, content)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, *_: Any) -> None:
        self._file.close()
