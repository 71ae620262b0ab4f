"""A ledger that others write to, read again and again: each time only what is new."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from study.config.schema import Study
from study.ledger.ledger import DECISION, PROPOSAL, TRIAL, DamagedError, Ledger
from study.ledger.study_folder import STUDY, read_study
from study.search.sources import SystemList
from study.search.trial import RungDecision, Trial, TrialRecord, order_of
from study.storage.folder import Folder, LocalFolder
from study.storage.hashes import canonical_hash, sha256


@dataclass(frozen=True)
class RunningTrial:
    """A trial that has not ended.

    Attributes:
        trial: the trial.
        decisions: of the rungs that it has come to, in order.
        committed: how many of its folds are committed.
    """

    trial: Trial
    decisions: tuple[RungDecision, ...]
    committed: int


@dataclass(frozen=True)
class LedgerState:
    """What a ledger holds at one time; repetitions are left out.

    Attributes:
        study: the study.
        version: another one as soon as there is something new.
        ended: how trials ended, by number.
        running: trials that have begun and not ended, by number.
        decisions: all decisions at rungs, in the order in which they were made.
        damaged: what is not what was written, a line for each file.
    """

    study: Study
    version: str
    ended: tuple[TrialRecord, ...]
    running: tuple[RunningTrial, ...]
    decisions: tuple[RungDecision, ...]
    damaged: tuple[str, ...]


@dataclass
class _Known:
    """What was read of a trial, and the files that it had then."""

    files: tuple[str, ...]
    record: TrialRecord | None = None
    running: RunningTrial | None = None
    decisions: tuple[RungDecision, ...] = ()
    damage: str = ""


@dataclass
class LedgerView:
    """Reads a study's ledger, and writes nothing.

    Attributes:
        results: the study's results folder.
    """

    results: Folder
    _ledger: Ledger = field(init=False)
    _known: dict[str, _Known] = field(init=False, default_factory=dict)
    _study: tuple[str, Study] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._ledger = Ledger.of(self.results)

    @property
    def is_in_store(self) -> bool:
        """Whether the ledger is in an object store, where every look at it costs requests."""
        return not isinstance(self.results, LocalFolder)

    def read(self) -> LedgerState:
        """Return what the ledger holds now.

        Raises:
            RequestError: the folder holds no study.
        """
        study, files = self._read_study(), self._files()
        names = sorted(files, key=lambda name: order_of(name) or (0, 0))
        self._known = {name: self._trial(name, files[name]) for name in names}
        known = self._known.values()
        decisions = [decision for each in known for decision in each.decisions]
        assert self._study is not None
        return LedgerState(
            study=study,
            version=canonical_hash([self._study[0], {n: list(f) for n, f in files.items()}])[:16],
            ended=tuple(each.record for each in known if each.record),
            running=tuple(each.running for each in known if each.running),
            decisions=tuple(sorted(decisions, key=lambda decision: decision.order)),
            damaged=tuple(each.damage for each in known if each.damage),
        )

    def _read_study(self) -> Study:
        """Return the study; one that was started anew has a ledger of which nothing is known."""
        try:
            digest = sha256(self.results.read(STUDY))
        except FileNotFoundError:
            digest = ""
        if self._study is None or self._study[0] != digest:
            self._study, self._known = (digest, read_study(self.results)), {}
        return self._study[1]

    def _files(self) -> Mapping[str, tuple[str, ...]]:
        """Return the files of each trial that tell what is new of it, by its name."""
        folder = self._ledger.folder
        versions = folder.versions()
        if versions is None:
            names = {name: tuple(folder.names(name)) for name in self._ledger.names()}
            return {name: self._with_commits(name, f) for name, f in names.items() if _is_own(name)}
        files: dict[str, list[str]] = {}
        for path, version in versions.items():
            name, _, rest = path.partition("/")
            if _is_own(name):
                files.setdefault(name, []).append(f"{rest}@{version}")
        return {name: tuple(sorted(each)) for name, each in files.items()}

    def _with_commits(self, name: str, files: tuple[str, ...]) -> tuple[str, ...]:
        if TRIAL in files:
            return files
        return (*files, *(f"fold-{each.fold} committed" for each in self._ledger.committed(name)))

    def _trial(self, name: str, files: tuple[str, ...]) -> _Known:
        known = self._known.get(name)
        if known is not None and known.files == files:
            return known
        try:
            return self._read_trial(name, files)
        except DamagedError as error:
            return _Known(files, damage=str(error))

    def _read_trial(self, name: str, files: tuple[str, ...]) -> _Known:
        names = [file.partition("@")[0] for file in files]
        decisions = tuple(
            self._ledger.decision(name, file) for file in sorted(filter(DECISION.fullmatch, names))
        )
        record = self._ledger.trial(name) if TRIAL in names else None
        if record is not None:
            return _Known(files, record, decisions=decisions)
        trial = self._begun(name, has_proposal=PROPOSAL in names)
        if trial is None:
            return _Known(files, decisions=decisions)
        committed = len(self._ledger.committed(name))
        return _Known(files, None, RunningTrial(trial, decisions, committed), decisions)

    def _begun(self, name: str, *, has_proposal: bool) -> Trial | None:
        """Return a trial that has begun: as it was proposed, or as the study names it."""
        if has_proposal:
            proposal = self._ledger.proposal(name)
            return proposal.trial if proposal else None
        assert self._study is not None
        study = self._study[1]
        if not study.systems:
            return None
        source = SystemList(study)
        trials = [source.next_trial({}, frozenset()) for _ in range(source.size)]
        return next((t for t in trials if isinstance(t, Trial) and t.name == name), None)


def _is_own(name: str) -> bool:
    """Return whether it is the name of a trial that repeats no other."""
    order = order_of(name)
    return order is not None and not order[0]
