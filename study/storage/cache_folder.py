"""Folders of this user on this machine: data, prepared samples, locks of object stores."""

import os
from pathlib import Path

import platformdirs

_PROGRAM = "beta-vaegan-study"


def user_cache() -> Path:
    """Return the folder of this program among the user's caches."""
    return platformdirs.user_cache_path(_PROGRAM)


def prepared_folder(option: Path | None = None) -> Path:
    """Return where prepared samples are: `option`, else STUDY_CACHE_DIR, else the user's."""
    if option is not None:
        return option
    chosen = os.environ.get("STUDY_CACHE_DIR")
    return Path(chosen).expanduser() if chosen else user_cache() / "prepared"
