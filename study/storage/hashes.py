"""sha256, in hex, of all that the study identifies or verifies by one."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def sha256(content: bytes) -> str:
    """Return the sha256 of `content`."""
    return hashlib.sha256(content).hexdigest()


def canonical_hash(content: Any) -> str:
    """Return the sha256 of plain values, whatever their order of keys."""
    return sha256(json.dumps(content, sort_keys=True).encode())


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_sha256(paths: Iterable[Path]) -> str:
    """Return the sha256 of source files, one after the other."""
    code = hashlib.sha256()
    for path in paths:
        code.update(path.read_bytes())
    return code.hexdigest()
