"""A study's results folder: what it belongs to, who writes to it, and starting anew."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from study.config.schema import Study
from study.config.study_file import check_study, dump_study, flatten, parse_yaml, to_yaml
from study.data.samples import Samples
from study.data.splits import Splits, splits_table
from study.errors import RequestError
from study.ledger.fold_files import to_parquet
from study.storage.folder import Folder

STUDY = "study.yaml"
VERSIONED = ("numpy", "optuna", "ray", "scikit-learn", "torch", "wfdb")
CHANGEABLE = ("resources.", "search.trials", "provenance.")


def read_study(results: Folder) -> Study:
    """Return the study that a results folder holds.

    Raises:
        RequestError: it holds none, or not a sound one.
    """
    where = results.locate(STUDY)
    try:
        text = results.read(STUDY).decode()
    except (FileNotFoundError, UnicodeDecodeError):
        raise RequestError(f"{where}: is no study; give a folder that study.run wrote") from None
    content = parse_yaml(text, where)
    if not isinstance(content, Mapping):
        raise RequestError(f"{where}: must hold keys and values")
    return check_study(content, where)


def stored_split_hash(results: Folder, study: Study) -> dict[str, str]:
    """Return the hash of a stored study's folds by protocol.

    Raises:
        RequestError: one is not there: the folder is of an older form.
    """
    found = (study.provenance or {}).get("split_hash")
    known = found if isinstance(found, Mapping) else {}
    for protocol in study.split.protocols:
        if not isinstance(known.get(protocol), str):
            raise RequestError(
                f"{results.locate(STUDY)}: provenance.split_hash.{protocol} is missing; run the"
                " study anew with --fresh"
            )
    return dict(known)


def refuse_other_study(
    results: Folder, study: Study, samples: Samples, splits: Mapping[str, Splits]
) -> None:
    """Raise RequestError if the folder belongs to a study with other results than `study`."""
    if not results.exists(STUDY):
        return
    stored = read_study(results)
    before, now = (flatten(dump_study(each)) for each in (stored, study))
    for key in sorted(before.keys() | now.keys()):
        if not key.startswith(CHANGEABLE) and before.get(key) != now.get(key):
            raise RequestError(
                f"{results.locate(STUDY)}: {key} is {_said(before, key)} there and"
                f" {_said(now, key)} now; use --fresh, another --output or another name"
            )
    known = stored.provenance or {}
    for key, value in _hashes(samples, splits).items():
        if known.get(key) != value:
            raise RequestError(
                f"{results.locate(STUDY)}: {key} is {known.get(key)} there and {value} now: the"
                " data changed; use --fresh or another --output"
            )


def write_study(
    results: Folder, study: Study, samples: Samples, splits: Mapping[str, Splits]
) -> None:
    """Write `study.yaml`, with versions and hashes, and `splits.parquet`."""
    provenance = {
        "python": platform.python_version(),
        "versions": {name: version(name) for name in VERSIONED},
        **_hashes(samples, splits),
    }
    content = dump_study(study.model_copy(update={"provenance": provenance}))
    results.write("splits.parquet", to_parquet(splits_table(samples, splits)))
    results.write(STUDY, to_yaml(content).encode())


def put_aside(output: Folder, name: str) -> str | None:
    """Rename a study's folder so that a new one can start; return where it is now."""
    if not output.exists(name):
        return None
    number = 1
    while output.exists(f"{name}.{number}"):
        number += 1
    output.move(name, f"{name}.{number}")
    return output.locate(f"{name}.{number}")


def _hashes(samples: Samples, splits: Mapping[str, Splits]) -> dict[str, Any]:
    split_hash = {protocol: divided.split_hash for protocol, divided in splits.items()}
    return {"samples_hash": samples.content_hash, "split_hash": split_hash}


def _said(flat: Mapping[str, Any], key: str) -> str:
    return repr(flat[key]) if key in flat else "not set"
