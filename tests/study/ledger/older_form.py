"""Results as they were stored before trials were: numbers, parameters and whole studies."""

import hashlib
import json
from pathlib import Path
from typing import Any

from study.config.schema import Study
from study.config.study_file import dump_study
from study.search.trial import order_of
from study.storage.hashes import canonical_hash


def to_older_form(trial: Path, study: Study) -> None:
    """Rewrite a trial's folder, its record and what its folds hold, if it has them."""
    if (trial / "trial.json").exists():
        _older_record(trial / "trial.json")
    for fold in trial.glob("fold-*"):
        if (fold / "model.json").exists():
            _older_model(fold, study)


def _older_record(path: Path) -> None:
    content = json.loads(path.read_text())
    is_repetition, number = order_of(path.parent.name) or (False, -1)
    older = {
        "number": number + 1_000_000 * is_repetition,
        "parameters": content["parameters"],
        "state": content["state"],
        "reason": content["reason"],
        "values": content["values"],
        "arrival": content["completion_order"],
    }
    path.write_bytes(sealed(older))


def _older_model(fold: Path, study: Study) -> None:
    described = json.loads((fold / "model.json").read_text())
    config = described.pop("config")
    stored = dump_study(study)
    for part in ("dataset", "split", "model", "training", "scores", "measures", "seed"):
        stored[part] = config[part]
    stored["search"]["metric"] = config["metric"]
    if stored.pop("systems"):
        record = json.loads((fold.parent / "trial.json").read_text())
        stored["system"] = record["parameters"]["system"]
    leakage = dict.fromkeys(
        ("records_in_training", "duplicates_of_training", "windows_overlapping_training"), 0
    )
    text = json.dumps({"study": stored, **described, "leakage": leakage}).encode()
    (fold / "model.json").write_bytes(text)
    manifest = json.loads((fold / "manifest.json").read_text())
    manifest["files"]["model.json"] = hashlib.sha256(text).hexdigest()
    (fold / "manifest.json").write_bytes(sealed(manifest))


def sealed(content: dict[str, Any]) -> bytes:
    """What the ledger writes: a format, the content, and a hash of both."""
    content = {"format": 1, **{key: content[key] for key in content if key != "seal"}}
    return json.dumps({**content, "seal": canonical_hash(content)}, indent=1).encode()
