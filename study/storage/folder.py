"""A folder of files, on a disk or in an object store, with durable writes.

A reader sees the old file or the new one: on a disk by way of `study.storage.durable`;
stores and other URIs have modules of their own.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from study.errors import RequestError
from study.storage.durable import draft_path, is_draft, replacing, sync

PASSWORD = re.compile(r"[^@]*:[^@]*@")
"""A name and a password before a host, as in `s3://KEY:SECRET@bucket`."""
SECRET_QUERY = re.compile(r"key|secret|token|password", re.IGNORECASE)
STORES = ("gs", "s3")
STILL_OPEN = (errno.ENOTEMPTY, errno.EBUSY)
"""What NFS says of a folder with a deleted file that is still open: it is `.nfs...` until then."""
NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP)


class Folder(Protocol):
    """Files by relative path with `/`; parents appear when needed."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes; FileNotFoundError if there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Replace a file durably: it is the old or the new one."""
        ...

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Replace files by path; where one cannot be written, none is replaced."""
        ...

    def create(self, path: str, content: bytes) -> bool:
        """Write a file unless there is one already; return whether it holds `content` now.

        Of several that write other contents at the same time, it is true for one.
        """
        ...

    def versions(self, path: str = "", after: str = "", until: str = "") -> dict[str, str] | None:
        """Return the version of each file below, by path: another one once it is replaced.

        A version begins with the file's size in bytes; see `total_bytes`. Paths are those after
        `after` and up to `until`, where these are not "". None where nothing but a file's bytes
        tells versions apart: a disk changes them without a word.
        """
        ...

    def names(self, path: str = "") -> list[str]:
        """Return the names directly in a folder, sorted; empty if there is none."""
        ...

    def exists(self, path: str) -> bool:
        """Return whether a file or folder is there."""
        ...

    def remove(self, path: str) -> None:
        """Delete a file or a folder with all it holds, if it is there."""
        ...

    def size(self, path: str = "") -> int:
        """Return the bytes of all files in a folder and those below; 0 if there is none."""
        ...

    def sweep(self) -> None:
        """Delete what writers that were killed left unfinished, in all folders below."""
        ...

    def move(self, source: str, target: str) -> None:
        """Rename a file or folder; the target must not exist."""
        ...

    def folder(self, path: str) -> "Folder":
        """Return the folder at `path`."""
        ...

    def locate(self, path: str = "") -> str:
        """Return the path or URI that users and other programs open."""
        ...

    def check(self) -> None:
        """Ask a store whether it is there and may be used; OSError if not."""
        ...


class LocalFolder:
    """A folder on a disk."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """See `Folder.read`."""
        return (self._root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """See `Folder.write`."""
        self.write_all({path: content})

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """See `Folder.write_all`: all is on the disk before the first is renamed."""
        with replacing([self._root / path for path in files]) as drafts:
            for draft, content in zip(drafts, files.values(), strict=True):
                _make_folders(draft.parent)
                _write(draft, content)

    def create(self, path: str, content: bytes) -> bool:
        """See `Folder.create`: the finished file gets its name where no other has it."""
        target = self._root / path
        _make_folders(target.parent)
        draft = draft_path(target)
        try:
            _write(draft, content)
            sync(draft)
            try:
                os.link(draft, target)
            except FileExistsError:
                return self._holds(path, content)
            except OSError as error:
                if error.errno not in NO_LINKS:
                    raise
                if target.exists():
                    return self._holds(path, content)
                draft.rename(target)
            sync(target.parent)
            return True
        finally:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)

    def _holds(self, path: str, content: bytes) -> bool:
        try:
            return self.read(path) == content
        except FileNotFoundError:  # deleted again by now
            return False

    def versions(self, path: str = "", after: str = "", until: str = "") -> None:
        """See `Folder.versions`: a disk has none."""

    def names(self, path: str = "") -> list[str]:
        """See `Folder.names`; drafts of unfinished writes are not files yet."""
        folder = self._root / path
        if not folder.is_dir():
            return []
        return sorted(entry.name for entry in folder.iterdir() if not is_draft(entry.name))

    def exists(self, path: str) -> bool:
        """See `Folder.exists`."""
        return (self._root / path).exists()

    def remove(self, path: str) -> None:
        """See `Folder.remove`; a folder disappears at once, however far its deletion comes.

        What is left of one that somebody still has a file of open is swept another time.
        """
        target = self._root / path
        if target.is_dir() and not target.is_symlink():
            draft = draft_path(target)
            target.rename(draft)
            try:
                shutil.rmtree(draft)
            except OSError as error:
                if error.errno not in STILL_OPEN:
                    raise
        elif target.is_symlink() or target.exists():
            target.unlink(missing_ok=True)
        else:
            return
        sync(target.parent)

    def size(self, path: str = "") -> int:
        """See `Folder.size`."""
        return sum(map(_size, (self._root / path).rglob("*")))

    def sweep(self) -> None:
        """See `Folder.sweep`."""
        for parent, folders, files in os.walk(self._root):
            for name in filter(is_draft, [*folders, *files]):
                LocalFolder(Path(parent)).remove(name)
            folders[:] = [name for name in folders if not is_draft(name)]

    def move(self, source: str, target: str) -> None:
        """See `Folder.move`."""
        old, new = self._root / source, self._root / target
        _make_folders(new.parent)
        old.rename(new)
        for folder in dict.fromkeys((new.parent, old.parent)):
            sync(folder)

    def folder(self, path: str) -> "LocalFolder":
        """See `Folder.folder`."""
        return LocalFolder(self._root / path)

    def locate(self, path: str = "") -> str:
        """See `Folder.locate`."""
        return str(self._root / path)

    def check(self) -> None:
        """See `Folder.check`: on a disk, folders appear when needed."""


def is_same_folder(one: Folder, other: Folder) -> bool:
    """Return whether two folders are one, on a disk by whatever path."""
    if isinstance(one, LocalFolder) and isinstance(other, LocalFolder):
        return Path(one.locate()).resolve() == Path(other.locate()).resolve()
    return one.locate() == other.locate()


def total_bytes(versions: Mapping[str, str]) -> int:
    """Return the bytes of all files that `Folder.versions` returned."""
    return sum(int(version.partition(" ")[0]) for version in versions.values())


def open_folder(location: str) -> Folder:
    """Return the folder at a path or URI; nothing is created yet.

    Raises:
        RequestError: the URI is none, or holds credentials, which logs would show.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        return LocalFolder(Path(location).expanduser().absolute())
    if scheme == "file":
        return LocalFolder(Path(unquote(rest)))
    address, _, query = rest.partition("?")
    if PASSWORD.match(address) or SECRET_QUERY.search(query) or "@" in unquote(query):
        raise RequestError(
            f"{scheme}:// URI: must hold no credentials, which logs and process lists show; set"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    if scheme in STORES:
        from study.storage.object_store import open_store

        return open_store(location)
    from study.storage.arrow_folder import open_arrow

    return open_arrow(location)


def reach_folder(location: str) -> Folder:
    """Return the folder at a path or URI, once its store has answered.

    Raises:
        RequestError: the URI is wrong, or the store has no such bucket, or lets nobody in.
    """
    try:
        folder = open_folder(location)
        folder.check()
    except OSError as error:
        raise RequestError(
            f"{location}: expected a bucket that may be read and written: {error}"
        ) from None
    return folder


def _make_folders(folder: Path) -> None:
    """Create a folder and its parents, each durably in its own parent."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def _write(path: Path, content: bytes) -> None:
    try:
        with path.open("wb") as file:
            file.write(content)
    except OSError as error:
        error.filename = error.filename or str(path)  # which a full disk does not name
        raise


def _size(path: Path) -> int:
    """Return a file's bytes; 0 of a folder, and of what a writer has just renamed."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0
