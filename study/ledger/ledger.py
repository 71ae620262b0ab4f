"""The ledger: finished folds and finished trials, the only source of truth.

`<trial>/fold-<k>/` holds one finished fold. Its manifest names every other file with
its sha256, carries a seal over itself, and is written last: with it the fold is
committed, and is never changed afterwards. `<trial>/trial.json`, sealed alike, says
how the trial ended; it is written when all that is known of the trial is committed.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from study.errors import StudyFailedError
from study.storage.folder import Folder

FORMAT = 1
MANIFEST = "manifest.json"
TRIAL = "trial.json"
TRIAL_NAME = re.compile(r"trial-\d{5,}")
FOLD_NAME = re.compile(r"fold-(\d+)")
FILE_NAME = re.compile(r"\w[\w.-]*")

State = Literal["completed", "pruned", "failed"]


class DamagedError(StudyFailedError):
    """A file of the ledger is not what was committed."""


@dataclass(frozen=True)
class FoldManifest:
    """The commit of one fold.

    Attributes:
        trial: name of the trial.
        fold: number of the fold, from 0.
        state: how training ended.
        reason: why, if it did not complete.
        best_epoch: epoch of the best validation value; 0 if there is none.
        last_epoch: epochs trained.
        files: sha256 (hex) by file name.
    """

    trial: str
    fold: int
    state: State
    reason: str
    best_epoch: int
    last_epoch: int
    files: dict[str, str]


@dataclass(frozen=True)
class TrialRecord:
    """How a trial ended.

    Attributes:
        number: the trial's number, from 0, in the order of proposal.
        parameters: searched settings by dotted key.
        state: how it ended; a trial that failed is never best.
        reason: why, if it did not complete.
        values: validation epoch and the metric's mean over folds, in order.
        arrival: how many trials had ended before it.
    """

    number: int
    parameters: dict[str, Any]
    state: State
    reason: str
    values: list[tuple[int, float]] = field(default_factory=list)
    arrival: int = 0

    @property
    def name(self) -> str:
        """The trial's name, which is that of its folder."""
        return trial_name(self.number)

    @property
    def best_value(self) -> float:
        """The metric's mean over folds at its best epoch; nan if nothing was validated."""
        return max((value for _, value in self.values), default=math.nan)


def trial_name(number: int) -> str:
    """Return the name of trial `number`."""
    return f"trial-{number:05d}"


def fold_name(number: int) -> str:
    """Return the name of fold `number`."""
    return f"fold-{number}"


