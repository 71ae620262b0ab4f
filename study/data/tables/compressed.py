"""Files as they are, or compressed: the ending says which."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from study.errors import RequestError, one_line


def _open_zstandard(path: Path) -> Any:
    import pyarrow as pa

    return pa.input_stream(str(path), compression="zstd")


_OPENERS: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": _open_zstandard,
}
COMPRESSED = tuple(_OPENERS)
"""Endings of compressed files."""


def inner_suffix(path: Path) -> str:
    """Return the ending that names a file's form, that of its compression taken away."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in _OPENERS else suffix


def is_compressed(path: Path) -> bool:
    """Return whether the ending is that of a compression."""
    return path.suffix.lower() in _OPENERS


def _open(path: Path) -> Any:
    opener = _OPENERS.get(path.suffix.lower())
    return path.open("rb") if opener is None else opener(path)


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading, decompressed.

    Raises:
        RequestError: it cannot be read, or is not compressed as its ending says.
    """
    try:
        with _open(path) as file:
            yield file
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or one_line(error) or type(error).__name__
        raise RequestError(
            f"{path}: expected a readable file, found {reason}: check the path"
        ) from error


@contextmanager
def open_lines(path: Path) -> Iterator[IO[str]]:
    """Open a file of UTF-8 text for reading, decompressed.

    Raises:
        RequestError: as `open_bytes`, or it is no such text.
    """
    with open_bytes(path) as file:
        try:
            with io.TextIOWrapper(file, encoding="utf-8-sig") as text:
                yield text
        except UnicodeDecodeError as error:
            raise RequestError(
                f"{path}: expected rows of text, found bytes that are not UTF-8: replace the file"
            ) from error
