"""Scores of folds that were fitted before, kept beside a study's tables.

`score_cache/<kind>/<trial>` holds tables of a trial's folds: the sha256 of what follows,
then an Arrow stream with the key of each fold in its metadata. A key stands for all
that decides a fold's scores. A file that is damaged, of another study or of other code
has no key that is asked for: its folds are fitted anew and it is replaced as a whole.
All of it can be deleted at any time.
"""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from study.config.trial_config import TrialConfig
from study.ledger.ledger import FoldManifest
from study.report.fold_scores import SCHEMA, FoldScores
from study.report.strata import PREVALENCE_SCHEMA, STRATA_SCHEMA, FoldDetails
from study.storage.folder import Folder
from study.storage.hashes import canonical_hash, code_sha256, sha256

FOLDER = "score_cache"
LIBRARIES = ("numpy", "pyarrow", "scikit-learn", "scipy")
_STUDY = Path(__file__).parents[1]
_CODE = (
    "ledger/fold_files.py",
    "report/cache.py",
    "report/fold_scores.py",
    "report/strata.py",
    "scores/*.py",
)
_KEYS = b"keys"
_SEAL_LENGTH = 64
_ONE_THREAD = pa.ipc.IpcReadOptions(use_threads=False)  # trials are read side by side


class ScoreCache:
    """Reads and keeps tables of one kind in a study's results folder."""

    def __init__(self, results: Folder, kind: str, schema: pa.Schema) -> None:
        self._folder, self._schema = results.folder(f"{FOLDER}/{kind}"), schema

    def read(self, trial: str, keys: Mapping[int, str]) -> dict[int, pa.Table]:
        """Return the kept scores of a trial's folds, by fold, as far as there are any.

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
            kept = json.loads(table.schema.metadata[_KEYS])
        except (ValueError, KeyError, TypeError):  # sealed by code that wrote another form
            return {}
        table = table.replace_schema_metadata(None)
        found, start = {}, 0
        for fold, key, rows in kept:
            if keys.get(fold) == key:
                found[fold] = table.slice(start, rows)
            start += rows
        return found

    def write(self, trial: str, keys: Mapping[int, str], scores: Mapping[int, pa.Table]) -> None:
        """Keep the scores of a trial's folds, durably, in place of what was kept of it.

        Args:
            trial: its name.
            keys: `fold_key` by fold.
            scores: a table of the schema by fold, for the same folds.
        """
        kept = [(fold, keys[fold], scores[fold].num_rows) for fold in sorted(scores)]
        table = pa.concat_tables([scores[fold] for fold, _, _ in kept]).combine_chunks()
        schema = self._schema.with_metadata({_KEYS: json.dumps(kept).encode()})
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
        with pa.ipc.new_stream(sink, schema, options=options) as writer:
            writer.write_table(table.cast(schema))
        body = sink.getvalue().to_pybytes()
        self._folder.write(trial, _seal(body) + body)


class FoldCache:
    """Reads and keeps what is made of folds: scores, and details where they were asked for."""

    def __init__(self, results: Folder) -> None:
        self._scores = ScoreCache(results, "scores", SCHEMA)
        self._strata = ScoreCache(results, "strata", STRATA_SCHEMA)
        self._prevalence = ScoreCache(results, "prevalence", PREVALENCE_SCHEMA)

    def read(self, trial: str, keys: Mapping[int, str], *, detailed: bool) -> dict[int, FoldScores]:
        """Return what is kept of a trial's folds, by fold; with details only if all is there."""
        scores = self._scores.read(trial, keys)
        if not detailed:
            return {fold: FoldScores(table, None) for fold, table in scores.items()}
        strata, prevalence = self._strata.read(trial, keys), self._prevalence.read(trial, keys)
        return {
            fold: FoldScores(scores[fold], FoldDetails(strata[fold], prevalence[fold]))
            for fold in scores.keys() & strata.keys() & prevalence.keys()
        }

    def write(self, trial: str, keys: Mapping[int, str], folds: Mapping[int, FoldScores]) -> None:
        """Keep what is made of a trial's folds, durably, in place of what was kept of it."""
        details = {fold: each.details for fold, each in folds.items() if each.details}
        if details:
            self._strata.write(trial, keys, {f: each.strata for f, each in details.items()})
            self._prevalence.write(trial, keys, {f: each.prevalence for f, each in details.items()})
        self._scores.write(trial, keys, {f: each.scores for f, each in folds.items()})


def fold_key(manifest: FoldManifest, config: TrialConfig, left_out: Sequence[str]) -> str:
    """Return the sha256 (hex) of what decides a fold's scores.

    Args:
        manifest: holds the sha256 of the fold's errors.
        config: says which components its model has, and how compositions are fitted.
        left_out: kinds of samples that details leave out.
    """
    asked = [config.model.model_dump(mode="json"), config.scores.model_dump(mode="json")]
    return canonical_hash([scoring(), asdict(manifest), asked, list(left_out)])


@cache
def scoring() -> dict[str, str]:
    """Return what decides how errors become scores: code, libraries, kind of processor.

    A change of any finds no older scores; nobody has to remember to say so.
    """
    code = (path for pattern in _CODE for path in sorted(_STUDY.glob(pattern)))
    versions = {name: version(name) for name in LIBRARIES}
    known = {"python": platform.python_version(), "machine": platform.machine()}
    return {"code": code_sha256(code)} | versions | known


def _seal(body: bytes) -> bytes:
    return sha256(body).encode()
