"""sha256 of source files, remembered while a file's size and times are unchanged."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from study.errors import RequestError
from study.storage.durable import replacing
from study.storage.hashes import canonical_hash, file_sha256, sha256

_SETTLED_SECONDS = 2.0


def source_sha256(path: Path) -> str:
    """Return the sha256 (hex) of a source file.

    Raises:
        RequestError: the file cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise RequestError(
            f"{path}: expected a readable file, found {error.strerror or error}: "
            "check the path and its permissions"
        ) from error


def source_digests(
    paths: Sequence[Path], memo_folder: Path | None, settled_seconds: float = _SETTLED_SECONDS
) -> list[str]:
    """Return the sha256 of each file, in the order of `paths`.

    Args:
        paths: the files.
        memo_folder: where digests are remembered, one small file for each list of
            paths. A file counts as unchanged while its size, inode, and times of
            modification and of status change are the same. None remembers nothing.
        settled_seconds: how long a file must have been at rest to be remembered: one
            written a moment ago may be written again within the same tick of the clock.

    Raises:
        RequestError: a file cannot be read.
    """
    states = [_state(path) for path in paths]
    memo = _memo_path(paths, memo_folder)
    memorised = _read_memo(memo)
    digests = [
        memorised.get(_memo_key(path, state), "") for path, state in zip(paths, states, strict=True)
    ]
    stale = [number for number, digest in enumerate(digests) if not digest]
    with ThreadPoolExecutor(max_workers=4) as pool:
        for n, digest in zip(
            stale, pool.map(source_sha256, [paths[n] for n in stale]), strict=True
        ):
            digests[n] = digest
    if stale and memo is not None:
        _write_memo(memo, paths, states, digests, settled_seconds)
    return digests


def _state(path: Path) -> list[int]:
    """Return what changes when a file's content does."""
    try:
        status = path.stat()
    except OSError as error:
        raise RequestError(
            f"{path}: expected a readable file, found {error.strerror or error}: check the path"
        ) from error
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _memo_path(paths: Sequence[Path], folder: Path | None) -> Path | None:
    if folder is None or not paths:
        return None
    names = "\n".join(str(path.resolve()) for path in paths)
    return folder / "digests" / f"{sha256(names.encode())[:32]}.json"


def _memo_key(path: Path, state: list[int]) -> str:
    return json.dumps([str(path.resolve()), state])


def _read_memo(memo: Path | None) -> dict[str, str]:
    """Return memo key -> sha256; an unreadable or damaged memo remembers nothing."""
    if memo is None:
        return {}
    try:
        stored = json.loads(memo.read_text(encoding="utf-8"))
        files: dict[str, str] = stored["files"]
        return files if stored["sha256"] == canonical_hash(files) else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _write_memo(
    memo: Path,
    paths: Sequence[Path],
    states: list[list[int]],
    digests: list[str],
    settled_seconds: float,
) -> None:
    """Remember the digests of files that have been at rest for `settled_seconds`."""
    settled = time.time_ns() - round(settled_seconds * 1e9)
    files = {
        _memo_key(path, state): digest
        for path, state, digest in zip(paths, states, digests, strict=True)
        if max(state[1], state[2]) < settled
    }
    text = json.dumps({"files": files, "sha256": canonical_hash(files)})
    try:
        memo.parent.mkdir(parents=True, exist_ok=True)
        with replacing([memo]) as (draft,):
            draft.write_text(text, encoding="utf-8")
    except OSError:
        # Without a memo the files are hashed again; that is all.
        return
