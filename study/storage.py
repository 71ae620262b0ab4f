"""A folder of files, on a disk or in an object store, with durable writes.

On a disk a file is written beside its name, synced, renamed over it, and the folder
is synced: a reader sees the old file or the new one. An object store replaces a file
in one step by itself; it has no folders that could be renamed, and no locks.
"""

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

from study.errors import RequestError

PASSWORD = re.compile(r"[^@]*:[^@]*@")
"""A name and a password before a host, as in `s3://KEY:SECRET@bucket`."""
SECRET_QUERY = re.compile(r"key|secret|token|password", re.IGNORECASE)
WITH_BUCKETS = ("gcs", "s3")


class Folder(Protocol):
    """Files by relative path with `/`; parents appear when needed."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes; FileNotFoundError if there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Replace a file as a whole, durably."""
        ...

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """Replace files by path; where one cannot be written, none is replaced."""
        ...

    def names(self, path: str = "") -> list[str]:
        """Return the names directly in a folder, sorted; empty if there is none."""
        ...

    def exists(self, path: str) -> bool:
        """Tell whether a file or folder is there."""
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
        """Ask a store whether it is there and lets us in; OSError if not."""
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
        targets = [self._root / path for path in files]
        drafts = [_draft_of(target) for target in targets]
        try:
            for draft, content in zip(drafts, files.values(), strict=True):
                _make_folders(draft.parent)
                _write_new(draft, content)
            for draft, target in zip(drafts, targets, strict=True):
                draft.replace(target)
        except BaseException:
            for draft in drafts:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)
            raise
        for folder in dict.fromkeys(target.parent for target in targets):
            sync_folder(folder)

    def names(self, path: str = "") -> list[str]:
        """See `Folder.names`; drafts of unfinished writes are not files yet."""
        folder = self._root / path
        if not folder.is_dir():
            return []
        return sorted(entry.name for entry in folder.iterdir() if not _is_draft(entry.name))

    def exists(self, path: str) -> bool:
        """See `Folder.exists`."""
        return (self._root / path).exists()

    def remove(self, path: str) -> None:
        """See `Folder.remove`; a folder goes as a whole, however far its deletion comes."""
        target = self._root / path
        if target.is_dir() and not target.is_symlink():
            draft = _draft_of(target)
            target.rename(draft)
            shutil.rmtree(draft)
        elif target.is_symlink() or target.exists():
            target.unlink(missing_ok=True)
        else:
            return
        sync_folder(target.parent)

    def size(self, path: str = "") -> int:
        """See `Folder.size`."""
        return sum(map(_size, (self._root / path).rglob("*")))

    def sweep(self) -> None:
        """See `Folder.sweep`."""
        for place, folders, files in os.walk(self._root):
            for name in filter(_is_draft, [*folders, *files]):
                LocalFolder(Path(place)).remove(name)
            folders[:] = [name for name in folders if not _is_draft(name)]

    def move(self, source: str, target: str) -> None:
        """See `Folder.move`."""
        old, new = self._root / source, self._root / target
        _make_folders(new.parent)
        old.rename(new)
        for folder in dict.fromkeys((new.parent, old.parent)):
            sync_folder(folder)

    def folder(self, path: str) -> "LocalFolder":
        """See `Folder.folder`."""
        return LocalFolder(self._root / path)

    def locate(self, path: str = "") -> str:
        """See `Folder.locate`."""
        return str(self._root / path)

    def check(self) -> None:
        """See `Folder.check`: on a disk, folders appear when needed."""


