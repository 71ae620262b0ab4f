"""A folder wherever else pyarrow's filesystems reach: a file is replaced at once; no locks.

Nothing there writes conditionally; see `study.storage.object_store` for what does.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any

from study.errors import RequestError


class ArrowFolder:
    """A folder that one of pyarrow's filesystems reaches (`hdfs://`, `abfs://`, ...)."""

    def __init__(self, filesystem: Any, root: str, uri: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        address, mark, query = uri.partition("?")
        self._uri, self._query = address.rstrip("/"), mark + query

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

    def create(self, path: str, content: bytes) -> bool:
        """See `Folder.create`; it may be true for two that write at the same moment."""
        if self.exists(path):
            return self.read(path) == content
        self.write(path, content)
        return True

    def versions(self, path: str = "", after: str = "", until: str = "") -> None:
        """See `Folder.versions`: none are known."""

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

        selector = FileSelector(self._path(path), allow_not_found=True)
        return sorted(entry.base_name for entry in self._filesystem.get_file_info(selector))

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

        Where that is interrupted, either the source is complete, or what is nearest to its
        root, which names what the rest belongs to, is still there.
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

    def folder(self, path: str) -> "ArrowFolder":
        """See `Folder.folder`."""
        return ArrowFolder(self._filesystem, self._path(path), self.locate(path))

    def locate(self, path: str = "") -> str:
        """See `Folder.locate`; a query, which names an endpoint, stays at the end."""
        return f"{self._uri}/{path}".rstrip("/") + self._query

    def check(self) -> None:
        """See `Folder.check`."""
        self.exists("")


def open_arrow(location: str) -> ArrowFolder:
    """Return the folder at a URI; nothing is asked yet.

    Raises:
        RequestError: the URI leads nowhere.
    """
    from pyarrow.fs import FileSystem

    try:
        filesystem, root = FileSystem.from_uri(location)
    except ValueError as error:
        raise RequestError(f"{location}: {error}") from None
    return ArrowFolder(filesystem, root, location)


def _depth(path: str) -> int:
    return path.count("/")
