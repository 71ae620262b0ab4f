"""What is done on a cluster that `ray up` started, and what must come of it."""

import contextlib
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import pandas as pd

from tests.cluster.ray_up.cluster_file import write_cluster_file
from tests.cluster.ray_up.machines import (
    ILLNESS,
    KEY,
    PROJECT,
    SHARED,
    TOKEN,
    Lab,
    Machine,
)
from tests.cluster.ray_up.strangers import openings
from tests.cluster.ray_up.studies import FOLDS, write_study

PATIENCE_SECONDS = 900.0
EPOCHS = 6
SICK_TRIALS, SICK_FOLDS = 4, 2
"""The folds of a trial fit on the worker that is well."""
LEFT_ALONE = "it is left alone for the rest of this run"
WAITED = "waiting up to"
MOUNTS = Path("/proc/self/mounts")
LINKS = ("lo ", "eth0", "switch", "port")
NODES = """
import json, sys, urllib.request
request = urllib.request.Request("http://127.0.0.1:8265/nodes?view=summary")
request.add_header("Authorization", "Bearer " + open(sys.argv[1]).read().strip())
nodes = json.load(urllib.request.urlopen(request, timeout=10))["data"]["summary"]
print(json.dumps([node["raylet"]["state"] for node in nodes]))
"""


class StepFailedError(Exception):
    """A step without which the rest makes no sense."""


