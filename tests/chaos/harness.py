"""Kills processes of a study while it works, continues it, and checks what is left.

Kinds are killed in turn, each at a moment that a seed decides, while folds are in
training: a little after a validation was reported. A run that ends with 1 is
continued by the same command. At the end the ledger must hold every trial once, and the
table must be, byte for byte, that of a study that nobody disturbed: with one trial at a time
of the same study, with more of one that replays what was decided here.
"""

import json
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from study.ledger.checkpoint import NAME as CHECKPOINT
from study.ledger.ledger import Ledger
from study.search.trial import FoldAddress
from study.storage.folder import LocalFolder
from tests.chaos.form import FOLDS, Form
from tests.chaos.kills import ENDS_THE_DRIVER, LINES, SPARES_WORKERS, Kill, lines_on
from tests.gate import Gate
from tests.study_run import Run, seconds_until

REPORTED = re.compile(r"^(trial-\d+): epoch (\d+) of", re.MULTILINE)
UNDISTURBED, DISTURBED, REPLAYED = "undisturbed", "disturbed", "replayed"
WORKERS_LEAVE_SECONDS = 10.0
ALL_LEAVE_SECONDS = 90.0
LINE_SECONDS = 300.0
"""A fold that hangs in its first epoch is given three minutes."""
MOST_PROBLEMS = 5
"""With so many a study is not continued any more."""


