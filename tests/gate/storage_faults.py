"""Files and stores as they are where something is wrong with them."""

import errno
import os
from typing import Any, NoReturn

from study.storage import object_store
from study.storage.folder import LocalFolder

STALE_MOUNT = "mount"
FOLDER_METHODS = ("create", "exists", "names", "read", "remove", "write", "write_all")
RETRIES = 3


def spoil_mount() -> None:
    """Have every folder on a disk be one whose file server is gone."""

    def stale(folder: LocalFolder, *_: Any) -> NoReturn:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), folder.locate())

    for name in FOLDER_METHODS:
        setattr(LocalFolder, name, stale)


def shorten_patience(seconds: int) -> None:
    """Give a request to a store so many seconds, not minutes, and some more for other tries."""
    object_store.REQUEST_SECONDS = seconds
    object_store._connect.__defaults__ = (RETRIES * seconds,)
