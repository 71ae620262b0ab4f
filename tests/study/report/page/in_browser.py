"""What a browser is asked for, and what is seen in it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 20
"""After which something that does not come is missed."""
SHOWN = "return [...document.querySelectorAll('tr[data-row]')].filter(r => !r.hidden)"
"""Rows of trials that no filter hides."""


def shaped(browser: Any, width: int, scheme: str = "light", media: str = "") -> None:
    """Give the browser's window a width, and the media that pages ask for."""
    shape = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": features})


def downloads_to(browser: Any, folder: Path) -> None:
    """Have what is downloaded lie in a folder."""
    allowed = {"behavior": "allow", "downloadPath": str(folder)}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", allowed)


def rows(browser: Any) -> list[str]:
    """Names of the trials whose rows are shown, in their order."""
    return list(browser.execute_script(f"{SHOWN}.map(r => r.cells[0].textContent.trim())"))


def values(browser: Any, column: int) -> list[float]:
    """What the cells of a column stand for, of the rows that are shown."""
    return [
        float(text)
        for text in browser.execute_script(f"{SHOWN}.map(r => r.cells[{column}].dataset.value)")
    ]


def chosen_marks(browser: Any) -> list[tuple[str, str]]:
    """Section and trial of each mark that is drawn as chosen."""
    script = """return [...document.querySelectorAll('.chart .chosen')]
      .map(mark => [mark.closest('section').id, mark.dataset.trial]);"""
    return sorted(map(tuple, browser.execute_script(script)))


def await_(is_true: Callable[[], bool]) -> None:
    """Wait until something is true."""
    until = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < until
        time.sleep(0.05)
