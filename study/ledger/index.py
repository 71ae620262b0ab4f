"""An index of ended trials, which spares a store of many trials being read at every start.

A store tells versions of a file apart. The index holds, for each trial that has ended and was
sound, a fingerprint of the sizes and versions of all its files, and the few small files that a
driver asks for. Where today's listing has the same fingerprint, the trial is as it was, and
nothing of it is read. The index says nothing that the ledger does not: a trial that it does not
know, or whose files are others by now, is read and verified, and a segment that is missing or
damaged is made again. On a disk, where only bytes tell what a file is, there is none.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from study.ledger.fold_files import to_parquet
from study.ledger.ledger import DECISION, PROPOSAL, TRIAL, Ledger, committed_folds
from study.ledger.sealed_files import unsealed
from study.search.trial import FoldAddress, TrialRecord, order_of
from study.storage.folder import Folder, total_bytes
from study.storage.hashes import canonical_hash, with_digest, without_digest

INDEX = "index"
SEGMENT_TRIALS = 500
UNSAVED_TRIALS = 10
"""So many ended trials at most are read again after a driver was killed."""
LISTINGS = 16
"""Parts of the ledger that are listed, and segments that are read, at the same time."""
SUFFIX = ".segment"
AFTER_SLASH = "0"
"""The character after `/`: with it a trial's name comes after all that lies in its folder."""

Versions = Mapping[str, str]
"""The versions of a trial's files, by path; see `Folder.versions`."""


def open_ledger(results: Folder) -> Ledger:
    """Return the ledger of a results folder; of a store it knows what the index does."""
    folder = results.folder("ledger")
    if folder.versions("", until="-") is None:
        return Ledger(folder)
    return IndexedLedger(folder, results.folder(INDEX))


def drop_index(results: Folder) -> None:
    """Delete the index: something is not what it was, and all is read again."""
    results.remove(INDEX)


@dataclass(frozen=True)
class KnownTrial:
    """An ended trial as the index has it.

    Attributes:
        fingerprint: sha256 (hex) of paths, sizes and versions of all its files.
        folds: the numbers of its committed folds.
        size: bytes of all its files.
        files: content of its record, proposal and decisions, by name.
    """

    fingerprint: str
    folds: tuple[int, ...]
    size: int
    files: Mapping[str, bytes]


class IndexedLedger(Ledger):
    """A ledger in a store, which reads nothing again of trials that are as they were."""

    def __init__(self, folder: Folder, index: Folder) -> None:
        super().__init__(folder)
        self._segments = _Segments(index)
        self._listed = _listing(folder)
        self._known = {
            name: trial
            for name, trial in self._segments.trials.items()
            if name in self._listed and trial.fingerprint == _fingerprint(self._listed[name])
        }
        self._records: dict[str, TrialRecord | None] = {}
        self._small: dict[str, dict[str, bytes]] = {}

    def is_known(self, name: str) -> bool:
        """See `Ledger.is_known`."""
        return name in self._known

    def remember(self, name: str) -> None:
        """See `Ledger.remember`; what this process wrote is not read again.

        Their seals are checked here for the last time: from now on a segment's digest holds them.
        """
        versions = self._listed.get(name) or self.folder.versions(name) or {}
        files = {
            path: self._read_small(f"{name}/{path}")
            for path in versions
            if path in (TRIAL, PROPOSAL) or DECISION.fullmatch(path)
        }
        if any(unsealed(content) is None for content in files.values()):
            return
        self._known[name] = KnownTrial(
            fingerprint=_fingerprint(versions),
            folds=tuple(committed_folds(versions)),
            size=total_bytes(versions),
            files=files,
        )
        self._small.pop(name, None)
        self._segments.add(name, self._known[name])

    def forget(self, name: str) -> None:
        """See `Ledger.forget`."""
        self._outdate(name)
        self._small.pop(name, None)

    def save(self) -> None:
        """See `Ledger.save`."""
        self._segments.write()
        self._listed.clear()  # workers outdate it

    def size(self, name: str) -> int:
        """See `Ledger.size`."""
        return self._known[name].size if name in self._known else super().size(name)

    def trial(self, name: str) -> TrialRecord | None:
        """See `Ledger.trial`."""
        if name not in self._known:
            return super().trial(name)
        if name not in self._records:
            self._records[name] = super().trial(name)
        return self._records[name]

    def trials(self) -> list[TrialRecord]:
        """See `Ledger.trials`; what is known is not worth a thread."""
        names = self.names()
        unknown = [name for name in names if name not in self._known]
        with ThreadPoolExecutor() as readers:
            read = dict(zip(unknown, readers.map(self.trial, unknown), strict=True))
        records = (read[name] if name in read else self.trial(name) for name in names)
        return [record for record in records if record is not None]

    def has_all_folds(self, record: TrialRecord) -> bool:
        """See `Ledger.has_all_folds`."""
        if record.name not in self._known:
            return super().has_all_folds(record)
        return set(self._known[record.name].folds) >= {each.fold for each in record.folds}

    def decision_names(self, trial: str) -> list[str]:
        """See `Ledger.decision_names`."""
        if trial in self._known:
            return sorted(filter(DECISION.fullmatch, self._known[trial].files))
        return super().decision_names(trial)

    def folds(self, trial: str) -> list[FoldAddress]:
        """See `Ledger.folds`."""
        return self.committed(trial) if trial in self._known else super().folds(trial)

    def committed(self, trial: str) -> list[FoldAddress]:
        """See `Ledger.committed`."""
        if trial in self._known:
            return [FoldAddress(trial, fold) for fold in self._known[trial].folds]
        return super().committed(trial)

    def _unsealed(self, path: str, raw: bytes) -> dict[str, Any]:
        name, _, file = path.partition("/")
        if name in self._known and file in self._known[name].files:
            content = unsealed(raw, is_checked=True)
            if content is not None:
                return content
        return super()._unsealed(path, raw)

    def _read_small(self, path: str) -> bytes:
        name, _, file = path.partition("/")
        if name in self._known:
            if file not in self._known[name].files:
                raise FileNotFoundError(path)
            return self._known[name].files[file]
        written = self._small.get(name, {}).get(file)
        return super()._read_small(path) if written is None else written

    def _write_small(self, path: str, content: bytes) -> None:
        name, _, file = path.partition("/")
        super()._write_small(path, content)
        self._outdate(name)
        self._small.setdefault(name, {})[file] = content

    def _outdate(self, name: str) -> None:
        for kept in (self._known, self._records, self._listed):
            kept.pop(name, None)


