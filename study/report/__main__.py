"""`python -m study.report RESULTS`: make the tables again from the ledger alone."""

import sys
from typing import Annotated

import typer

from study.command import Command
from study.errors import StudyFailedError

app = Command("Make a study's tables again from its ledger; nothing is trained.")


@app.command()
def report(
    results: Annotated[str, typer.Argument(help="a study's folder, e.g. results/quickstart")],
) -> None:
    """Make the tables of RESULTS again from its ledger."""
    from study.report.build import build_report
    from study.results import read_study, stored_split_hash
    from study.storage import open_folder

    folder = open_folder(results)
    study = read_study(folder)
    written = build_report(study, stored_split_hash(folder, study), folder)
    if written is None:
        raise StudyFailedError(f"{folder.locate('ledger')}: no trial has scores yet")
    for name in written.files:
        sys.stdout.write(folder.locate(name) + "\n")


if __name__ == "__main__":
    sys.exit(app.main())
