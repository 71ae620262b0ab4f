"""The page in a real browser: both schemes, narrow and wide, with its script and without."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from study.config.study_file import dump_study
from tests.study.report.page.in_browser import await_, downloads_to, shaped
from tests.study.report.trained import Reported

SHAPES = [
    ("searched", 1200, "light"),
    ("searched", 390, "dark"),
    ("searched", 2560, "light"),
    ("of_systems", 390, "dark"),
]

A4 = 718
"""Pixels of a sheet between the margins that browsers leave."""

EMPTY = """
return [...document.querySelectorAll('svg, img')].filter(each => {
  const details = each.closest('details');
  if (details) details.open = true;
  const box = each.getBoundingClientRect();
  return !(box.width > 20 && box.height > 8) || (each.tagName === 'IMG' && !each.naturalWidth);
}).map(each => each.outerHTML.slice(0, 120));
"""
LINES = """
return [0, 1].map(i => getComputedStyle(document.querySelector(`.curves .curve-${i}`)).stroke);
"""
COLOURS = """
const shown = new Set();
for (const each of document.querySelectorAll('p, td, th, figcaption, a, .chart text')) {
  const style = getComputedStyle(each);
  if (each.textContent.trim()) shown.add(each.closest('svg') ? style.fill : style.color);
}
return [getComputedStyle(document.body).backgroundColor, [...shown]];
"""


@pytest.mark.slow
@pytest.mark.parametrize(("made", "width", "scheme"), SHAPES)
def test_the_page_is_whole_and_legible(
    browser: Any, request: pytest.FixtureRequest, made: str, width: int, scheme: str
) -> None:
    page: Reported = request.getfixturevalue(made)
    shaped(browser, width, scheme)
    browser.get(page.page.as_uri())
    assert browser.get_log("browser") == []
    assert browser.execute_script(EMPTY) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    assert browser.execute_script("return document.querySelectorAll('.chart').length") > 8
    background, colours = browser.execute_script(COLOURS)
    assert (luminance(background) < 0.5) == (scheme == "dark")
    assert min(contrast(background, colour) for colour in colours) >= 4.5, colours


@pytest.mark.slow
@pytest.mark.parametrize("made", ["searched", "of_systems"])
def test_axe_finds_nothing_that_keeps_people_out(
    browser: Any, request: pytest.FixtureRequest, made: str
) -> None:
    from axe_core_python.selenium import Axe

    shaped(browser, 1200)
    browser.get(request.getfixturevalue(made).page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    # Marks of pictures are hundreds, which take axe minutes even where it is told to leave them
    # out; their text is tried above, and they say what they are.
    browser.execute_script("document.querySelectorAll('svg').forEach(s => s.replaceChildren())")
    violations = Axe().run(browser, context={"exclude": [["svg"]]})["violations"]
    assert [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in violations] == []


@pytest.mark.slow
def test_without_its_script_the_page_is_read_and_on_paper_it_is_plain(
    browser: Any, searched: Reported
) -> None:
    shaped(browser, 1200)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(searched.page.as_uri())
        text = browser.find_element("css selector", "#trials table").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "trial-00001" in text
    assert "stopped early" in text
    assert browser.find_elements("css selector", "#trials input, #trials button") == []
    shaped(browser, 1200, "dark", "print")
    browser.get(searched.page.as_uri())
    assert not browser.find_element("css selector", ".controls").is_displayed()
    background, colours = browser.execute_script(COLOURS)
    assert luminance(background) > 0.5
    assert min(contrast(background, colour) for colour in colours) >= 4.5, colours
    shaped(browser, A4, "light", "print")
    assert browser.execute_script("return document.documentElement.scrollWidth") == A4
    head = browser.find_element("css selector", "#trials th:last-child")
    assert not head.is_displayed()  # links lead nowhere on paper


@pytest.mark.slow
def test_a_kept_sample_is_drawn_when_it_is_chosen(browser: Any, searched: Reported) -> None:
    shaped(browser, 1200)
    browser.get(searched.page.as_uri())
    captions = "document.querySelectorAll('#curves-samples figcaption')"
    figures = f"return [...{captions}].map(caption => caption.textContent)"
    first = browser.execute_script(figures)
    assert len(first) == 2  # the worst of each class
    assert ["class normal" in each for each in first].count(True) == 1
    box = browser.find_element("css selector", "#kept-samples tbody tr:last-child input")
    browser.execute_script("arguments[0].click()", box)
    assert len(browser.execute_script(figures)) == 3
    browser.find_element("xpath", "//*[@id='kept-samples']//button[.='choose all shown']").click()
    kept = len(browser.find_elements("css selector", "#kept-samples tbody tr"))
    assert len(browser.execute_script(figures)) == 12 < kept
    count = browser.find_element("css selector", "#kept-samples .count").text
    assert count == f"{kept} of {kept} shown, {kept} chosen, 12 of {kept} drawn"
    for scheme in ("light", "dark"):  # real without colour, reconstructed in colour
        shaped(browser, 1200, scheme)
        real, reconstructed = browser.execute_script(LINES)
        assert chroma(real) < 0.1 < 0.5 < chroma(reconstructed)


@pytest.mark.slow
def test_each_table_is_downloaded_under_a_name_of_its_own(browser: Any, searched: Reported) -> None:
    browser.get(searched.page.as_uri())
    links = browser.find_elements("css selector", ".download")
    names = [link.get_attribute("download") for link in links]
    assert len(set(names)) == len(names) > 1
    assert {"searched-trials.csv", "searched-endings.csv", "searched-endings-2.csv"} < {*names}


@pytest.mark.slow
def test_the_study_file_is_downloaded(browser: Any, searched: Reported, tmp_path: Path) -> None:
    shaped(browser, 1200)
    browser.get(searched.page.as_uri())
    downloads_to(browser, tmp_path)
    browser.find_element("partial link text", "Download searched.yaml").click()
    path = tmp_path / "searched.yaml"
    await_(path.exists)
    assert yaml.safe_load(path.read_text()) == json.loads(json.dumps(dump_study(searched.study)))


def chroma(colour: str) -> float:
    """How far the channels of `rgb(r, g, b)` are apart, of 1."""
    channels = [int(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    return max(channels) - min(channels)


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    shares = [int(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
