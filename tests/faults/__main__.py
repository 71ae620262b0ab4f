"""`python -m tests.faults [--only TEXT ...] [--json FILE]`: what comes of each fault, one by one.

Prints for each what ended, what went on and what the terminal showed, and ends with 1 if
anything came otherwise than it must.
"""

import argparse
import json
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from study.ledger.ledger import Ledger
from tests.faults.cases import CASES, STUDY, Case
from tests.faults.testbeds import Testbed, testbed_of

NAME, TABLE = "faults", "scores.parquet"
PROGRESS = re.compile(r"^ |^$|^trial-\d+: epoch|^trial-\d+ completed")
"""What the terminal shows of a study that nothing disturbs."""
SUMMARY = re.compile(rf"(?ms)^{NAME}: trial-\d+ is the best.*?supervision: [^\n]*")
"""What it shows at the end."""


@dataclass(frozen=True)
class Outcome:
    """What came of a fault.

    Attributes:
        fault: its name.
        owner: whose fault it is.
        exit_codes: the driver's, and those of the runs that continued it.
        states: how many trials ended in which state.
        same_table: whether the table has the bytes of an undisturbed study; None without one.
        lines: what the terminal showed besides progress.
        seconds: from the first run's start to the last one's end.
        problems: what came otherwise than it must.
    """

    fault: str
    owner: str
    exit_codes: tuple[int, ...]
    states: dict[str, int]
    same_table: bool | None
    lines: tuple[str, ...]
    seconds: float
    problems: tuple[str, ...]


def meet(case: Case, folder: Path, table: bytes) -> Outcome:
    """Have a study meet a fault.

    Args:
        case: the fault.
        folder: for all files.
        table: of an undisturbed study; b"" for the one that makes it.
    """
    folder.mkdir()
    (folder / "study.yaml").write_text(STUDY)
    with testbed_of(case.where, folder, case.illness, dict(case.environment)) as testbed:
        began = time.monotonic()
        codes, printed = _run(case, testbed)
        seconds = time.monotonic() - began
        results = testbed.results.folder(NAME)
        records = Ledger(results.folder("ledger")).trials()
        made = results.read(TABLE) if results.exists(TABLE) else None
    states = dict(Counter(str(record.state) for record in records))
    same = None if made is None else made == table
    checks = {
        f"exit codes {codes}": codes == case.exit_codes,
        f"trials ended as {states}": states == dict(case.states),
        "another table": not table or not case.same_table or same,
        f"no line {case.line!r}": re.search(case.line, printed),
        "a traceback": "Traceback" not in printed,
    }
    problems = tuple(problem for problem, is_right in checks.items() if not is_right)
    if problems:
        problems += (printed[-3000:],)
    return Outcome(case.name, case.owner, codes, states, same, _lines(printed), seconds, problems)


def _lines(printed: str) -> tuple[str, ...]:
    """Return what was shown besides progress and results, each line once."""
    lines = SUMMARY.sub("", printed).splitlines()
    return tuple(dict.fromkeys(line for line in lines if not PROGRESS.search(line)))


def _run(case: Case, testbed: Testbed) -> tuple[tuple[int, ...], str]:
    """Run a study, and continue it as often as it is to be; return exit codes and output."""
    codes: list[int] = []
    printed = ""
    for number in range(len(case.exit_codes)):
        run = testbed.start(str(testbed.folder / "study.yaml"), *case.options)
        if number == 0 and case.disturb:
            run.wait_until_printed(": epoch 1 of")
            case.disturb(testbed)
        testbed.gate.open()
        codes.append(run.wait())
        printed += run.printed()
    return tuple(codes), printed


def _undisturbed(folder: Path) -> bytes:
    outcome = meet(Case("nothing", "nobody"), folder / "undisturbed", b"")
    if outcome.problems:
        raise SystemExit("\n".join(outcome.problems))
    return (folder / "undisturbed" / "results" / NAME / TABLE).read_bytes()


def rows(outcomes: Sequence[Outcome]) -> list[str]:
    """Return a Markdown table."""
    lines = ["| fault | whose | exit | trials | table | said | s |", "|" + " --- |" * 7]
    for each in outcomes:
        exits = ", then ".join(map(str, each.exit_codes))
        ends = ", ".join(f"{count} {state}" for state, count in sorted(each.states.items()))
        table = {True: "the same", False: "another", None: "none"}[each.same_table]
        shown = "<br>".join(each.lines).replace("|", "\\|")
        lines.append(
            f"| {each.fault} | {each.owner} | {exits} | {ends or 'none'} | {table} | {shown} |"
            f" {each.seconds:.0f} |"
        )
    return lines


def main() -> int:
    """Meet the faults that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the faults' names")
    parser.add_argument("--json", type=Path, help="file of the outcomes")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left of the runs
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="study-faults-") as folder:
        table = _undisturbed(Path(folder))
        for number, case in enumerate(CASES):
            if any(part in case.name for part in arguments.only):
                outcome = meet(case, Path(folder) / str(number), table)
                outcomes.append(outcome)
                print(json.dumps(asdict(outcome)), flush=True)  # noqa: T201
    print(*rows(outcomes), sep="\n")  # noqa: T201
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(each) for each in outcomes], indent=1) + "\n")
    problems = [f"{each.fault}: {problem}" for each in outcomes for problem in each.problems]
    print(*problems or ["no problem"], sep="\n")  # noqa: T201
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