class RemoteFolder:
    """A folder in any store that pyarrow's filesystems reach (`s3://`, `gs://`, ...)."""

    def __init__(self, filesystem: Any, root: str, uri: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        place, mark, query = uri.partition("?")
        self._uri, self._query = place.rstrip("/"), mark + query

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def _make_parent(self, target: str) -> None:
        if parent := target.rpartition("/")[0]:
            self._filesystem.create_dir(parent, recursive=True)

    def read(self, path: str) -> bytes:
        """See `Folder.read`."""
        with self._filesystem.open_input_file(self._path(path)) as file:
            content: bytes = file.read()
        return content

    def write(self, path: str, content: bytes) -> None:
        """See `Folder.write`.

        In a thread, which Ctrl-C does not reach: a stream that is left is closed, and
        what it holds by then would replace the file.
        """
        with ThreadPoolExecutor(1) as writer:
            writer.submit(self._write, self._path(path), content).result()

    def _write(self, target: str, content: bytes) -> None:
        try:
            stream = self._filesystem.open_output_stream(target)
        except FileNotFoundError:  # a store that has real folders
            self._make_parent(target)
            stream = self._filesystem.open_output_stream(target)
        with stream:
            stream.write(content)

    def write_all(self, files: Mapping[str, bytes]) -> None:
        """See `Folder.write_all`; a store has no step that replaces several files."""
        for path, content in files.items():
            self.write(path, content)

    def size(self, path: str = "") -> int:
        """See `Folder.size`."""
        from pyarrow.fs import FileSelector

        below = FileSelector(self._path(path), allow_not_found=True, recursive=True)
        return sum(entry.size or 0 for entry in self._filesystem.get_file_info(below))

    def sweep(self) -> None:
        """See `Folder.sweep`: a store shows no unfinished file."""

    def names(self, path: str = "") -> list[str]:
        """See `Folder.names`."""
        from pyarrow.fs import FileSelector

        found = self._filesystem.get_file_info(FileSelector(self._path(path), allow_not_found=True))
        return sorted(entry.base_name for entry in found)

    def exists(self, path: str) -> bool:
        """See `Folder.exists`."""
        from pyarrow.fs import FileType

        return bool(self._filesystem.get_file_info(self._path(path)).type != FileType.NotFound)

    def remove(self, path: str) -> None:
        """See `Folder.remove`."""
        from pyarrow.fs import FileType

        kind = self._filesystem.get_file_info(self._path(path)).type
        if kind == FileType.Directory:
            self._filesystem.delete_dir(self._path(path))
        elif kind == FileType.File:
            self._filesystem.delete_file(self._path(path))

    def move(self, source: str, target: str) -> None:
        """See `Folder.move`: copies all files, then deletes them, the deepest first.

        Where that is interrupted, either the source is whole, or what is nearest to its
        root, which says what the rest belongs to, is still there.
        """
        from pyarrow.fs import FileSelector, FileType

        old, new = self._path(source), self._path(target)
        if self._filesystem.get_file_info(old).type == FileType.File:
            ends = [""]
        else:
            below = self._filesystem.get_file_info(FileSelector(old, recursive=True))
            files = [entry.path for entry in below if entry.type == FileType.File]
            ends = [f"/{path.strip('/')[len(old.strip('/')) + 1 :]}" for path in files]
        ends.sort(key=_depth, reverse=True)
        with ThreadPoolExecutor() as workers:
            list(workers.map(lambda end: self._copy(old + end, new + end), ends))
            for _, level in groupby(ends, key=_depth):
                list(workers.map(lambda end: self._filesystem.delete_file(old + end), level))
        self.remove(source)

    def _copy(self, source: str, target: str) -> None:
        try:
            self._filesystem.copy_file(source, target)
        except FileNotFoundError:  # a store that has real folders
            self._make_parent(target)
            self._filesystem.copy_file(source, target)

    def folder(self, path: str) -> "RemoteFolder":
        """See `Folder.folder`."""
        return RemoteFolder(self._filesystem, self._path(path), self.locate(path))

    def locate(self, path: str = "") -> str:
        """See `Folder.locate`; a query, which names an endpoint, stays at the end."""
        return f"{self._uri}/{path}".rstrip("/") + self._query

    def check(self) -> None:
        """See `Folder.check`."""
        from pyarrow.fs import FileType

        if self._filesystem.type_name not in WITH_BUCKETS:
            return
        bucket = self._root.partition("/")[0]
        if self._filesystem.get_file_info(bucket).type == FileType.NotFound:
            raise FileNotFoundError(f"there is no bucket {bucket}")


def open_folder(location: str) -> Folder:
    """Return the folder at a path or URI; nothing is created yet.

    Raises:
        RequestError: the URI is none, or holds credentials, which would be told on.
    """
    scheme, separator, rest = location.partition("://")
    if not separator:
        return LocalFolder(Path(location).expanduser().absolute())
    if scheme == "file":
        return LocalFolder(Path(unquote(rest)))
    place, _, query = rest.partition("?")
    if PASSWORD.match(place) or SECRET_QUERY.search(query) or "@" in unquote(query):
        raise RequestError(
            f"{scheme}:// URI: must hold no credentials, which logs and process lists show; set"
            " AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
        )
    from pyarrow.fs import FileSystem

    try:
        filesystem, root = FileSystem.from_uri(location)
    except ValueError as error:
        raise RequestError(f"{location}: {error}") from None
    return RemoteFolder(filesystem, root, location)


def reach_folder(location: str) -> Folder:
    """Return the folder at a path or URI, once its store has answered.

    Raises:
        RequestError: the URI is wrong, or the store has no such bucket, or lets nobody in.
    """
    try:
        folder = open_folder(location)
        folder.check()
    except OSError as error:
        raise RequestError(f"{location}: expected a store that lets us in: {error}") from None
    return folder


def _make_folders(folder: Path) -> None:
    """Create a folder and its parents, each durably in its own parent."""
    if folder.is_dir():
        return
    _make_folders(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder on a disk outlive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that nobody looks at yet, and wait until the disk has it."""
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(path)  # which a full disk does not say
        raise


def _size(path: Path) -> int:
    """Return a file's bytes; 0 of a folder, and of what a writer has just renamed."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _draft_of(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def _depth(path: str) -> int:
    return path.count("/")