class Exercise:
    """Steps in turn, each logged with the second at which it ended and how long it took."""

    def __init__(self, lab: Lab, log: TextIO) -> None:
        self.problems: list[str] = []
        self._lab = lab
        self._log = log
        self._began = time.monotonic()
        self._cluster = ""

    def run(self) -> None:
        """Do everything; whatever happens, the machines are gone afterwards."""
        before = _links()
        try:
            with self._lab:
                self._note(f"machines: {', '.join(node.name for node in self._lab.nodes)}")
                for step in (
                    self._isolation,
                    self._alone,
                    self._up,
                    self._study,
                    self._strangers,
                    self._removed,
                    self._sick,
                    self._second,
                    self._down,
                ):
                    began = time.monotonic()
                    outcome = step()
                    self._note(f"{outcome} ({time.monotonic() - began:.1f} s)")
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            self._note(f"FAILED: {self.problems[-1]}")
        left = [machine.name for machine in self._machines() if machine.processes()]
        left += sorted(_links() - before)
        left += [line for line in MOUNTS.read_text().splitlines() if str(self._lab.folder) in line]
        if left:
            self.problems.append(f"left behind: {left}")
        self._note(f"processes, links and mounts left behind: {len(left)}")

    def _note(self, text: str) -> None:
        line = f"{time.monotonic() - self._began:6.1f} s  {text}"
        print(line, file=self._log, flush=True)
        print(line, flush=True)  # noqa: T201

    def _machines(self) -> tuple[Machine, ...]:
        return (self._lab.operator, *self._lab.nodes)

    def _isolation(self) -> str:
        """`ray stop` ends every Ray process that it sees: machines must see their own only."""
        for machine in self._machines():
            seen = machine.run("bash", "-c", "echo /proc/[0-9]*; ip -brief link").stdout
            processes, *links = seen.splitlines()
            strangers = [link for link in links if not link.startswith(LINKS)]
            # The first process, and the shell that looks.
            if len(processes.split()) > 3 or "/proc/1 " not in f"{processes} " or strangers:
                raise StepFailedError(f"{machine.name} is not alone: {seen}")
        return "machines see their own processes and links only"

    def _alone(self) -> str:
        """The table that a cluster must make, byte for byte."""
        write_study(self._lab.shared, "lab", EPOCHS)
        self._run_alone("lab")
        return f"the study on one node: {', '.join(self._hosts('alone'))}"

    def _run_alone(self, name: str) -> None:
        done = self._lab.operator.run(
            *("python", "-m", "study.run", f"{SHARED}/{name}.yaml", "--output", f"{SHARED}/alone"),
            PYTHONPATH=str(PROJECT),
        )
        self._expect(done, f"{name} on one node")

    def _up(self) -> str:
        operator = self._lab.operator
        self._expect(operator.run("ray", "get-auth-token", "--generate"), "ray get-auth-token")
        self._cluster = write_cluster_file(self._lab)
        # With the second version of Ray's autoscaler this provider starts no workers.
        up = operator.run("ray", "up", "-y", self._cluster, RAY_UP_enable_autoscaler_v2="0")
        self._expect(up, "ray up")
        return f"ray up: {self._alive()} of {len(self._lab.nodes)} nodes answer"

    def _alive(self) -> int:
        """Return how many nodes the head holds for alive; 0 if it does not say."""
        answer = self._lab.nodes[0].run("python", "-c", NODES, TOKEN).stdout
        with contextlib.suppress(json.JSONDecodeError):
            return int(json.loads(answer).count("ALIVE"))
        return 0

    def _wait_for_nodes(self) -> None:
        _wait(lambda: self._alive() == len(self._lab.nodes), self._monitor)

    def _monitor(self) -> str:
        """Return the end of what the head's autoscaler wrote."""
        logs = "tail -n 40 /tmp/ray/session_latest/logs/monitor.*"
        return self._lab.nodes[0].run("bash", "-c", logs).stdout

    def _study(self) -> str:
        done = self._submit("lab", "results")
        self._expect(done, "the study on the cluster")
        if WAITED in done.stdout:
            self._note("it waited for workers to join")
        if len(set(self._hosts("results"))) < 2:
            self.problems.append(f"the trial was on one node: {self._hosts('results')}")
        return f"the study on the cluster, folds on {self._compare('results')}"

    def _strangers(self) -> str:
        found = openings(self._lab, self._note)
        self.problems += found
        return f"strangers: {len(found)} openings"

    def _removed(self) -> str:
        """A worker loses its power in mid-trial, and comes back with its disk."""
        # What the dashboard says may be old: ask until it knows of all nodes.
        self._wait_for_nodes()
        worker = self._lab.nodes[-1]
        results = self._lab.shared / "removed" / "lab"
        with (self._lab.folder / "removed.log").open("w+") as output:
            driver = subprocess.Popen(
                self._lab.operator.inside(*self._submission("lab", "removed")),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                self._wait_for_checkpoints(driver, results)
                worker.pull_plug()
                self._note(f"{worker.name} is removed; the folds had checkpoints")
                if (results / "ledger/trial-00000/trial.json").exists():
                    raise StepFailedError("the trial had ended before")
                _wait(lambda: 0 < self._alive() < len(self._lab.nodes), self._monitor)
                self._note("Ray takes it for dead")
                self._lab.boot(worker)
                self._note(f"{worker.name} is back")
                self._wait_for_nodes()
                self._note("Ray runs on it again")
                code = driver.wait(PATIENCE_SECONDS)
            finally:
                driver.kill()
                driver.wait()
            output.seek(0)
            if code:
                raise StepFailedError(f"a worker removed: {code}: {output.read()[-3000:]}")
        return f"a worker removed and back, folds ended on {self._compare('removed')}"

    def _wait_for_checkpoints(self, driver: "subprocess.Popen[bytes]", results: Path) -> None:
        def all_have() -> bool:
            if driver.poll() is not None:
                raise StepFailedError("the study ended before its folds had checkpoints")
            places = results.glob("checkpoints/trial-00000/fold-?/*")
            return len({place.parent for place in places}) == FOLDS

        _wait(all_have, lambda: "no checkpoints")

    def _sick(self) -> str:
        """Every fold that is trained on one of the workers raises what a broken GPU would."""
        write_study(self._lab.shared, "sick", 2, SICK_FOLDS, SICK_TRIALS)
        self._run_alone("sick")
        sick = self._lab.nodes[1]
        illness = sick.on_disk(ILLNESS)
        illness.write_text("cuda")
        try:
            done = self._submit("sick", "results")
        finally:
            illness.unlink()
        self._expect(done, "the study with a sick node")
        lines = [line.strip() for line in done.stdout.splitlines() if LEFT_ALONE in line]
        for line in lines:
            self._note(line)
        if len(lines) != 1 or f"node {sick.address} " not in lines[0]:
            self.problems.append(f"a sick node: {lines or done.stdout[-2000:]}")
        trials = list((self._lab.shared / "results/sick/ledger").glob("trial-*/trial.json"))
        states = [json.loads(trial.read_text())["state"] for trial in trials]
        if states != ["completed"] * SICK_TRIALS:
            self.problems.append(f"a sick node: trials ended {states}")
        return f"a sick node among three, folds ended on {self._compare('results', 'sick')}"

    def _second(self) -> str:
        write_study(self._lab.shared, "second", 1)
        self._expect(self._submit("second", "results"), "the second study")
        return "a second study on the same cluster"

    def _down(self) -> str:
        self._expect(self._lab.operator.run("ray", "down", "-y", self._cluster), "ray down")
        self._note("ray down returned")
        head, *workers = self._lab.nodes

        def left() -> dict[str, list[str]]:
            found = {node.name: list(node.of_ray().values()) for node in self._lab.nodes}
            return {name: commands for name, commands in found.items() if commands}

        def monitors_left() -> bool:
            commands = [command for found in left().values() for command in found]
            return head.name not in left() and all("log_monitor" in each for each in commands)

        _wait(monitors_left, lambda: f"ray down left {left()}")
        self._note(f"Ray has ended; its log monitor has not on {', '.join(left()) or 'none'}")
        # Machines that nobody hired are not given back: this provider stops the head only,
        # and what ends with it.
        for worker in workers:
            login = ("ssh", "-i", KEY, "-o", "StrictHostKeyChecking=no", worker.address)
            self._expect(self._lab.operator.run(*login, "bash -lc 'ray stop'"), "ray stop")
        _wait(lambda: not left(), lambda: f"ray stop left {left()}")
        return "ray down: no process of Ray's is left on any node"

    def _submit(self, name: str, output: str) -> "subprocess.CompletedProcess[str]":
        submission = self._submission(name, output)
        return self._lab.operator.run(*submission, patience_seconds=PATIENCE_SECONDS)

    def _submission(self, name: str, output: str) -> list[str]:
        study = f"{SHARED}/{name}.yaml --address auto --output {SHARED}/{output}"
        command = f"cd study && RAY_AUTH_MODE=token python -m study.run {study}"
        return ["ray", "exec", self._cluster, command]

    def _compare(self, output: str, name: str = "lab") -> str:
        """Hold a study's table against one node's; return the hosts of its folds."""
        alone, ours = (self._lab.shared / folder / name for folder in ("alone", output))
        hosts = ", ".join(self._hosts(output, name))
        if (alone / "scores.parquet").read_bytes() != (ours / "scores.parquet").read_bytes():
            self.problems.append(f"{output}/{name}: scores.parquet differs from one node's")
            return f"{hosts}: ANOTHER scores.parquet"
        return f"{hosts}: same scores.parquet"

    def _hosts(self, output: str, name: str = "lab") -> list[str]:
        """Return the hosts of all folds."""
        timings = pd.read_parquet(self._lab.shared / output / name / "timings.parquet")
        return list(timings.sort_values(["trial", "fold"])["host"])

    def _expect(self, done: "subprocess.CompletedProcess[str]", what: str) -> None:
        if done.returncode:
            raise StepFailedError(f"{what} ended with {done.returncode}: {done.stdout[-3000:]}")


def _links() -> set[str]:
    """Return the network links of this machine."""
    return {link.name for link in Path("/sys/class/net").iterdir()}


def _wait(
    happened: Callable[[], bool], otherwise: Callable[[], str], seconds: float = PATIENCE_SECONDS
) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise StepFailedError(otherwise())
        time.sleep(0.1)
