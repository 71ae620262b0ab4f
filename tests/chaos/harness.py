"""Kills processes of a study while it works, continues it, and checks what is left.

Kinds are killed in turn, each at a moment that a seed decides, while folds are in
training: a little after a validation was reported. A run that ends with 1 is
continued by the same command. At the end the ledger must hold every trial once, and the
table must be, byte for byte, that of a study that nobody disturbed.
"""

import json
import random
import re
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from study.ledger.checkpoint import NAME
from study.ledger.ledger import Ledger
from study.search.trial import FoldAddress
from study.storage.folder import LocalFolder
from tests.gate import Gate
from tests.serial_study import run_serially
from tests.study_run import Run, seconds_until

KINDS = ("worker", "hang", "trial", "coordinator", "driver", "raylet", "head")
ENDS_THE_DRIVER = ("driver", "raylet", "head")
REPORTED = re.compile(r"^(trial-\d+): epoch (\d+) of", re.MULTILINE)
LINES = {
    "trial": r"^trial-\d+: its processes died \([^()\n]{9,99}\); others go on",
    "hang": r"^trial-\d+: fold \d on [\d.]+ hangs, it said nothing for \d\.\d minutes; it is",
    "coordinator": r"^the coordinator died and was started again; the folds train on",
}
"""What the terminal shows of some kinds."""
FOLDS = 2
UNDISTURBED, DISTURBED = "undisturbed", "disturbed"
WORKERS_LEAVE_SECONDS = 10.0
ALL_LEAVE_SECONDS = 90.0
STUDY = """
name: chaos
dataset: {name: synthetic, length: 32, patients: 4, beats_per_patient: 60, abnormal_fraction: 0.3}
split: {folds: FOLDS}
model: {name: beta_vaegan, latent_size: 3, width: 4}
training: {epochs: EPOCHS, batch_size: 32, discriminator_updates: 1, validation_interval: 1}
scores: {gamma_steps: 5, lambda_steps: 10}
search:
  trials: TRIALS
  startup_trials: 2
  metric: {composition: reconstruction, score: auroc}
  space:
    model.beta: {loguniform: [1.0e-6, 1.0]}
    training.optimizer.learning_rate: {loguniform: [1.0e-5, 1.0e-2]}
resources: {silence_minutes: 0.5, checkpoint_minutes: 0}
seed: 4
"""


@dataclass(frozen=True)
class Kill:
    """One kill -9, or one stopped process, and what came of it.

    Attributes:
        kind: what was killed.
        trial: the trial that was in training.
        epoch: the last epoch that all of its folds had reported.
        seconds: from the kill until an epoch was reported that had not been, in the same
            run or in the one that continued it.
        redone: epochs that had been reported and are not in a checkpoint of every fold.
        exit_code: the driver's, if the kill ended it.
        end_seconds: from the kill to the driver's end.
        left_seconds: from then until no process of the run was left.
    """

    kind: str
    trial: str
    epoch: int
    seconds: float
    redone: int
    exit_code: int | None = None
    end_seconds: float = 0.0
    left_seconds: float = 0.0


