"""The golden studies: their runs, and the files that hold what they gave."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.golden.portable import ENVIRONMENT, deviations, machine
from tests.golden.tables import Tables, differences, read_golden, read_results
from tests.study_run import Run

FOLDER = Path(__file__).parent
STUDIES = ("search", "systems")
SERIAL = "systems"
"""The one that needs no cluster."""
TSTR_UPDATES = 30
MACHINE = FOLDER / "machine.json"
"""Versions of libraries and digests of arithmetic with which the goldens were made."""
NEW_COLUMNS: frozenset[str] = frozenset(
    ("folds", "rule", "against", "p", "origin", "learned_from", "confirmed_value", "of_metric")
)
"""Columns that came on purpose after the goldens were made, and that these have not."""


def golden_machine() -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads(MACHINE.read_text())
    return content


def other_arithmetic() -> str:
    """Return why the goldens cannot be expected here bit by bit; "" if they can."""
    return "; ".join(deviations(golden_machine(), machine()))


def check_tables(study: str, made: Tables) -> None:
    """Check that a study gave its golden tables."""
    moved = differences(read_golden(FOLDER / study), made, NEW_COLUMNS)
    assert not moved, "\n".join(["other tables than the golden ones:", *moved])


def on_cluster(study: str, folder: Path) -> Tables:
    """Run a golden study on a cluster of its own; return its tables."""
    arguments = (str(FOLDER / f"{study}.yaml"), "--output", str(folder / "results"))
    run = Run(folder, *arguments, **ENVIRONMENT)
    try:
        assert run.wait() == 0, run.printed()
    finally:
        run.stop()
    return read_results(folder / "results" / study)


def serial(folder: Path) -> Tables:
    """Run the golden study that needs no cluster; return its tables."""
    study, results = FOLDER / f"{SERIAL}.yaml", folder / "results"
    less = ("--tstr-updates", str(TSTR_UPDATES))
    subprocess.run(
        [sys.executable, "-m", "tests.serial_study", study, results, *less],
        env={**os.environ, **ENVIRONMENT},
        check=True,
    )
    return read_results(results / SERIAL)


def tables(study: str, folder: Path) -> Tables:
    """Run a golden study; return its tables."""
    return serial(folder) if study == SERIAL else on_cluster(study, folder)
