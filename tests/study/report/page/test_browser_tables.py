"""Sixty trials in a real browser: sorted, filtered, chosen and downloaded."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from study.report.page.build import page_facts
from study.report.page.charts import page_style
from study.report.page.render import render
from study.report.page.search import search_sections
from study.report.page.training import trial_curves
from study.report.page.trials import trials_section
from tests.study.report.page.in_browser import (
    await_,
    chosen_marks,
    downloads_to,
    rows,
    shaped,
    values,
)
from tests.study.report.page.unreported import STUDY, trials, unreported


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of sixty trials, without what is drawn of folds."""
    inputs = unreported(trials(STUDY, 60))
    with page_style():
        sections = [trials_section(inputs), *search_sections(inputs)]
        curves = trial_curves(inputs)
    assert curves is not None
    path = tmp_path_factory.mktemp("many") / "index.html"
    path.write_text(render("many", page_facts(inputs), sections))
    return path


@pytest.fixture
def opened(browser: Any, many: Path) -> Any:
    """The browser, with that page."""
    shaped(browser, 1200)
    browser.get(many.as_uri())
    return browser


@pytest.mark.slow
def test_rows_are_sorted_by_a_columns_name_in_both_directions(opened: Any) -> None:
    head = [cell.text for cell in opened.find_elements("css selector", "th")]
    column = head.index("model.beta")
    sorts = opened.find_elements("css selector", "th button")
    for name, descending in (("descending", True), ("ascending", False)):
        sorts[column].click()
        shown = values(opened, column)
        assert len(shown) == 60
        assert shown == sorted(shown, reverse=descending)
        cell = opened.find_element("css selector", f"th:nth-child({column + 1})")
        assert cell.get_attribute("aria-sort") == name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("terms", "is_meant"),
    [
        ("stopped early", lambda r: r.state == "pruned"),
        ("beta<1e-3", lambda r: r.trial.parameters["model.beta"] < 1e-3),
        (
            "Latent_Size>=3 completed",
            lambda r: r.trial.parameters["model.latent_size"] >= 3 and r.state == "completed",
        ),
        ("epochs=2", lambda r: r.values[-1][0] == 2),
        ("f1_weighted on validation>0.8", lambda r: r.best_value > 0.8),
        (
            "beta < 1e-3 F1_weighted on validation >= 0.8 completed",
            lambda r: (
                r.trial.parameters["model.beta"] < 1e-3
                and r.best_value >= 0.8
                and r.state == "completed"
            ),
        ),
        ("trial-00007", lambda r: r.trial.number == 7),
    ],
)
def test_rows_are_found_by_words_and_conditions(
    opened: Any, terms: str, is_meant: Callable[[Any], bool]
) -> None:
    opened.find_element("id", "filter-trials").send_keys(terms)
    meant = {record.name for record in trials(STUDY, 60) if is_meant(record)}
    assert set(rows(opened)) == meant
    count = opened.find_element("css selector", ".count").text
    assert count == f"{len(meant)} of 60 shown, 0 chosen"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ("completed beta_2>0.1", "no column is named “beta_2”"),
        ("f1_weighted_on_train>0.1", "no column is named “f1_weighted_on_train”"),
        ("beta<0", "no row has “beta<0”"),
        ("nothing-like-this", "no row has “nothing-like-this”"),
    ],
)
def test_a_term_that_no_row_meets_says_why(opened: Any, terms: str, why: str) -> None:
    opened.find_element("id", "filter-trials").send_keys(terms)
    count = opened.find_element("css selector", ".count").text
    assert count == f"0 of 60 shown, 0 chosen; {why}"


@pytest.mark.slow
def test_what_is_chosen_is_drawn_in_every_picture(opened: Any) -> None:
    box = opened.find_element("css selector", "tr[data-row='4'] input")
    assert box.get_attribute("aria-label") == "choose trial-00004"
    box.send_keys(" ")  # as the keyboard chooses
    drawn = [("over-time", "4"), ("parallel", "4"), ("settings", "4"), ("settings", "4")]
    assert chosen_marks(opened) == drawn
    mark = opened.find_element("css selector", "#over-time use[data-trial='9']")
    opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", mark)
    from selenium.webdriver import ActionChains

    ActionChains(opened).move_to_element(mark).click().perform()
    assert opened.find_element("css selector", "tr[data-row='9'] input").is_selected()
    tip = opened.find_element("id", "tip").text
    assert "trial-00009" in tip
    assert "model.beta" in tip
    colours = opened.execute_script(
        "return [...document.querySelectorAll('#over-time .chosen')]"
        ".map(mark => getComputedStyle(mark).fill)"
    )
    assert len(set(colours)) == 2
    opened.find_element("xpath", "//button[text()='choose none']").click()
    assert chosen_marks(opened) == []


@pytest.mark.slow
def test_a_table_is_downloaded_as_it_is_shown_with_all_digits(opened: Any, tmp_path: Path) -> None:
    downloads_to(opened, tmp_path)
    opened.find_element("id", "filter-trials").send_keys("completed")
    opened.find_element("css selector", "#trials .download").click()
    path = tmp_path / "many-trials.csv"
    await_(path.exists)
    downloaded = list(csv.DictReader(io.StringIO(path.read_text())))
    records = {r.name: r for r in trials(STUDY, 60) if r.state == "completed"}
    assert [row["trial"] for row in downloaded] == rows(opened)
    assert {row["trial"] for row in downloaded} == set(records)
    for row in downloaded:
        assert float(row["model.beta"]) == records[row["trial"]].trial.parameters["model.beta"]
        value = float(row["f1_weighted on validation"])
        assert value == records[row["trial"]].best_value
