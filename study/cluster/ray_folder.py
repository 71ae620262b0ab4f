"""Where Ray Tune and Ray Train keep their state, which nobody reads."""

import contextlib
import tempfile
from collections.abc import Iterator

from study.storage.folder import Folder, LocalFolder


@contextlib.contextmanager
def ray_folder(results: Folder, path: str = "") -> Iterator[str]:
    """Yield `path` in the results on a disk; where they are in a store, a temporary folder.

    A store is not asked for what nobody reads, and gets no markers of folders, which are
    listed like files and cannot be read.
    """
    if isinstance(results, LocalFolder):
        yield results.locate(path)
    else:
        with tempfile.TemporaryDirectory(prefix="study-ray-state-") as folder:
            yield folder
