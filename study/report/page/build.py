"""Writing the report page into a study's results folder."""

import importlib.resources
from collections.abc import Mapping

import jinja2
import pyarrow as pa

from study.config.schema import Study
from study.errors import StudyFailedError
from study.ledger.ledger import DamagedError, Ledger
from study.report.page.answer import answer
from study.report.page.bookkeeping import bookkeeping_sections
from study.report.page.charts import page_style
from study.report.page.comparisons import comparison_sections
from study.report.page.errors import error_sections
from study.report.page.paper import paper_section
from study.report.page.parts import Section, counted
from study.report.page.samples import sample_sections
from study.report.page.search import search_sections
from study.report.page.source import Source
from study.report.page.training import learning
from study.report.paper.names import dataset_label
from study.search.sources import TWIN
from study.storage.folder import Folder

PAGE = "report/index.html"


def write_page(study: Study, results: Folder, tables: Mapping[str, pa.Table]) -> str:
    """Write `report/index.html`, one file that needs no other; return its path.

    The same ledger gives the same bytes. Trials beyond what a picture can show are left out
    evenly, and the page says so.

    Args:
        study: the study.
        results: its results folder.
        tables: the study's tables by name, as `build_report` returns them.

    Raises:
        StudyFailedError: a file of the ledger is not what was committed.
    """
    # A twin's values are of other samples: it is compared with no trial of the search.
    records = [r for r in Ledger(results.folder("ledger")).trials() if r.number < TWIN]
    source = Source(study, records, tables, results)
    try:
        with page_style():
            sections = page_sections(source)
    except DamagedError as error:
        raise StudyFailedError(
            f"{error}; run the study again, which puts it aside and trains it anew"
        ) from None
    results.write(PAGE, _render(source, sections).encode())
    return PAGE


def page_sections(source: Source) -> list[Section]:
    """Return all sections, the answer first."""
    return [
        answer(source),
        *search_sections(source),
        learning(source),
        *error_sections(source),
        *sample_sections(source),
        *comparison_sections(source),
        *paper_section(source),
        *bookkeeping_sections(source),
    ]


def _render(source: Source, sections: list[Section]) -> str:
    study = source.study
    what = "systems" if study.systems else study.model.name
    facts = [
        f"{what} on {dataset_label(study.dataset.name)}",
        f"protocol {' and '.join(study.split.protocols)}",
        counted(study.split.folds, "fold"),
        counted(len(source.records), "trial"),
    ]
    folder = importlib.resources.files(__package__)
    template = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    ).get_template("page.html")
    return template.render(name=study.name, facts=facts, sections=sections)
