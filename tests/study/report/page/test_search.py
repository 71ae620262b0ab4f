from collections.abc import Sequence

import numpy as np
import pytest

from study.report.page import charts
from study.report.page.build import page_sections
from study.report.page.inputs import PageInputs
from study.report.page.search import search_sections
from study.search.trial import TrialRecord
from study.terminal.summary import show_range_ends
from tests.study.report.page.unreported import STUDY, trials, unreported
from tests.study.report.trained import Reported
from tests.study.terminal.consoles import lines, log
from tests.study.trials import record_of, trial_of


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


def test_the_page_and_the_run_say_where_the_best_lie_at_an_end() -> None:
    records = [
        record_of(trial_of(STUDY, number, {"model.beta": beta}), "completed", [(1, number / 31)])
        for number, beta in enumerate(np.geomspace(0.1, 1e-6, 31).tolist())
    ]
    advice = "The best 3 trials lie at the lower end of model.beta (1e-06)"
    with charts.page_style():
        sections = {each.key: each for each in search_sections(unreported(records))}
    assert [note.startswith(advice) for note in sections["settings"].notes] == [True]
    console = log()
    show_range_ends(console, STUDY, records)
    assert "".join(lines(console)).startswith(advice)


def size(sections: Sequence[object]) -> int:
    return sum(len(str(picture.svg)) for section in sections for picture in section.pictures)  # type: ignore[attr-defined]
