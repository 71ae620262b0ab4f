"""The ledger: finished folds and finished trials, the only source of truth.

`<trial>/fold-<k>/` holds one finished fold. Its manifest names every other file with
its sha256, carries a seal over itself, and is written last: with it the fold is
committed, and is never changed afterwards. `<trial>/trial.json`, sealed alike, holds
how the trial ended; it is written when all its folds are committed. Beside it stand, sealed
as well, what the search decided about the trial and in what order: `proposal.json` is
written before it starts, and `rung-<epoch>.json` before it goes on or stops there.
"""

import json
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from study.errors import StudyFailedError
from study.ledger import sealed_files
from study.ledger.sealed_files import MALFORMED, sealed, unsealed
from study.search.trial import (
    FOLD_NAME,
    FoldAddress,
    LearnedTrial,
    Proposal,
    RungDecision,
    State,
    TrialRecord,
    order_of,
)
from study.storage.folder import Folder
from study.storage.hashes import sha256

MANIFEST = "manifest.json"
TRIAL = "trial.json"
MODEL = "model.json"
PROPOSAL = "proposal.json"
LEARNED = "learned.json"
DECISION = re.compile(r"rung-(\d+)\.json")
FILE_NAME = re.compile(r"\w[\w.-]*")


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

    @property
    def address(self) -> FoldAddress:
        """Which fold it is."""
        return FoldAddress(self.trial, self.fold)


