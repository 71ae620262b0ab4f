"""Files on a disk that are the old or the new ones at every moment, also after a power failure.

A file is written as a draft beside its name, synced, renamed over it, and the folder is
synced.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


@contextlib.contextmanager
def replacing(targets: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the path of a draft for each target; when the block ends, they replace the targets.

    Where the block raises, or a draft cannot be synced, the drafts are deleted and no target
    is replaced.
    """
    drafts = [draft_path(target) for target in targets]
    try:
        yield drafts
        replace_all(dict(zip(drafts, targets, strict=True)))
    except BaseException:
        for draft in drafts:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
        raise


def replace_all(targets: Mapping[Path, Path]) -> None:
    """Rename finished files to their targets; all are on the disk before the first is renamed.

    Args:
        targets: the target of each file, in the order in which they are renamed.
    """
    for draft in targets:
        sync(draft)
    for draft, target in targets.items():
        draft.replace(target)
    for folder in dict.fromkeys(target.parent for target in targets.values()):
        sync(folder)


def sync(path: Path) -> None:
    """Make a file's content, or the names in a folder, outlive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        error.filename = error.filename or str(path)  # which fsync does not name
        raise
    finally:
        os.close(descriptor)


def draft_path(target: Path) -> Path:
    """Return a path beside `target`, hidden and new, for what is not finished."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")


def is_draft(name: str) -> bool:
    """Return whether a file or folder of this name is a draft."""
    return name.startswith(".") and name.endswith(".tmp")
