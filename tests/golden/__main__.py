"""`python -m tests.golden --make` writes the golden tables, `--compare` shows what differs."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.golden.portable import deviations, machine
from tests.golden.studies import (
    FOLDER,
    MACHINE,
    NEW_COLUMNS,
    STUDIES,
    golden_machine,
    tables,
)
from tests.golden.tables import Tables, differences, read_golden, write_golden


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--make", action="store_true", help="write the golden tables")
    action.add_argument("--compare", action="store_true", help="run, and print differences")
    arguments = parser.parse_args()
    if arguments.make:
        for study in STUDIES:
            write_golden(FOLDER / study, _tables(study))
        MACHINE.write_text(json.dumps(machine(), indent=1) + "\n")
        return 0
    lines = [f"this machine: {each}" for each in deviations(golden_machine(), machine())]
    for study in STUDIES:
        moved = differences(read_golden(FOLDER / study), _tables(study), NEW_COLUMNS)
        lines += [f"{study}/{each}" for each in moved]
    print(*lines or ["no difference"], sep="\n")  # noqa: T201
    return 1 if lines else 0


def _tables(study: str) -> Tables:
    with tempfile.TemporaryDirectory(prefix="study-golden-") as folder:
        return tables(study, Path(folder))


if __name__ == "__main__":
    sys.exit(main())
