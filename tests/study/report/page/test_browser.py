"""The page in a real browser, without a network: both schemes, and as wide as a phone."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.study.report.trained import Reported

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars")  # fmt: skip
SHAPES = [(1200, "light"), (390, "dark")]

EMPTY = """
return [...document.querySelectorAll('svg, img')].filter(each => {
  const details = each.closest('details');
  if (details) details.open = true;
  const box = each.getBoundingClientRect();
  return !(box.width > 20 && box.height > 8) || (each.tagName === 'IMG' && !each.naturalWidth);
}).map(each => each.outerHTML.slice(0, 120));
"""
COLOURS = """
const shown = new Set();
for (const each of document.querySelectorAll('p, td, th, figcaption, a, .chart text')) {
  const style = getComputedStyle(each);
  if (each.textContent.trim()) shown.add(each.closest('svg') ? style.fill : style.color);
}
return [getComputedStyle(document.body).backgroundColor, [...shown]];
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if BROWSER is None or DRIVER is None:
        pytest.skip("no browser: install Debian's chromium and chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.mark.slow
@pytest.mark.parametrize("made", ["searched", "of_systems"])
@pytest.mark.parametrize(("width", "scheme"), SHAPES)
def test_the_page_is_whole_and_legible(
    browser: Any, request: pytest.FixtureRequest, made: str, width: int, scheme: str
) -> None:
    page: Reported = request.getfixturevalue(made)
    shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(page.page.as_uri())
    assert browser.get_log("browser") == []
    assert browser.execute_script(EMPTY) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    assert browser.execute_script("return document.querySelectorAll('.chart').length") > 8
    background, colours = browser.execute_script(COLOURS)
    assert (luminance(background) < 0.5) == (scheme == "dark")
    assert min(contrast(background, colour) for colour in colours) >= 4.5, colours


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    shares = [int(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