class Ledger:
    """Reads and commits folds and trials in `folder`."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    @classmethod
    def of(cls, results: Folder) -> Self:
        """Return the ledger of a study's results folder."""
        return cls(results.folder("ledger"))

    def path(self, address: FoldAddress) -> str:
        """Return where a fold is in `folder`."""
        return address.path

    def commit_fold(self, manifest: FoldManifest, files: Mapping[str, bytes]) -> FoldManifest:
        """Write a fold's files, then its manifest; `manifest.files` is filled in.

        Raises:
            ValueError: the fold is committed already, or by somebody else at the same time.
        """
        path = manifest.address.path
        if self.folder.exists(f"{path}/{MANIFEST}"):
            raise ValueError(f"{path} is committed already")
        self.folder.write_all({f"{path}/{name}": content for name, content in files.items()})
        digests = {name: sha256(content) for name, content in sorted(files.items())}
        manifest = replace(manifest, files=digests)
        if not self.folder.create(f"{path}/{MANIFEST}", sealed(asdict(manifest))):
            raise ValueError(f"{path} is committed already")
        return manifest

    def fold(self, address: FoldAddress) -> FoldManifest | None:
        """Return a committed fold's manifest, or None if it is not committed.

        Raises:
            DamagedError: the manifest is not what was written.
        """
        path = f"{self.path(address)}/{MANIFEST}"
        try:
            content = self._unsealed(path, self.folder.read(path))
        except FileNotFoundError:
            return None
        try:
            manifest = FoldManifest(**content)
            if manifest.address == address and all(map(FILE_NAME.fullmatch, manifest.files)):
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
        path = f"{self.path(manifest.address)}/{name}"
        try:
            content = self.folder.read(path)
        except FileNotFoundError:
            raise DamagedError(f"{self.folder.locate(path)} is missing") from None
        if sha256(content) != manifest.files.get(name):
            raise DamagedError(f"{self.folder.locate(path)} is not what was committed (sha256)")
        return content

    def record_trial(self, record: TrialRecord) -> None:
        """Write how a trial ended."""
        self._write_small(f"{record.name}/{TRIAL}", sealed_files.record_file(record))

    def trial(self, name: str) -> TrialRecord | None:
        """Return how a trial ended, or None if it has not.

        Raises:
            DamagedError: the record is not what was written.
        """
        path = f"{name}/{TRIAL}"
        content = self._sealed_file(path)
        if content is None:
            return None
        try:
            if "config" not in content:
                described = self._described(name)
                if described is None:  # as of one that failed: it counts as not ended
                    return None
                content = sealed_files.complete_older(content, name, described)
            return sealed_files.read_record(content, name)
        except MALFORMED:
            raise DamagedError(f"{self.folder.locate(path)} is no record of this trial") from None

    def record_proposal(self, proposal: Proposal) -> None:
        """Write what a trial is, and what it was proposed from."""
        self._write_small(f"{proposal.trial.name}/{PROPOSAL}", sealed(proposal.to_dict()))

    def proposal(self, name: str) -> Proposal | None:
        """Return how a trial was proposed; None for one of no search, or from before.

        Raises:
            DamagedError: it is not what was written.
        """
        path = f"{name}/{PROPOSAL}"
        content = self._sealed_file(path)
        if content is None:
            return None
        try:
            return sealed_files.read_proposal(content, name)
        except MALFORMED:
            raise DamagedError(f"{self.folder.locate(path)} is no proposal of this trial") from None

    def proposals(self) -> list[Proposal]:
        """Return all proposals, in the order in which they were made."""
        return list(filter(None, map(self.proposal, self.names())))

    def record_learned(self, trials: Iterable[LearnedTrial]) -> None:
        """Write down, once for the study, what its search learns of other studies."""
        self._write_small(LEARNED, sealed_files.learned_file(trials))

    def learned(self) -> list[LearnedTrial]:
        """Return what the search learns of other studies.

        Raises:
            DamagedError: it is not what was written.
        """
        content = self._sealed_file(LEARNED)
        try:
            return sealed_files.read_learned(content) if content else []
        except MALFORMED:
            raise DamagedError(f"{self.folder.locate(LEARNED)} holds no trials") from None

    def record_decision(self, decision: RungDecision) -> None:
        """Write whether a trial goes on at a rung."""
        name = f"rung-{decision.epoch:06d}.json"
        self._write_small(f"{decision.trial}/{name}", sealed_files.decision_file(decision))

    def decision_names(self, trial: str) -> list[str]:
        """Return the names of a trial's files of decisions, rung by rung."""
        return sorted(filter(DECISION.fullmatch, self.folder.names(trial)))

    def decision(self, trial: str, name: str) -> RungDecision:
        """Return what one of a trial's files of decisions holds.

        Raises:
            DamagedError: it is not what was written.
        """
        path = f"{trial}/{name}"
        try:
            return sealed_files.read_decision(self._sealed_file(path) or {}, trial)
        except MALFORMED:
            raise DamagedError(f"{self.folder.locate(path)} is no decision on this trial") from None

    def decisions(self) -> list[RungDecision]:
        """Return all decisions, in the order in which they were made."""
        decisions = [
            self.decision(trial, name)
            for trial in self.names()
            for name in self.decision_names(trial)
        ]
        return sorted(decisions, key=lambda decision: decision.order)

    def trials(self) -> list[TrialRecord]:
        """Return how every ended trial ended, in the order of their names."""
        with ThreadPoolExecutor() as readers:
            return list(filter(None, readers.map(self.trial, self.names())))

    def names(self) -> list[str]:
        """Return the names of the trials that have a folder: by number, repetitions last."""
        orders = {name: order_of(name) for name in self.folder.names()}
        trials = {name: order for name, order in orders.items() if order is not None}
        return sorted(trials, key=trials.__getitem__)

    def folds(self, trial: str) -> list[FoldAddress]:
        """Return the folds of a trial that have a folder, in order."""
        return [FoldAddress(trial, fold) for fold in _fold_numbers(self.folder.names(trial))]

    def committed(self, trial: str) -> list[FoldAddress]:
        """Return the committed folds of a trial, in order."""
        versions = self.folder.versions(trial)
        if versions is not None:
            return [FoldAddress(trial, fold) for fold in committed_folds(versions)]
        return [
            address
            for address in self.folds(trial)
            if self.folder.exists(f"{address.path}/{MANIFEST}")
        ]

    def has_all_folds(self, record: TrialRecord) -> bool:
        """Return whether all folds that an ended trial had are committed."""
        return set(self.committed(record.name)) >= set(record.folds)

    def is_known(self, name: str) -> bool:
        """Return whether an ended trial is known to be sound without reading it.

        On a disk none is; see `study.ledger.index` for a store.
        """
        return False

    def forget(self, name: str) -> None:
        """Take note that files of a trial were moved or deleted by others."""

    def remember(self, name: str) -> None:
        """Know from now on that a trial has ended and is sound."""

    def save(self) -> None:
        """Write down what is known of ended trials, for the next process."""

    def size(self, name: str) -> int:
        """Return the bytes of all files of a trial."""
        return self.folder.size(name)

    def _described(self, trial: str) -> dict[str, Any] | None:
        """Return what a committed fold of a trial says of its model; None if none says it."""
        for manifest in map(self.fold, self.committed(trial)):
            if manifest is not None and MODEL in manifest.files:
                return dict(json.loads(self.read(manifest, MODEL)))
        return None

    def _sealed_file(self, path: str) -> dict[str, Any] | None:
        try:
            content = self._read_small(path)
        except FileNotFoundError:
            return None
        return self._unsealed(path, content)

    def _unsealed(self, path: str, raw: bytes) -> dict[str, Any]:
        content = unsealed(raw)
        if content is None:
            raise DamagedError(f"{self.folder.locate(path)} is not what was written (seal)")
        return content

    def _read_small(self, path: str) -> bytes:
        return self.folder.read(path)

    def _write_small(self, path: str, content: bytes) -> None:
        self.folder.write(path, content)


def committed_folds(paths: Iterable[str]) -> list[int]:
    """Return the numbers of the folds whose manifest is among a trial's files, in order."""
    return _fold_numbers(path.removesuffix(f"/{MANIFEST}") for path in paths)


def _fold_numbers(names: Iterable[str]) -> list[int]:
    matches = map(FOLD_NAME.fullmatch, names)
    return sorted(int(match[1]) for match in matches if match)
