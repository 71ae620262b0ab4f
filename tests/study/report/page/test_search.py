from collections.abc import Sequence

import pytest

from study.report.page import charts
from study.report.page.build import page_sections
from study.report.page.inputs import PageInputs
from study.report.page.search import search_sections
from study.search.trial import TrialRecord
from tests.study.report.page.unreported import trials
from tests.study.report.trained import Reported


def source(made: Reported, records: Sequence[TrialRecord]) -> PageInputs:
    return PageInputs(made.study, records, made.report.tables, made.results)


@pytest.mark.slow
def test_a_thousand_trials_make_a_page_of_bounded_size(searched: Reported) -> None:
    many = [*searched.ended(), *trials(searched.study, 1000)[3:]]
    with charts.page_style():
        few_sections = search_sections(source(searched, many[:40]))
        sections = search_sections(source(searched, many))
    assert [s.key for s in sections] == ["over-time", "settings", "parallel"]
    assert size(sections) < 1_000_000
    assert size(sections) < 30 * size(few_sections)


@pytest.mark.slow
def test_one_trial_has_a_page(searched: Reported) -> None:
    with charts.page_style():
        sections = page_sections(source(searched, searched.ended()[:1]))
    assert {"answer", "learning", "errors", "samples", "again"} <= {s.key for s in sections}
    assert not {"over-time", "settings", "parallel"} & {s.key for s in sections}


def size(sections: Sequence[object]) -> int:
    return sum(len(str(picture.svg)) for section in sections for picture in section.pictures)  # type: ignore[attr-defined]
