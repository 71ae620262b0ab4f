"""sha256 of all that the study identifies or verifies by one: in hex, or before the content."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

DIGEST_BYTES = hashlib.sha256().digest_size


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


def with_digest(content: bytes) -> bytes:
    """Return the sha256 of `content`, in bytes, and then `content`."""
    return hashlib.sha256(content).digest() + content


def without_digest(raw: bytes) -> bytes | None:
    """Return the content of what `with_digest` made; None if it is damaged."""
    digest, content = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
    return content if hashlib.sha256(content).digest() == digest else None


def code_sha256(paths: Iterable[Path]) -> str:
    """Return the sha256 of source files, one after the other."""
    code = hashlib.sha256()
    for path in paths:
        code.update(path.read_bytes())
    return code.hexdigest()
