"""`python -m study.compare A B ...`: studies side by side, as one page and one table."""

import sys
from typing import Annotated

import typer

from study.errors import RequestError
from study.terminal.command import Command

PAGE, TABLE = "index.html", "differences.parquet"

EXAMPLE = """\b
Example:
  python -m study.compare results/wafer results/baselines_wafer"""

app = Command("Put studies side by side; nothing is trained.")


@app.command(epilog=EXAMPLE)
def compare(
    results: Annotated[
        list[str], typer.Argument(help="folders of two studies or more, e.g. results/wafer")
    ],
    output: Annotated[
        str, typer.Option(help="folder or URI of the page and the table")
    ] = "comparison",
) -> None:
    """Write a page and a table of what RESULTS answer with, and of how they differ."""
    if len(results) < 2:
        raise RequestError("RESULTS: expected two studies or more, found one: name another")
    from study.ledger.fold_files import to_parquet
    from study.report.page.side_by_side import comparison_page
    from study.report.side_by_side import differences_table, read_compared, side_by_side
    from study.storage.folder import open_folder, reach_folder

    comparison = side_by_side(read_compared([reach_folder(each) for each in results]))
    folder = open_folder(output)
    files = {
        TABLE: to_parquet(differences_table(comparison)),
        PAGE: comparison_page(comparison).encode(),
    }
    folder.write_all(files)
    for name in files:
        sys.stdout.write(folder.locate(name) + "\n")


if __name__ == "__main__":
    sys.exit(app.main())
