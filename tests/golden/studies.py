"""The golden studies: their runs, and the files that hold what they gave."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.golden.portable import ENVIRONMENT
from tests.golden.tables import Tables, read_results
from tests.study_run import Run

FOLDER = Path(__file__).parent
STUDIES = ("search", "systems")
MACHINE = FOLDER / "machine.json"
"""Versions of libraries and digests of arithmetic with which the goldens were made."""


def golden_machine() -> dict[str, dict[str, str]]:
    content: dict[str, dict[str, str]] = json.loads(MACHINE.read_text())
    return content


def start(study: str, folder: Path, **environment: str) -> Run:
    """Start a golden study, or continue it, with its results in `folder`."""
    arguments = (str(FOLDER / f"{study}.yaml"), "--output", str(folder / "results"))
    return Run(folder, *arguments, **ENVIRONMENT, **environment)


def finish(run: Run, study: str, folder: Path) -> Tables:
    """Wait until a study is done; return its tables."""
    try:
        assert run.wait() == 0, run.printed()
    finally:
        run.stop()
    return read_results(folder / "results" / study)


def serial(study: str, folder: Path) -> Tables:
    """Run a golden study without a cluster; return its tables."""
    subprocess.run(
        [sys.executable, "-m", "tests.serial_study", FOLDER / f"{study}.yaml", folder / "results"],
        env={**os.environ, **ENVIRONMENT},
        check=True,
    )
    return read_results(folder / "results" / study)