class Ledger:
    """Reads and commits folds and trials in `folder`."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def commit_fold(self, manifest: FoldManifest, files: Mapping[str, bytes]) -> FoldManifest:
        """Write a fold's files, then its manifest; `manifest.files` is filled in.

        Raises:
            ValueError: the fold is committed already.
        """
        place = _place(manifest.trial, manifest.fold)
        if self.folder.exists(f"{place}/{MANIFEST}"):
            raise ValueError(f"{place} is committed already")
        self.folder.write_all({f"{place}/{name}": content for name, content in files.items()})
        digests = {name: _digest(content) for name, content in sorted(files.items())}
        manifest = FoldManifest(**{**asdict(manifest), "files": digests})
        self.folder.write(f"{place}/{MANIFEST}", _sealed(asdict(manifest)))
        return manifest

    def fold(self, trial: str, fold: int) -> FoldManifest | None:
        """Return a committed fold's manifest, or None if it is not committed.

        Raises:
            DamagedError: the manifest is not what was written.
        """
        path = f"{_place(trial, fold)}/{MANIFEST}"
        content = self._sealed_file(path)
        if content is None:
            return None
        try:
            manifest = FoldManifest(**content)
            of_this_place = (manifest.trial, manifest.fold) == (trial, fold)
            if of_this_place and all(map(FILE_NAME.fullmatch, manifest.files)):
                return manifest
        except TypeError:
            pass
        raise DamagedError(f"{self.folder.locate(path)} is no manifest of this fold")

    def verify(self, manifest: FoldManifest) -> None:
        """Read all files of a committed fold.

        Raises:
            DamagedError: one is missing or not what was committed.
        """
        for name in manifest.files:
            self.read(manifest, name)

    def read(self, manifest: FoldManifest, name: str) -> bytes:
        """Return a file of a committed fold.

        Raises:
            DamagedError: the file is missing or not what was committed.
        """
        path = f"{_place(manifest.trial, manifest.fold)}/{name}"
        try:
            content = self.folder.read(path)
        except FileNotFoundError:
            raise DamagedError(f"{self.folder.locate(path)} is missing") from None
        if _digest(content) != manifest.files.get(name):
            raise DamagedError(f"{self.folder.locate(path)} is not what was committed (sha256)")
        return content

    def record_trial(self, record: TrialRecord) -> None:
        """Write how a trial ended."""
        self.folder.write(f"{record.name}/{TRIAL}", _sealed(asdict(record)))

    def trial(self, number: int) -> TrialRecord | None:
        """Return how trial `number` ended, or None if it has not.

        Raises:
            DamagedError: the record is not what was written.
        """
        path = f"{trial_name(number)}/{TRIAL}"
        content = self._sealed_file(path)
        if content is None:
            return None
        try:
            values = [(int(epoch), float(value)) for epoch, value in content.pop("values")]
            record = TrialRecord(**content, values=values)
            if record.number == number:
                return record
        except (KeyError, TypeError, ValueError):
            pass
        raise DamagedError(f"{self.folder.locate(path)} is no record of this trial")

    def trials(self) -> list[TrialRecord]:
        """Return how every ended trial ended, by number."""
        records = [self.trial(number) for number in self.numbers()]
        return [record for record in records if record is not None]

    def numbers(self) -> list[int]:
        """Return the numbers of the trials that have a folder, in order."""
        return sorted(
            int(name.removeprefix("trial-"))
            for name in self.folder.names()
            if TRIAL_NAME.fullmatch(name)
        )

    def folds(self, trial: str) -> list[int]:
        """Return the numbers of the folds of a trial that have a folder, in order."""
        found = map(FOLD_NAME.fullmatch, self.folder.names(trial))
        return sorted(int(match[1]) for match in found if match)

    def committed(self, trial: str) -> list[int]:
        """Return the numbers of a trial's committed folds, in order."""
        return [
            fold
            for fold in self.folds(trial)
            if self.folder.exists(f"{_place(trial, fold)}/{MANIFEST}")
        ]

    def _sealed_file(self, path: str) -> dict[str, Any] | None:
        try:
            content = self.folder.read(path)
        except FileNotFoundError:
            return None
        return _unsealed(content, self.folder.locate(path))


def promote(stage: Ledger, ledger: Ledger, manifest: FoldManifest) -> None:
    """Commit to `ledger` what `stage` holds of a fold, under `manifest`'s state and reason."""
    files = {name: stage.read(manifest, name) for name in manifest.files}
    ledger.commit_fold(manifest, files)


def canonical_hash(content: Any) -> str:
    """Return the sha256 (hex) of plain values, whatever their order of keys."""
    return _digest(json.dumps(content, sort_keys=True).encode())


def _place(trial: str, fold: int) -> str:
    return f"{trial}/{fold_name(fold)}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sealed(content: dict[str, Any]) -> bytes:
    content = {"format": FORMAT, **content}
    return json.dumps({**content, "seal": canonical_hash(content)}, indent=1).encode()


def _unsealed(raw: bytes, where: str) -> dict[str, Any]:
    try:
        content = json.loads(raw)
        seal = content.pop("seal")
        sound = seal == canonical_hash(content) and content.pop("format") == FORMAT
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        sound = False
    if not sound:
        raise DamagedError(f"{where} is not what was written (seal)")
    unsealed: dict[str, Any] = content
    return unsealed
