"""Where the time goes from the command to the first epoch, by process.

`python -m benchmarks.start --json FILE [STUDY ...]` runs a study, `quickstart` if none is named,
in a folder of its own, and prints for each kind of process what it had used of the processors when
the first epoch was reported, in CPU seconds: these say on a busy machine as well what a start
costs. `seconds` are those of the clock until then, and `seconds_to_end` until the study ended.
Further arguments are those of `study.run`.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.study_run import Run, marked

FIRST_EPOCH = re.compile(r": epoch \d+ of")
KINDS = {
    "RayTrainWorker": "workers of the folds",
    "SynchronizationActor": "Ray Train's actor for synchronisation",
    "TrainController": "Ray Train's controller",
    "ResourceTrainable": "process of the trial",
    "TrialRunner": "process of the trial",
    "Coordinator": "coordinator",
    "gcs_server": "Ray's head",
    "raylet/raylet": "raylet",
    "agent": "agents",
    "study.cluster.fork_server": "fork server",
    "study.run": "driver",
}
"""What the command of each kind of process holds."""
OTHER = "other processes"
LOOK_SECONDS = 0.5
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Start:
    """What a start cost.

    Attributes:
        cpu_seconds: of each kind of process until the first epoch was reported.
        processes: how many there were of each kind.
        all_cpu_seconds: of all of them.
        seconds: by the clock until then.
        seconds_to_end: by the clock, until the study had ended.
    """

    cpu_seconds: dict[str, float]
    processes: dict[str, int]
    all_cpu_seconds: float
    seconds: float
    seconds_to_end: float


def measure(folder: Path, *arguments: str) -> Start:
    """Run a study in `folder`; of a process that ended, what it had used when last seen counts."""
    began = time.monotonic()
    run = Run(folder, *arguments, "--output", str(folder / "results"))
    used: dict[int, float] = {}
    kinds: dict[int, str] = {}
    try:
        is_over = False
        while not is_over:
            is_over = bool(FIRST_EPOCH.search(run.printed())) or run.driver.poll() is not None
            seconds = time.monotonic() - began
            for pid, command in marked(run.mark).items():
                with contextlib.suppress(OSError, IndexError):
                    used[pid], kinds[pid] = _cpu_seconds(pid), _kind(command)
            time.sleep(0.0 if is_over else LOOK_SECONDS)
        if run.wait():
            raise RuntimeError(f"the study ended with an error: {run.printed()[-1000:]}")
    finally:
        run.stop()
    by_kind: defaultdict[str, float] = defaultdict(float)
    for pid, kind in kinds.items():
        by_kind[kind] += used[pid]
    return Start(
        cpu_seconds={kind: round(value, 2) for kind, value in sorted(by_kind.items())},
        processes=dict(sorted(Counter(kinds.values()).items())),
        all_cpu_seconds=round(sum(used.values()), 2),
        seconds=round(seconds, 1),
        seconds_to_end=round(time.monotonic() - began, 1),
    )


def _cpu_seconds(pid: int) -> float:
    """Return what a process has used, in its own name and the kernel's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _kind(command: str) -> str:
    return next((kind for part, kind in KINDS.items() if part in command), OTHER)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="file of the result")
    options, arguments = parser.parse_known_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left of the run
    with tempfile.TemporaryDirectory(prefix="study-start-") as folder:
        measured = asdict(measure(Path(folder), *arguments))
    options.json.write_text(json.dumps(measured, indent=1) + "\n")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
