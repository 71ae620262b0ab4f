"""A folder of files, on a disk or in an object store, with durable writes.

On a disk a file is written beside its name, synced, renamed over it, and the folder
is synced: a reader sees the old file or the new one. An object store replaces a file
in one step by itself.
"""

import os
import shutil
import uuid
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote


class Folder(Protocol):
    """Files by relative path with `/`; parents appear when needed."""

    def read(self, path: str) -> bytes:
        """Return a file's bytes; FileNotFoundError if there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Replace a file as a whole, durably."""
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

    def move(self, source: str, target: str) -> None:
        """Rename a file or folder; the target must not exist."""
        ...

    def folder(self, path: str) -> "Folder":
        """Return the folder at `path`."""
        ...

    def locate(self, path: str = "") -> str:
        """Return the path or URI that users and other programs open."""
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
        target = self._root / path
        _make_folders(target.parent)
        draft = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            with draft.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)

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
        """See `Folder.remove`."""
        target = self._root / path
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)

    def move(self, source: str, target: str) -> None:
        """See `Folder.move`."""
        (self._root / source).rename(self._root / target)
        sync_folder((self._root / target).parent)

    def folder(self, path: str) -> "LocalFolder":
        """See `Folder.folder`."""
        return LocalFolder(self._root / path)

    def locate(self, path: str = "") -> str:
        """See `Folder.locate`."""
        return str(self._root / path)


class RemoteFolder:
    """A folder in any store that pyarrow's filesystems reach (`s3://`, `gs://`, ...)."""

    def __init__(self, filesystem: Any, root: str, uri: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self._uri = uri.rstrip("/")

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}".rstrip("/")

    def read(self, path: str) -> bytes:
        """See `Folder.read`."""
        with self._filesystem.open_input_file(self._path(path)) as file:
            content: bytes = file.read()
        return content

    def write(self, path: str, content: bytes) -> None:
        """See `Folder.write`."""
        target = self._path(path)
        try:
            stream = self._filesystem.open_output_stream(target)
        except FileNotFoundError:  # a store that has real folders
            self._filesystem.create_dir(target.rpartition("/")[0], recursive=True)
            stream = self._filesystem.open_output_stream(target)
        with stream:
            stream.write(content)

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
        """See `Folder.move`."""
        self._filesystem.move(self._path(source), self._path(target))

    def folder(self, path: str) -> "RemoteFolder":
        """See `Folder.folder`."""
        return RemoteFolder(self._filesystem, self._path(path), self.locate(path))

    def locate(self, path: str = "") -> str:
        """See `Folder.locate`."""
        return f"{self._uri}/{path}".rstrip("/")


def open_folder(location: str) -> Folder:
    """Return the folder at a path or URI; nothing is created yet."""
    scheme, separator, rest = location.partition("://")
    if not separator:
        return LocalFolder(Path(location).expanduser().absolute())
    if scheme == "file":
        return LocalFolder(Path(unquote(rest)))
    from pyarrow.fs import FileSystem

    filesystem, root = FileSystem.from_uri(location)
    return RemoteFolder(filesystem, root, location)


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


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")
