"""Prepared samples on disk: keyed by content, verified bit by bit, never half written.

An entry is a folder of plain `.npy` files and a `manifest.json` with their sha256. It
is written under a temporary name, synced, and renamed to its key.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from models.extensions import extending_packages
from study.data.samples import ARRAYS, Samples
from study.storage.durable import sync
from study.storage.hashes import canonical_hash, code_sha256, file_sha256

_LIBRARIES = ("numpy", "scipy", "tsdownsample", "wfdb")
_MANIFEST = "manifest.json"
_COMPONENT = "components."


def entry_key(
    settings: dict[str, Any], sources: Sequence[tuple[str, str]], seed: int | None
) -> str:
    """Return the key (hex) of what is prepared from these sources with these settings.

    Args:
        settings: the dataset's settings; `limit` and `clean` are applied later and play no part.
        sources: (name, sha256) of each source file.
        seed: the study's seed where samples are generated from it, else None.
    """
    shaping = {name: value for name, value in settings.items() if name not in ("limit", "clean")}
    return canonical_hash([preparation(), shaping, list(sources), seed])


def preparation() -> dict[str, str]:
    """Return what decides how samples are prepared: this package's code, and libraries.

    A change of either makes another key, so that no older entry is used.
    """
    code = sorted(Path(__file__).parent.rglob("*.py"))
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"code": code_sha256(code)} | libraries | extending_packages("study.datasets")


def read_entry(folder: Path, key: str) -> Samples | None:
    """Return the stored samples, or None if there are none or any bit of them is wrong.

    Values are mapped from the file read-only, the other arrays are read.
    """
    entry = folder / key
    try:
        manifest = json.loads((entry / _MANIFEST).read_text(encoding="utf-8"))
        body = manifest["body"]
        if manifest["sha256"] != canonical_hash(body) or body["key"] != key:
            return None
        stored = body["arrays"]
        if any(file_sha256(entry / f"{name}.npy") != digest for name, digest in stored.items()):
            return None
        arrays: dict[str, Any] = {name: _read_array(entry / f"{name}.npy", name) for name in stored}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    components = {
        name.removeprefix(_COMPONENT): arrays.pop(name)
        for name in list(arrays)
        if name.startswith(_COMPONENT)
    }
    return Samples(
        **arrays,
        components=components,
        sampling_rate_hz=body["sampling_rate_hz"],
        content_hash=body["content_hash"],
        channel_names=tuple(body["channel_names"]),
        events={
            name: np.array(each, dtype=np.int64).reshape(-1, 2)
            for name, each in body["events"].items()
        },
    )


def write_entry(folder: Path, key: str, samples: Samples) -> bool:
    """Store `samples`; return False, and leave nothing, if the folder cannot be written.

    Writers do not disturb each other: each writes a folder of its own, and the first
    to rename wins. A damaged entry of the same key is deleted first.
    """
    temporary: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=f".{key[:8]}-"))
        _write_files(temporary, key, samples)
        _rename_entry(temporary, folder / key)
        sync(folder)
    except OSError:
        return False
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
    return True


def _named_arrays(samples: Samples) -> dict[str, np.ndarray[Any, Any]]:
    """Return all arrays of an entry by the name of their file."""
    components = {f"{_COMPONENT}{name}": each for name, each in samples.components.items()}
    return {name: getattr(samples, name) for name in ARRAYS} | components


def _write_files(entry: Path, key: str, samples: Samples) -> None:
    """Write and synchronise all files of an entry, the manifest last."""
    digests = {}
    for name, array in _named_arrays(samples).items():
        path = entry / f"{name}.npy"
        with path.open("wb") as file:
            np.save(file, array, allow_pickle=False)
        sync(path)
        digests[name] = file_sha256(path)
    body = {
        "key": key,
        "arrays": digests,
        "sampling_rate_hz": samples.sampling_rate_hz,
        "content_hash": samples.content_hash,
        "channel_names": samples.channel_names,
        "events": {name: each.tolist() for name, each in samples.events.items()},
    }
    with (entry / _MANIFEST).open("w", encoding="utf-8") as file:
        json.dump({"body": body, "sha256": canonical_hash(body)}, file, indent=1)
    sync(entry / _MANIFEST)
    sync(entry)


def _rename_entry(temporary: Path, entry: Path) -> None:
    """Rename `temporary` to `entry` unless an entry that is not damaged is there."""
    if entry.exists() and read_entry(entry.parent, entry.name) is None:
        aside = Path(tempfile.mkdtemp(dir=entry.parent, prefix=".damaged-"))
        try:
            entry.rename(aside / entry.name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    if not entry.exists():
        # A writer that was faster makes this fail: its entry holds the same samples.
        temporary.rename(entry)


def _read_array(path: Path, name: str) -> np.ndarray[Any, Any]:
    array = np.load(path, mmap_mode="r" if name == "values" else None, allow_pickle=False)
    return np.asarray(array)
