"""`python -m study.report RESULTS`: make tables and page again from the ledger alone."""

import sys
from typing import Annotated

import typer

from study.errors import StudyFailedError
from study.terminal.command import Command

app = Command("Make a study's tables and its report page again; nothing is trained.")


@app.command()
def report(
    results: Annotated[str, typer.Argument(help="a study's folder, e.g. results/quickstart")],
) -> None:
    """Make the tables and the page of RESULTS again from its ledger, whose files are all read."""
    from study.ledger.ledger import DamagedError, Ledger
    from study.ledger.study_folder import read_study, stored_split_facts
    from study.ledger.verification import damages
    from study.report.build import build_report, damage_advice
    from study.report.page.build import write_page
    from study.storage.folder import reach_folder

    folder = reach_folder(results)
    study = read_study(folder)
    with damage_advice(folder):
        for damage in damages(Ledger.of(folder)):
            raise DamagedError(damage)
    made = build_report(study, stored_split_facts(folder, study), folder)
    if made is None:
        raise StudyFailedError(f"{folder.locate('ledger')}: no trial has scores yet")
    page = write_page(study, folder, made.tables)
    for name in (*made.files, page):
        sys.stdout.write(folder.locate(name) + "\n")


if __name__ == "__main__":
    sys.exit(app.main())
