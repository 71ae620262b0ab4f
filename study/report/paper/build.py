"""Writing a study's form of the paper's tables and figures into its results folder."""

import pyarrow as pa

from study.config.schema import Study
from study.ledger.fold_files import to_parquet
from study.ledger.ledger import Ledger
from study.report.paper.inputs import PaperInputs, Tables
from study.report.paper.pages import Page, pages
from study.report.paper.pictures import rendered
from study.storage.folder import Folder

__all__ = ["Tables", "write_paper_report"]

FOLDER = "report"


def write_paper_report(
    study: Study, results: Folder, tables: Tables, ledger: Ledger | None = None
) -> list[str]:
    """Write `report/<name>.parquet`, `.png` and `.svg` for every table and figure there is.

    Names are `table_1` to `table_4`, `figure_1` and `figure_3` to `figure_11`; where the
    protocol is not the paper's, it follows the name (`table_2_inter_patient`). What the
    study has no system, file or column for is left out.

    Args:
        study: the study.
        results: its results folder.
        tables: the study's tables.
        ledger: holds the samples and norms that are drawn; None for that of `results`.

    Returns:
        The files' paths in the results folder, in the order written; none for a study
        without systems.

    Raises:
        DamagedError: a file of the ledger is not what was committed.
    """
    ledger, paths = ledger or Ledger.of(results), list[str]()
    for protocol in tables.protocols():
        rows, dataset = tables.select_protocol(protocol), study.dataset
        inputs = PaperInputs(rows, ledger, protocol, dataset.name, dataset.length)
        for page in pages(inputs):
            name = page.name if protocol == "paper" else f"{page.name}_{protocol}"
            for ending, content in _contents(page, inputs).items():
                paths.append(f"{FOLDER}/{name}.{ending}")
                results.write(paths[-1], content)
    return paths


def _contents(page: Page, inputs: PaperInputs) -> dict[str, bytes]:
    """Return a page's files by ending; its table gets columns of dataset and protocol."""
    data = page.data
    for column in ("protocol", "dataset"):
        if column not in data.column_names:
            same = pa.array([getattr(inputs, column)] * data.num_rows, pa.string())
            data = data.add_column(0, column, same)
    return {"parquet": to_parquet(data), **rendered(page.figure)}
