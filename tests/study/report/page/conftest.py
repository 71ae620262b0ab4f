import shutil
from collections.abc import Iterator
from typing import Any

import pytest

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             "--hide-scrollbars")  # fmt: skip


@pytest.fixture(scope="module")
def browser(started_browser: Any) -> Iterator[Any]:
    """The browser, with nothing left of the tests of another module."""
    started_browser.get("about:blank")
    started_browser.get_log("browser")
    yield started_browser
    started_browser.get("about:blank")


@pytest.fixture(scope="session")
def started_browser() -> Iterator[Any]:
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