@dataclass
class Chaos:
    """One study and the kills that it lived through.

    With a gate processes train at its pace, or wait in training until they are killed: every kill
    finds them there.
    """

    folder: Path
    form: Form
    seed: int
    gate: Gate | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.study = self.folder / "chaos.yaml"
        self.form.write(self.study)
        self.results = self.folder / DISTURBED / self.form.name
        self._results = LocalFolder(self.results)
        self._ledger = Ledger(self._results.folder("ledger"))
        self._run: Run | None = None
        self._runs: list[tuple[Run, set[str]]] = []
        """Runs that were disturbed, and the trials that had ended before each."""

    def start(self, output: str, *options: str) -> Run:
        """Start the study, or continue it."""
        arguments = [str(self.study), "--output", str(self.folder / output), *options]
        if output != DISTURBED:
            return Run(self.folder, *arguments, **self.environment)
        ended = {record.name for record in self._ledger.trials()}
        gated = self.gate.environment if self.gate else {}
        run = Run(self.folder, *arguments, **self.environment, **gated)
        self._runs.append((run, ended))
        return run

    def undisturbed(self) -> None:
        """Run the study in a folder of its own, with nobody in the way."""
        self._run_to_the_end(UNDISTURBED)

    def replayed(self) -> None:
        """Run it in a folder of its own, with what was decided in the one that was disturbed."""
        self._run_to_the_end(REPLAYED, "--replay", self._results.locate())

    def _run_to_the_end(self, output: str, *options: str) -> None:
        run = self.start(output, *options)
        try:
            if run.wait() != 0:
                self.problems.append(f"{output}: {run.printed()[-2000:]}")
        finally:
            run.stop()

    def repeated(self, runs: int) -> None:
        """Run the study in other folders and orders of hashing, one trial at a time."""
        tables = set()
        for number in range(runs):
            output = self.folder / f"repeated {number}"
            arguments = [str(self.study), "--output", str(output)]
            for override in ("resources.max_concurrent_trials=1", "resources.per_fold.cpu=0.5"):
                arguments += ["--set", override]
            cache = str(self.folder / f"cache {number % 3}")
            run = Run(self.folder, *arguments, STUDY_CACHE_DIR=cache, PYTHONHASHSEED=str(number))
            try:
                if run.wait() != 0:
                    self.problems.append(f"{output}: {run.printed()}")
                    continue
            finally:
                run.stop()
            tables.add((output / self.form.name / "scores.parquet").read_bytes())
        if len(tables) != 1:
            self.problems.append(f"{runs} runs of one seed made {len(tables)} tables")

    def disturbed(self, kinds: list[str]) -> None:
        """Run the study, killing one process of each of `kinds` on the way."""
        self._run = self.start(DISTURBED)
        try:
            for kind in kinds:
                if not self._disturb(kind) or len(self.problems) >= MOST_PROBLEMS:
                    break
            if self.gate:
                self.gate.open()
            self._finish()
        finally:
            self._run.stop()

    def _disturb(self, kind: str) -> bool:
        """Kill one process in training; tell whether the study is still to be finished."""
        assert self._run is not None
        # Where they wait nothing more is reported: what the last kill waited for is enough.
        before = 0 if self.gate and not self.gate.pace_seconds else len(self._reported())
        victim = None
        while victim is None:  # from one trial to the next there may be none of its kind
            if not self._run.wait_until(lambda: self._is_training(before)):
                return self._go_on()
            time.sleep(self.chance.random() * 0.5)
            trials, reports = self._in_training(), self._reported()
            disturbed, lines = self._run, lines_on(kind, self._run.printed())
            killed_at = time.monotonic()
            victim = self._run.kill_one(kind, self._victims(kind, trials), self.chance)
        if self.gate and kind in SPARES_WORKERS:
            self.gate.allow(self.gate.epochs + 1)
        exit_code, end_seconds, left_seconds, since = None, 0.0, 0.0, len(reports)
        if kind in ENDS_THE_DRIVER:
            exit_code = self._run.wait()
            end_seconds, since = time.monotonic() - killed_at, 0
            left_seconds = self._check_end(kind, exit_code)
        redone = max((epoch - self._kept(trial) for trial, epoch in trials.items()), default=0)
        if kind in ENDS_THE_DRIVER:
            self._run = self.start(DISTURBED)

        def goes_on() -> bool:
            latest = dict(self._reported())
            return len(self._reported()) > since and all(
                latest.get(trial, 0) > epoch or self._has_ended(trial)
                for trial, epoch in trials.items()
            )

        if not self._run.wait_until(goes_on) and self._run.driver.poll() is None:
            self.problems.append(f"{kind}: the study does not go on: {self._run.printed()[-2000:]}")
            return False
        seconds = time.monotonic() - killed_at
        if kind in LINES and not disturbed.wait_until(
            lambda: lines_on(kind, disturbed.printed()) > lines, LINE_SECONDS
        ):
            self.problems.append(f"{kind}: no line on it: {disturbed.printed()[-2000:]}")
        kill = Kill(kind, trials, seconds, max(0, redone), exit_code, end_seconds, left_seconds)
        self.kills.append(kill)
        print(json.dumps(vars(kill)), flush=True)  # noqa: T201
        return self._go_on()

    def _victims(self, kind: str, trials: Mapping[str, int]) -> list[int]:
        """Return the processes of a kind: of fold workers those that train one of `trials`."""
        assert self._run is not None
        if kind in ("worker", "hang"):
            folds = self._run.folds_in_training()
            training = [pid for pid, fold in folds.items() if fold.partition(".")[0] in trials]
            return sorted(training or folds)
        return self._run.find(kind)

    def _in_training(self) -> dict[str, int]:
        """Return the trials that have not ended, with the last epoch that this run reported."""
        return {trial: epoch for trial, epoch in self._reported() if not self._has_ended(trial)}

    def _has_ended(self, trial: str) -> bool:
        return self._ledger.trial(trial) is not None

    def _kept(self, trial: str) -> int:
        """Return the epoch that no fold of a trial falls behind, whatever is killed."""
        folds = {FoldAddress(trial, fold) for fold in range(FOLDS)}
        reached = []
        for address in folds - set(self._ledger.committed(trial)):
            names = self._results.names(f"checkpoints/{address.path}")
            matches = [match for match in map(CHECKPOINT.fullmatch, names) if match]
            reached.append(max((int(match[1]) for match in matches), default=0))
        # One that has ended in the meantime has no checkpoints any more.
        return self.form.epochs if self._has_ended(trial) or not reached else min(reached)

    def _is_training(self, reports_before: int) -> bool:
        return len(self._reported()) > reports_before and bool(
            self._run and self._run.folds_in_training()
        )

    def _reported(self) -> list[tuple[str, int]]:
        assert self._run is not None
        return [(trial, int(epoch)) for trial, epoch in REPORTED.findall(self._run.printed())]

    def _check_end(self, kind: str, exit_code: int) -> float:
        """Check how a driver ended that lost its cluster or its life."""
        run = self._run
        assert run is not None
        printed = run.printed()
        if kind != "driver":
            last = printed.splitlines()[-1]
            if exit_code != 1 or "continue with: python -m study.run" not in last:
                self.problems.append(f"{kind}: exit {exit_code}, printed {last!r}")
            if "Traceback" in printed:
                self.problems.append(f"{kind}: a traceback: {printed}")
        gone = seconds_until(lambda: not run.find("worker"), WORKERS_LEAVE_SECONDS + 1)
        if gone > WORKERS_LEAVE_SECONDS:
            self.problems.append(f"{kind}: fold workers are still there after {gone:.0f} s")
        return gone

    def _go_on(self) -> bool:
        """Continue a study whose driver has ended; tell whether there is more to do."""
        run = self._run
        assert run is not None
        exit_code = run.driver.poll()
        if exit_code == 1:
            self._run = self.start(DISTURBED)
        elif exit_code not in (None, 0):
            self.problems.append(f"exit {exit_code}: {run.printed()[-2000:]}")
        return exit_code in (None, 1)

    def _finish(self) -> None:
        run = self._run
        assert run is not None
        run.wait_until(lambda: False)
        while run.driver.poll() == 1 and len(self.problems) < MOST_PROBLEMS:
            run.stop()
            self._run = run = self.start(DISTURBED)
            run.wait_until(lambda: False)
        if run.driver.poll() != 0:
            self.problems.append(f"never finished: {run.printed()[-2000:]}")
        left = seconds_until(lambda: not run.others(), ALL_LEAVE_SECONDS)
        if left >= ALL_LEAVE_SECONDS:
            self.problems.append(f"processes are left: {run.others()}")

    def check_results(self, reference: str = UNDISTURBED) -> None:
        """Check what is left, and that all is as in a study that nobody disturbed.

        Args:
            reference: the folder of the study that is compared with.
        """
        self.check_ledger()
        one, other = (self.folder / name / self.form.name for name in (reference, DISTURBED))
        ledgers = [Ledger(LocalFolder(one / "ledger")), self._ledger]
        ends = [
            {record.trial.number: (record.state, record.values) for record in ledger.trials()}
            for ledger in ledgers
        ]
        if list(ends[1]) != list(range(self.form.trials)):
            self.problems.append(f"trials ended: {list(ends[1])}")
        if ends[0] != ends[1]:
            other_ends = [n for n in range(self.form.trials) if ends[0].get(n) != ends[1].get(n)]
            self.problems.append(f"trials end otherwise than {reference}: {other_ends}")
        if (one / "scores.parquet").read_bytes() != (other / "scores.parquet").read_bytes():
            self.problems.append(f"scores.parquet has other bytes than {reference}")

    def check_ledger(self) -> None:
        """Check that nothing is lost, trained twice, damaged or left over."""
        for record in self._ledger.trials():
            for address in self._ledger.committed(record.name):
                manifest = self._ledger.fold(address)
                assert manifest is not None
                self._ledger.verify(manifest)
        for run, ended in self._runs:
            again = ended & {name for name, _ in REPORTED.findall(run.printed())}
            if again:
                self.problems.append(f"trials that had ended ran again: {sorted(again)}")
        left = [name for name in ("tune", "checkpoints", "damaged") if self._results.exists(name)]
        if left:
            self.problems.append(f"left behind: {left}")
        self.problems += [
            f"{kill.kind} at {kill.trials}: {kill.redone} epochs lost"
            for kill in self.kills
            if kill.redone > 1
        ]
