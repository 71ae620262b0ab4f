"""The kinds of processes that are killed, and what came of each kill."""

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

KINDS = ("worker", "hang", "trial", "coordinator", "driver", "raylet", "head")
ENDS_THE_DRIVER = ("driver", "raylet", "head")
SPARES_WORKERS = ("coordinator",)
"""Kinds whose kill no fold worker notices: those that wait at a gate would wait on."""
LINES = {
    "trial": r"^trial-\d+: its processes died \([^()\n]{9,99}\); others go on",
    "hang": r"^trial-\d+: fold \d on [\d.]+ hangs, it said nothing for \d\.\d minutes; it is",
    "coordinator": r"^the coordinator died and was started again; the folds train on",
}
"""What the terminal shows of some kinds."""


@dataclass(frozen=True)
class Kill:
    """One kill -9, or one stopped process, and what came of it.

    Attributes:
        kind: what was killed.
        trials: the trials that were in training, with the last epoch that all folds of each
            had reported.
        seconds: from the kill until each of them had reported an epoch that it had not, or had
            ended, in the same run or in the one that continued it.
        redone: epochs that one of them had reported and that are not in a checkpoint of every
            fold: the most.
        exit_code: the driver's, if the kill ended it.
        end_seconds: from the kill to the driver's end.
        left_seconds: from then until no process of the run was left.
    """

    kind: str
    trials: dict[str, int]
    seconds: float
    redone: int
    exit_code: int | None = None
    end_seconds: float = 0.0
    left_seconds: float = 0.0


def lines_on(kind: str, printed: str) -> int:
    """Return how many lines of the terminal's are on kills of a kind."""
    return len(re.findall(LINES[kind], printed, re.MULTILINE)) if kind in LINES else 0


def summary(kills: Sequence[Kill]) -> str:
    """Return a Markdown table: kills by kind, and how long the study took to go on."""
    lines = [
        "| killed | times | median s | worst s | driver ended within s |",
        "|" + " --- |" * 5,
    ]
    for kind, count in Counter(kill.kind for kill in kills).items():
        of_kind = [kill for kill in kills if kill.kind == kind]
        seconds = [kill.seconds for kill in of_kind]
        ends = max(kill.end_seconds for kill in of_kind) if kind in ENDS_THE_DRIVER else None
        lines.append(
            f"| {kind} | {count} | {statistics.median(seconds):.1f} | {max(seconds):.1f} |"
            f" {'' if ends is None else f'{ends:.1f}'} |"
        )
    return "\n".join(lines)