@dataclass
class Chaos:
    """One study and the kills that it lived through.

    With a gate, processes wait in training until they are killed: every kill finds them there.
    """

    folder: Path
    trials: int
    epochs: int
    seed: int
    gate: Gate | None = None
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.study = self.folder / "chaos.yaml"
        text = STUDY.replace("TRIALS", str(self.trials)).replace("EPOCHS", str(self.epochs))
        text = text.replace("FOLDS", str(FOLDS))
        self.study.write_text(text)
        self._run: Run | None = None
        self._runs: list[tuple[Run, set[str]]] = []
        """Runs that were disturbed, and the trials that had ended before each."""

    def start(self, output: str) -> Run:
        """Start the study, or continue it."""
        arguments = [str(self.study), "--output", str(self.folder / output)]
        if output != DISTURBED:
            return Run(self.folder, *arguments)
        ledger = Ledger(LocalFolder(self.folder / DISTURBED / "chaos" / "ledger"))
        ended = {record.name for record in ledger.trials()}
        run = Run(self.folder, *arguments, **(self.gate.environment if self.gate else {}))
        self._runs.append((run, ended))
        return run

    def alone(self) -> None:
        """Do the same without a cluster, in this process."""
        run_serially(self.study, self.folder / UNDISTURBED)

    def undisturbed(self) -> None:
        """Run the study in a folder of its own, with nobody in the way."""
        run = self.start(UNDISTURBED)
        try:
            if run.wait() != 0:
                self.problems.append(f"undisturbed: {run.printed()}")
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
            tables.add((output / "chaos" / "scores.parquet").read_bytes())
        if len(tables) != 1:
            self.problems.append(f"{runs} runs of one seed made {len(tables)} tables")

    def disturbed(self, kinds: list[str]) -> None:
        """Run the study, killing one process of each of `kinds` on the way."""
        self._run = self.start(DISTURBED)
        try:
            for kind in kinds:
                if not self._disturb(kind):
                    break
            if self.gate:
                self.gate.open()
            self._finish()
        finally:
            self._run.stop()

    def _disturb(self, kind: str) -> bool:
        """Kill one process in training; tell whether the study is still to be finished."""
        assert self._run is not None
        # At a gate nothing more is reported: what the last kill waited for is enough.
        before = 0 if self.gate else len(self._reported())
        if not self._run.wait_until(lambda: self._is_training(before)):
            return self._go_on()
        time.sleep(self.chance.random() * 0.5)
        reports = self._reported()
        disturbed = self._run
        killed_at = time.monotonic()
        if self._run.kill_one(kind, self.chance) is None:
            return self._go_on()
        exit_code, end_seconds, left_seconds = None, 0.0, 0.0
        if kind in ENDS_THE_DRIVER:
            exit_code = self._run.wait()
            end_seconds = time.monotonic() - killed_at
            left_seconds = self._check_end(kind, exit_code)
            self._run = self.start(DISTURBED)
        trial, epoch = reports[-1]
        redone = max(0, epoch - self._kept(trial))
        since = 0 if kind in ENDS_THE_DRIVER else len(reports)

        def goes_on() -> bool:
            return any(t != trial or e > epoch for t, e in self._reported()[since:])

        if not self._run.wait_until(goes_on) and self._run.driver.poll() is None:
            self.problems.append(f"{kind}: the study does not go on: {self._run.printed()[-2000:]}")
            return False
        if not re.search(LINES.get(kind, ""), disturbed.printed(), re.MULTILINE):
            self.problems.append(f"{kind}: no line on it: {disturbed.printed()[-2000:]}")
        kill = Kill(
            kind,
            trial,
            epoch,
            time.monotonic() - killed_at,
            redone,
            exit_code,
            end_seconds,
            left_seconds,
        )
        self.kills.append(kill)
        print(json.dumps(vars(kill)), flush=True)  # noqa: T201
        return self._go_on()

    def _kept(self, trial: str) -> int:
        """Return the epoch that no fold of a trial falls behind, whatever is killed."""
        results = LocalFolder(self.folder / DISTURBED / "chaos")
        folds = {FoldAddress(trial, fold) for fold in range(FOLDS)}
        reached = []
        for address in folds - set(Ledger(results.folder("ledger")).committed(trial)):
            names = results.names(f"checkpoints/{address.path}")
            matches = [match for match in map(NAME.fullmatch, names) if match]
            reached.append(max((int(match[1]) for match in matches), default=0))
        return min(reached, default=self.epochs)

    def _is_training(self, reports_before: int) -> bool:
        return len(self._reported()) > reports_before and bool(
            self._run and self._run.find("worker")
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
        while run.driver.poll() == 1 and len(self.problems) < 5:
            run.stop()
            self._run = run = self.start(DISTURBED)
            run.wait_until(lambda: False)
        if run.driver.poll() != 0:
            self.problems.append(f"never finished: {run.printed()[-2000:]}")
        left = seconds_until(lambda: not run.others(), ALL_LEAVE_SECONDS)
        if left >= ALL_LEAVE_SECONDS:
            self.problems.append(f"processes are left: {run.others()}")

    def check_results(self) -> None:
        """Check that nothing is lost, twice, damaged or left over, and the table the same."""
        one, other = (self.folder / name / "chaos" for name in (UNDISTURBED, DISTURBED))
        ledgers = [Ledger(LocalFolder(results / "ledger")) for results in (one, other)]
        numbers = [[record.trial.number for record in ledger.trials()] for ledger in ledgers]
        if numbers != [list(range(self.trials))] * 2:
            self.problems.append(f"trials ended: {numbers}")
        for record in ledgers[1].trials():
            for address in ledgers[1].committed(record.name):
                manifest = ledgers[1].fold(address)
                assert manifest is not None
                ledgers[1].verify(manifest)
        if (one / "scores.parquet").read_bytes() != (other / "scores.parquet").read_bytes():
            self.problems.append("scores.parquet has other bytes than the undisturbed run's")
        for run, ended in self._runs:
            again = ended & {name for name, _ in REPORTED.findall(run.printed())}
            if again:
                self.problems.append(f"trials that had ended ran again: {sorted(again)}")
        left = [name for name in ("tune", "checkpoints", "damaged") if (other / name).exists()]
        if left:
            self.problems.append(f"left behind: {left}")
        self.problems += [
            f"{kill.kind} at {kill.trial} epoch {kill.epoch}: {kill.redone} epochs lost"
            for kill in self.kills
            if kill.redone > 1
        ]

    def summary(self) -> str:
        """Return a Markdown table: kills by kind, and how long the study took to go on."""
        lines = [
            "| killed | times | median s | worst s | driver ended within s |",
            "|" + " --- |" * 5,
        ]
        for kind, count in Counter(kill.kind for kill in self.kills).items():
            kills = [kill for kill in self.kills if kill.kind == kind]
            seconds = [kill.seconds for kill in kills]
            ends = max(kill.end_seconds for kill in kills) if kind in ENDS_THE_DRIVER else None
            lines.append(
                f"| {kind} | {count} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |"
                f" {'' if ends is None else f'{ends:.1f}'} |"
            )
        return "\n".join(lines)
