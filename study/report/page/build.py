"""Writing the report page into a study's results folder."""

from collections.abc import Mapping

import pyarrow as pa

from study.config.schema import Study
from study.config.variants import variants
from study.ledger.ledger import Ledger
from study.report.build import damage_advice
from study.report.page.answer import answer_section
from study.report.page.bookkeeping import bookkeeping_sections, trials_fact
from study.report.page.charts import page_style
from study.report.page.comparisons import comparison_sections
from study.report.page.confirmation import confirmation_sections
from study.report.page.errors import error_sections
from study.report.page.false_alarms import false_alarm_sections
from study.report.page.front import front_sections
from study.report.page.inputs import PageInputs
from study.report.page.kept_samples import kept_samples_section
from study.report.page.labels import label_sections
from study.report.page.marginals import learned_sections
from study.report.page.paper import paper_section
from study.report.page.parts import Section, with_noun
from study.report.page.render import render
from study.report.page.samples import sample_sections
from study.report.page.search import search_sections
from study.report.page.series import channel_sections, point_sections
from study.report.page.training import learning_section
from study.report.page.trials import trials_section
from study.report.paper.names import dataset_label
from study.storage.folder import Folder

PAGE = "report/index.html"


def write_page(study: Study, results: Folder, tables: Mapping[str, pa.Table]) -> str:
    """Write `report/index.html`, one file that needs no other; return its path.

    The same ledger gives the same bytes. Trials beyond what a picture can show are left out
    evenly, with a note on the page.

    Args:
        study: the study.
        results: its results folder.
        tables: the study's tables by name, as `build_report` returns them.

    Raises:
        StudyFailedError: a file of the ledger is not what was committed.
    """
    # A repetition's values are of other samples: they cannot be compared with the search's.
    records = [r for r in Ledger.of(results).trials() if not r.trial.is_repetition]
    inputs = PageInputs(study, records, tables, results)
    with damage_advice(results), page_style():
        sections = page_sections(inputs)
    results.write(PAGE, render(study.name, page_facts(inputs), sections).encode())
    return PAGE


def page_sections(inputs: PageInputs) -> list[Section]:
    """Return all sections, the answer first."""
    return [
        answer_section(inputs),
        *point_sections(inputs),
        trials_section(inputs),
        *search_sections(inputs),
        *learned_sections(inputs),
        *front_sections(inputs),
        *confirmation_sections(inputs),
        learning_section(inputs),
        *error_sections(inputs),
        *channel_sections(inputs),
        *sample_sections(inputs),
        *kept_samples_section(inputs),
        *(label_sections(inputs) if inputs.has_abnormal else ()),
        *comparison_sections(inputs),
        *false_alarm_sections(inputs),
        *paper_section(inputs),
        *bookkeeping_sections(inputs),
    ]


def _samples_fact(inputs: PageInputs) -> str:
    """Return how samples differ from those of publications, or how many variants there are."""
    own = variants(inputs.study)
    return own[0].dataset.unlike_published if len(own) == 1 else f"{len(own)} variants of samples"


def page_facts(inputs: PageInputs) -> list[str]:
    """Return what the page begins with: what was trained, on what, and how much of it."""
    study = inputs.study
    subject = ", ".join(study.model_names) if inputs.is_search else "systems"
    return [
        f"{subject} on {dataset_label(study.dataset.name)}",
        *filter(None, [_samples_fact(inputs)]),
        f"protocol {' and '.join(study.split.protocols)}",
        with_noun(study.split.folds, "fold"),
        trials_fact(inputs),
    ]
