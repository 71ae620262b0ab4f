"""Scores of folds that were fitted before, cached beside a study's tables.

`score_cache/<kind>/<trial>` holds tables of a trial's folds: the sha256 of what follows,
then an Arrow stream with the key of each fold in its metadata. A key is a hash of all
that decides a fold's scores. A file that is damaged, of another study or of other code
does not have the keys of the study's folds: they are fitted anew and the file is replaced.
The folder can be deleted at any time.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from models.extensions import extending_packages
from study.config.components import available_components
from study.config.trial_config import TrialConfig
from study.ledger.ledger import FoldManifest
from study.report.fold_scores import SCHEMA, FoldScores
from study.report.strata import (
    CLINICAL_SCHEMA,
    DECISIONS_SCHEMA,
    PREVALENCE_SCHEMA,
    STRATA_SCHEMA,
    FoldDetails,
    LeftOut,
)
from study.storage.folder import Folder
from study.storage.hashes import canonical_hash, code_sha256, sha256

FOLDER = "score_cache"
LIBRARIES = ("numpy", "pyarrow", "scikit-learn", "scipy")
_STUDY = Path(__file__).parents[1]
_CODE = (
    "ledger/fold_contents.py",
    "ledger/fold_errors.py",
    "ledger/fold_files.py",
    "ledger/series_files.py",
    "report/cache.py",
    "report/dataclass_tables.py",
    "report/fold_scores.py",
    "report/strata.py",
    "scores/*.py",
)
_DETAILS = {
    "strata": STRATA_SCHEMA,
    "prevalence": PREVALENCE_SCHEMA,
    "clinical": CLINICAL_SCHEMA,
    "decisions": DECISIONS_SCHEMA,
}
_KEYS = b"keys"
_SEAL_LENGTH = 64
_ONE_THREAD = pa.ipc.IpcReadOptions(use_threads=False)  # trials are read side by side


class ScoreCache:
    """Reads and writes cached tables of one kind in a study's results folder."""

    def __init__(self, results: Folder, kind: str, schema: pa.Schema) -> None:
        self._folder, self._schema = results.folder(f"{FOLDER}/{kind}"), schema

    def read(self, trial: str, keys: Mapping[int, str]) -> dict[int, pa.Table]:
        """Return the cached scores of a trial's folds, by fold, as far as there are any.

        Args:
            trial: its name.
            keys: `fold_key` by fold; scores under another key are not returned.
        """
        try:
            content = self._folder.read(trial)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return {}
        body = content[_SEAL_LENGTH:]
        if content[:_SEAL_LENGTH] != _seal(body):
            return {}
        try:
            with pa.ipc.open_stream(body, options=_ONE_THREAD) as reader:
                table = reader.read_all()
            contents = json.loads(table.schema.metadata[_KEYS])
        except (ValueError, KeyError, TypeError):  # sealed by code that wrote another form
            return {}
        table = table.replace_schema_metadata(None)
        scores, start = {}, 0
        for fold, key, rows in contents:
            if keys.get(fold) == key:
                scores[fold] = table.slice(start, rows)
            start += rows
        return scores

    def write(self, trial: str, keys: Mapping[int, str], scores: Mapping[int, pa.Table]) -> None:
        """Write the scores of a trial's folds, durably; they replace the trial's former ones.

        Args:
            trial: its name.
            keys: `fold_key` by fold.
            scores: a table of the schema by fold, for the same folds.
        """
        contents = [(fold, keys[fold], scores[fold].num_rows) for fold in sorted(scores)]
        table = pa.concat_tables([scores[fold] for fold, _, _ in contents]).combine_chunks()
        schema = self._schema.with_metadata({_KEYS: json.dumps(contents).encode()})
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        with pa.ipc.new_stream(sink, schema, options=options) as writer:
            writer.write_table(table.cast(schema))
        body = sink.getvalue().to_pybytes()
        self._folder.write(trial, _seal(body) + body)


class FoldCache:
    """Reads and writes scores of folds, with the details of those that have them."""

    def __init__(self, results: Folder) -> None:
        self._scores = ScoreCache(results, "scores", SCHEMA)
        self._details = {
            name: ScoreCache(results, name, schema) for name, schema in _DETAILS.items()
        }

    def read(self, trial: str, keys: Mapping[int, str], *, detailed: bool) -> dict[int, FoldScores]:
        """Return the cached scores of a trial's folds, by fold.

        Args:
            trial: its name.
            keys: `fold_key` by fold.
            detailed: whether details are needed: a fold without counts as not cached.
        """
        scores = self._scores.read(trial, keys)
        if not detailed:
            return {fold: FoldScores(table, None) for fold, table in scores.items()}
        details = {name: tables.read(trial, keys) for name, tables in self._details.items()}
        return {
            fold: FoldScores(
                scores[fold], FoldDetails(**{name: each[fold] for name, each in details.items()})
            )
            for fold in scores.keys() & set.intersection(*map(set, details.values()))
        }

    def write(self, trial: str, keys: Mapping[int, str], folds: Mapping[int, FoldScores]) -> None:
        """Write the scores of a trial's folds, durably; they replace the trial's former ones."""
        details = {number: fold.details for number, fold in folds.items() if fold.details}
        for name, tables in self._details.items() if details else ():
            tables.write(trial, keys, {n: getattr(fold, name) for n, fold in details.items()})
        self._scores.write(trial, keys, {n: fold.scores for n, fold in folds.items()})


def fold_key(
    manifest: FoldManifest,
    config: TrialConfig,
    left_out: LeftOut,
    all_folds: Sequence[FoldManifest] = (),
) -> str:
    """Return the sha256 (hex) of all that decides a fold's scores.

    Args:
        manifest: holds the sha256 of the fold's errors.
        config: the model, which has certain components, and how compositions are fitted.
        left_out: what details are taken without.
        all_folds: the folds whose errors play a part beside its own, as of `ScoreTask`.
    """
    settings = [config.model.model_dump(mode="json"), config.scores.model_dump(mode="json")]
    settings.append({"components": available_components(config.model, config.dataset)})
    folds = [asdict(each) for each in (manifest, *all_folds)]
    return canonical_hash([scoring(), folds, settings, asdict(left_out)])


@cache
def scoring() -> dict[str, str]:
    """Return what decides how errors become scores: code, libraries, kind of processor.

    No older scores are used after a change of any; nobody has to remember to clear them.
    """
    code = (path for pattern in _CODE for path in sorted(_STUDY.glob(pattern)))
    versions = {name: version(name) for name in LIBRARIES}
    platforms = {"python": platform.python_version(), "machine": platform.machine()}
    added = extending_packages("study.compositions")
    return {"code": code_sha256(code)} | versions | platforms | added


def _seal(body: bytes) -> bytes:
    return sha256(body).encode()
