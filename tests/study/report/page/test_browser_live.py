"""A page in a real browser that follows a ledger."""

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from study.live_server import Watch, serve
from study.storage.folder import LocalFolder
from tests.study.ledger.viewed import proposed, write_study
from tests.study.report.page.in_browser import SECONDS, await_, chosen_marks, rows, shaped
from tests.study.trials import record_of


@pytest.mark.slow
@pytest.mark.usefixtures("quick_server")
def test_a_page_changes_with_the_ledger_and_keeps_what_was_done_in_it(
    browser: Any, tmp_path: Path
) -> None:
    results = LocalFolder(tmp_path)
    ledger = write_study(results)
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
