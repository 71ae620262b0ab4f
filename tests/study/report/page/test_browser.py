"""The page in a real browser: both schemes, narrow and wide, with its script and without."""

import asyncio
import csv
import io
import json
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from study import live_server
from study.config.study_file import dump_study
from study.ledger.ledger import Ledger
from study.live_server import Watch, serve
from study.report.page.build import page_facts
from study.report.page.charts import page_style
from study.report.page.render import render
from study.report.page.search import search_sections
from study.report.page.training import trial_curves
from study.report.page.trials import trials_section
from study.storage.folder import LocalFolder
from tests.study.ledger.test_view import proposed, write_study
from tests.study.report.page.test_search import trials
from tests.study.report.page.test_trials import STUDY, unreported
from tests.study.report.trained import Reported
from tests.study.trials import record_of

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars")  # fmt: skip
SHAPES = [(1200, "light"), (390, "dark"), (2560, "light")]
SECONDS = 20
"""After which something that does not come is missed."""

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


def shaped(browser: Any, width: int, scheme: str = "light", media: str = "") -> None:
    """Give the browser's window a width, and the media that pages ask for."""
    shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


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


def rows(browser: Any) -> list[str]:
    """Names of the trials whose rows are shown, in their order."""
    script = "return [...document.querySelectorAll('tr[data-row]')].filter(r => !r.hidden)"
    return list(browser.execute_script(f"{script}.map(r => r.cells[0].textContent.trim())"))


def values(browser: Any, column: int) -> list[float]:
    script = "return [...document.querySelectorAll('tr[data-row]')].filter(r => !r.hidden)"
    return [
        float(text)
        for text in browser.execute_script(f"{script}.map(r => r.cells[{column}].dataset.value)")
    ]


def chosen_marks(browser: Any) -> list[tuple[str, str]]:
    """Section and trial of each mark that is drawn as chosen."""
    script = """return [...document.querySelectorAll('.chart .chosen')]
      .map(mark => [mark.closest('section').id, mark.dataset.trial]);"""
    return sorted(map(tuple, browser.execute_script(script)))


@pytest.mark.slow
@pytest.mark.parametrize("made", ["searched", "of_systems"])
@pytest.mark.parametrize(("width", "scheme"), SHAPES)
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
@pytest.mark.parametrize(("width", "scheme"), SHAPES[:1])
def test_axe_finds_nothing_that_keeps_people_out(
    browser: Any, request: pytest.FixtureRequest, made: str, width: int, scheme: str
) -> None:
    from axe_core_python.selenium import Axe

    shaped(browser, width, scheme)
    browser.get(request.getfixturevalue(made).page.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    # Marks of pictures are hundreds; their text is tried above, and they say what they are.
    violations = Axe().run(browser, context={"exclude": [["svg"]]})["violations"]
    assert [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in violations] == []


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
        ("trial-00007", lambda r: r.trial.number == 7),
        ("nothing-like-this", lambda r: False),
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
    allowed = {"behavior": "allow", "downloadPath": str(tmp_path)}
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
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


@pytest.mark.slow
def test_the_study_file_is_downloaded(browser: Any, searched: Reported, tmp_path: Path) -> None:
    shaped(browser, 1200)
    browser.get(searched.page.as_uri())
    allowed = {"behavior": "allow", "downloadPath": str(tmp_path)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)
    browser.find_element("partial link text", "Download searched.yaml").click()
    path = tmp_path / "searched.yaml"
    await_(path.exists)
    assert yaml.safe_load(path.read_text()) == json.loads(json.dumps(dump_study(searched.study)))


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


@pytest.mark.slow
def test_a_page_changes_with_the_ledger_and_keeps_what_was_done_in_it(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_server, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(live_server, "REST", 0.0)
    results = LocalFolder(tmp_path)
    write_study(results)
    ledger = Ledger(results.folder("ledger"))
    for number in range(2):
        ledger.record_trial(record_of(proposed(number), values=[(1, 0.25), (2, 0.5 + number / 8)]))
    with served(results) as address:
        shaped(browser, 1200)
        browser.get(address)
        await_(lambda: "2 of 4" in browser.find_element("id", "live").text)
        browser.find_element("css selector", "tr[data-row='0'] input").click()
        browser.find_element("id", "filter-trials").send_keys("beta<0.5")
        browser.execute_script("window.stays = true")
        ledger.record_trial(record_of(proposed(2), values=[(1, 0.25), (2, 0.375)]))
        await_(lambda: len(rows(browser)) == 3)
        assert browser.execute_script("return window.stays")
        assert browser.find_element("id", "filter-trials").get_attribute("value") == "beta<0.5"
        assert browser.execute_script("return document.activeElement.id") == "filter-trials"
        assert ("over-time", "0") in chosen_marks(browser)
        assert "trial-00001 is best so far" in browser.find_element("css selector", "h1").text
        await_(lambda: "3 of 4" in browser.find_element("id", "live").text)


def await_(is_true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    until = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.05)


@contextmanager
def served(results: LocalFolder) -> Iterator[str]:
    """A server of results in a thread of its own, within the block; its address."""
    addresses: queue.Queue[str] = queue.Queue()
    loop = asyncio.new_event_loop()

    async def main() -> None:
        await serve(Watch(results), 0, addresses.put)

    task = loop.create_task(main())
    thread = threading.Thread(target=_run, args=(loop, task))
    thread.start()
    try:
        yield addresses.get(timeout=SECONDS)
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(SECONDS)
        loop.close()


def _run(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(task)


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, as WCAG 2 defines it."""
    shares = [int(part) / 255 for part in colour.strip("rgba()").split(",")[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
