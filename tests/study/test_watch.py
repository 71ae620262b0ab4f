"""The server of a running study's page, with a real ledger that grows."""

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from study.ledger.ledger import Ledger
from study.live_server import Watch, serve
from study.search.trial import Proposal
from study.storage.folder import LocalFolder
from study.watch import app
from tests.commands import call
from tests.study.ledger.viewed import proposed, write_study
from tests.study.trials import record_of

SECONDS = 20
"""After which something that does not come is missed."""


@pytest.fixture
def results(tmp_path: Path, quick_server: None) -> LocalFolder:
    """A study whose first trial has ended and whose second runs."""
    results = LocalFolder(tmp_path)
    ledger = write_study(results)
    for number in range(2):
        ledger.record_proposal(Proposal(proposed(number), number, (), 7))
    ledger.record_trial(record_of(proposed(0), values=[(1, 0.25), (2, 0.5)]))
    return results


@asynccontextmanager
async def served(results: LocalFolder) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of a server of these results."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(Watch(results), 0, address.set_result))
    try:
        async with aiohttp.ClientSession(await address) as client:
            yield client
    finally:
        server.cancel()
        await asyncio.gather(server, return_exceptions=True)


def asked(results: LocalFolder, ask: Callable[[aiohttp.ClientSession], Awaitable[Any]]) -> Any:
    """What a client of a server of these results finds out."""

    async def main() -> Any:
        async with asyncio.timeout(SECONDS), served(results) as client:
            return await ask(client)

    return asyncio.run(main())


async def next_news(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The next event that is no sign of life."""
    async for line in response.content:
        if line.startswith(b"data: "):
            return dict(json.loads(line.removeprefix(b"data: ")))
    raise AssertionError("the server hung up")


def states(page: str) -> dict[str, str]:
    """State by trial, from the page's table."""
    rows = re.findall(r'<tr[^>]* data-row="\d+">(.*?)</tr>', page, re.DOTALL)
    cells = [re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL) for row in rows]
    return {row[0]: row[1].partition("<")[0] for row in cells}


def test_the_page_gets_what_is_new_and_shows_it(results: LocalFolder) -> None:
    ledger = Ledger(results.folder("ledger"))

    async def ask(client: aiohttp.ClientSession) -> None:
        async with client.get("/") as response:
            first = await response.text()
        assert states(first) == {"trial-00001": "running", "trial-00000": "completed"}
        async with client.get("/events") as response:
            assert response.content_type == "text/event-stream"
            news = await next_news(response)
            assert news["line"].startswith("1 of 4 trials ended, 1 running; ")
            assert f'data-version="{news["version"]}"' in first
            ledger.record_trial(record_of(proposed(1), "pruned", [(1, 0.125)], 1))
            news = await next_news(response)
            assert news["line"].startswith("2 of 4 trials ended, 0 running; ")
        async with client.get("/") as response:
            second = await response.text()
        assert states(second) == {"trial-00000": "completed", "trial-00001": "stopped early"}
        assert f'data-version="{news["version"]}"' in second

    asked(results, ask)


def test_a_page_that_is_closed_is_no_error(
    results: LocalFolder, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(results.folder("ledger"))

    async def ask(client: aiohttp.ClientSession) -> None:
        for ended in (proposed(1), proposed(2)):
            async with client.get("/events") as closed:
                await next_news(closed)
            async with client.get("/events") as response:
                await next_news(response)
                ledger.record_trial(record_of(ended, "pruned", [(1, 0.125)], ended.number))
                await next_news(response)

    asked(results, ask)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_study_that_begins_anew_is_followed_on(results: LocalFolder) -> None:
    """For a moment its folder holds no study."""
    ledger, content = Ledger(results.folder("ledger")), results.read("study.yaml")

    async def ask(client: aiohttp.ClientSession) -> None:
        async with client.get("/events") as response:
            await next_news(response)
            results.remove("study.yaml")
            ledger.record_trial(record_of(proposed(1), "pruned", [(1, 0.125)], 1))
            await asyncio.sleep(0.2)
            results.write("study.yaml", content)
            news = await next_news(response)
            assert news["line"].startswith("2 of 4 trials ended")

    asked(results, ask)


def test_nothing_is_written(results: LocalFolder, tmp_path: Path) -> None:
    def written() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    async def ask(client: aiohttp.ClientSession) -> None:
        async with client.get("/") as response:
            await response.read()

    before = written()
    asked(results, ask)
    assert written() == before


@pytest.mark.parametrize(
    ("path", "status", "content"),
    [
        ("/ledger/trial-00000/", 200, "trial.json"),
        ("/ledger/trial-00000/trial.json", 200, '"state": "completed"'),
        ("/ledger/trial-00009/", 404, ""),
        ("/study.yaml", 404, ""),
        ("/ledger/../study.yaml", 404, ""),
        ("/ledger/%2e%2e/study.yaml", 404, ""),
        ("/ledger/..%2fstudy.yaml", 404, ""),
        ("/ledger/%2fetc/passwd", 404, ""),
    ],
)
def test_files_of_the_results_are_served_and_no_others(
    results: LocalFolder, path: str, status: int, content: str
) -> None:
    async def ask(client: aiohttp.ClientSession) -> tuple[int, str]:
        base = client._base_url
        assert base is not None
        # As it stands: a client would resolve the dots itself.
        reader, writer = await asyncio.open_connection(base.host, base.port)
        writer.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        return int(answer.split()[1]), answer

    code, answer = asked(results, ask)
    assert code == status
    assert content in answer
    assert "root:" not in answer
    assert "dataset:" not in answer


def test_who_names_another_host_is_refused(results: LocalFolder) -> None:
    async def ask(client: aiohttp.ClientSession) -> list[int]:
        statuses = []
        for host in ("127.0.0.1", "localhost:1", "evil.example", "127.0.0.1.evil.example"):
            async with client.get("/", headers={"Host": host}) as response:
                statuses.append(response.status)
        return statuses

    assert asked(results, ask) == [200, 200, 403, 403]


def test_what_is_no_study_and_a_port_that_is_taken_are_said_in_a_line(
    results: LocalFolder, tmp_path: Path
) -> None:
    answer = call(app, str(tmp_path / "ledger"))
    assert answer.code == 2
    assert "is no study" in answer.errors
    with socket.create_server(("127.0.0.1", 0)) as taken:
        answer = call(app, str(tmp_path), "--port", str(taken.getsockname()[1]))
    assert answer.code == 1
    assert "address already in use" in answer.errors
    assert answer.errors.count("\n") == 1