class _Segments:
    """The files of an index, each of some hundred trials, of which the last one grows.

    Attributes:
        trials: what they hold, by the trial's name; where two do, that of the later one.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        names = [name for name in folder.names() if name.endswith(SUFFIX)]
        with ThreadPoolExecutor(LISTINGS) as readers:
            read = list(readers.map(lambda name: _parse(folder.read(name)), names))
        self._damaged = [name for name, trials in zip(names, read, strict=True) if trials is None]
        self.trials: dict[str, KnownTrial] = {}
        self._last: dict[str, KnownTrial] = {}
        for trials in filter(None, read):
            self.trials |= trials
            self._last = trials
        self._number = max((int(name.removesuffix(SUFFIX)) for name in names), default=0)
        if not self._last or self._damaged:
            self._number, self._last = self._number + 1, {}
        self._unsaved = 0
        self._changing = threading.RLock()

    def add(self, name: str, trial: KnownTrial) -> None:
        """Add a trial; several threads may."""
        with self._changing:
            if len(self._last) >= SEGMENT_TRIALS:
                self.write()
                self._number, self._last = self._number + 1, {}
            self._last[name] = trial
            self._unsaved += 1
            if self._unsaved >= UNSAVED_TRIALS:
                self.write()

    def write(self) -> None:
        """Write the last file, and delete those that are damaged."""
        if self._unsaved:
            self._folder.write(f"{self._number:06d}{SUFFIX}", _file(self._last))
        for name in self._damaged:
            self._folder.remove(name)
        self._unsaved, self._damaged = 0, []


def _file(trials: Mapping[str, KnownTrial]) -> bytes:
    """Return a segment: a digest, and a table with a row for each small file."""
    rows = [
        {
            "trial": name,
            "fingerprint": trial.fingerprint,
            "folds": list(trial.folds),
            "size": trial.size,
            "file": file,
            "content": content,
        }
        for name, trial in trials.items()
        for file, content in trial.files.items()
    ]
    return with_digest(to_parquet(pa.Table.from_pylist(rows)))


def _parse(raw: bytes) -> dict[str, KnownTrial] | None:
    """Return what a segment holds; None if it is damaged, or was written in another form."""
    content = without_digest(raw)
    if content is None:
        return None
    try:
        rows = pq.read_table(pa.BufferReader(content), use_threads=False).to_pylist()
        return {
            name: _known(list(files))
            for name, files in groupby(rows, lambda row: str(row["trial"]))
        }
    except (pa.ArrowException, KeyError):
        return None


def _known(rows: Sequence[Mapping[str, Any]]) -> KnownTrial:
    return KnownTrial(
        fingerprint=rows[0]["fingerprint"],
        folds=tuple(rows[0]["folds"]),
        size=rows[0]["size"],
        files={row["file"]: row["content"] for row in rows},
    )


def _listing(folder: Folder) -> dict[str, Versions]:
    """Return versions of the files of every trial, by its name and their paths below it."""
    names = [name for name in folder.names() if order_of(name) is not None]
    length = max(1, -(-len(names) // LISTINGS))
    parts = [names[at : at + length] for at in range(0, len(names), length)]

    def listed(part: Sequence[str], before: str) -> Versions:
        return folder.versions("", before, part[-1] + AFTER_SLASH) or {}

    before = ["", *(part[-1] + AFTER_SLASH for part in parts[:-1])]
    trials: dict[str, Versions] = {}
    with ThreadPoolExecutor(LISTINGS) as readers:
        for versions in readers.map(listed, parts, before):
            for name, files in groupby(versions.items(), lambda item: item[0].partition("/")[0]):
                if order_of(name) is not None:
                    trials[name] = {path.partition("/")[2]: version for path, version in files}
    return trials


def _fingerprint(versions: Versions) -> str:
    return canonical_hash(sorted(versions.items()))
