"""The server behind `study.watch`: a study's page, its events, and files of its results.

It reads the ledger and writes nothing. It listens on this machine alone, and answers to its
names alone: a page of another site could have its own name resolved to this machine.
"""

import asyncio
import contextlib
import json
import posixpath
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web
from aiohttp.typedefs import Handler
from markupsafe import Markup

from study.errors import RequestError
from study.ledger.view import LedgerView
from study.report.page.live import news_line, render_live
from study.storage.folder import Folder

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
POLL_SECONDS = 1.0
STORE_POLL_SECONDS = 20.0
"""Between looks at a ledger on a disk, and in a store, which is asked for a list each time."""
REST = 5.0
"""Seconds between changes of the page, in those that making it took: trainings come first."""
ALIVE_SECONDS = 15.0
"""Silence after which a connection is written to, so that one that is closed is noticed."""
SERVED = ("ledger", "report", "tensorboard")
"""Folders of the results that pages link to."""
KINDS = {".html": "text/html", ".json": "application/json", ".md": "text/plain"}
EVENTS = "events"


class Watch:
    """The page of a study, made again when its ledger has changed and somebody asks for it."""

    def __init__(self, results: Folder) -> None:
        """Read the ledger.

        Raises:
            RequestError: the folder holds no study.
        """
        self.results = results
        self._view = LedgerView(results)
        self._state = self._view.read()
        self._page = ("", "")
        self._making, self._changed = asyncio.Lock(), asyncio.Condition()
        self._seconds = 0.0

    async def page(self) -> str:
        """Return the page of the ledger as it was when it was read last."""
        async with self._making:
            state = self._state
            if self._page[0] != state.version:
                started = time.monotonic()
                made = await asyncio.to_thread(render_live, state, self.results, EVENTS)
                self._page, self._seconds = (state.version, made), time.monotonic() - started
            return self._page[1]

    async def follow(self) -> None:
        """Read the ledger again and again, for ever."""
        while True:
            poll_seconds = STORE_POLL_SECONDS if self._view.is_in_store else POLL_SECONDS
            await asyncio.sleep(max(poll_seconds, REST * self._seconds))
            try:
                state = await asyncio.to_thread(self._view.read)
            except (RequestError, OSError):
                continue  # the study begins anew, or its folder cannot be reached just now
            if state.version != self._state.version:
                async with self._changed:
                    self._state = state
                    self._changed.notify_all()

    async def events(self) -> AsyncIterator[str]:
        """Yield a page's events: how far the study is, at once and after every change."""
        while True:
            state = self._state
            line = f"{news_line(state)}; read at {time.strftime('%H:%M:%S')}"
            data = json.dumps({"version": state.version, "line": line})
            yield f"event: ledger\ndata: {data}\n\n"
            while not await self._has_changed(state.version):
                yield ": nothing new\n\n"

    async def _has_changed(self, version: str) -> bool:
        """Wait for another version than this, for as long as a connection may be silent."""
        try:
            async with asyncio.timeout(ALIVE_SECONDS), self._changed:
                await self._changed.wait_for(lambda: self._state.version != version)
        except TimeoutError:
            return False
        return True


def application(watch: Watch) -> web.Application:
    """Return the server of a page, its events, and files of the results."""

    async def page(_: web.Request) -> web.Response:
        headers = {"Cache-Control": "no-store"}
        return web.Response(text=await watch.page(), content_type="text/html", headers=headers)

    async def events(request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):  # the page was closed
            async for event in watch.events():
                await response.write(event.encode())
        return response

    async def file(request: web.Request) -> web.Response:
        return await asyncio.to_thread(_file, watch.results, request.match_info["path"])

    server = web.Application(middlewares=[_refuse_other_names])
    server.add_routes(
        [
            web.get("/", page),
            web.get(f"/{EVENTS}", events),
            web.get(f"/{{path:(?:{'|'.join(SERVED)})/.*}}", file),
        ]
    )
    return server


async def serve(watch: Watch, port: int, on_start: Callable[[str], object]) -> None:
    """Serve a page on this machine alone, until it is interrupted.

    Args:
        watch: makes the page.
        port: to listen at; 0 for any that is free.
        on_start: is called with the page's address.

    Raises:
        OSError: the port is taken.
    """
    runner = web.AppRunner(application(watch), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        on_start(f"http://{HOST}:{runner.addresses[0][1]}/")
        await watch.follow()
    finally:
        await runner.cleanup()


@web.middleware
async def _refuse_other_names(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.url.host not in NAMES:
        raise web.HTTPForbidden(text="this server answers to its own machine alone")
    return await handler(request)


def _file(results: Folder, path: str) -> web.Response:
    """Return a file of the results, or a list of the names in a folder."""
    parts = path.strip("/").split("/")
    if any(not part or part.startswith(".") or "\\" in part for part in parts):
        raise web.HTTPNotFound
    path = "/".join(parts)
    if names := results.names(path):
        items = (
            Markup('<li><a href="/{}/{}">{}</a></li>').format(path, name, name) for name in names
        )
        page = Markup('<!doctype html><html lang="en"><title>{}</title><h1>{}</h1><ul>{}</ul>')
        text = page.format(path, path, Markup("").join(items))
        return web.Response(text=text, content_type="text/html")
    try:
        content = results.read(path)
    except OSError:
        raise web.HTTPNotFound from None
    kind = KINDS.get(posixpath.splitext(path)[1], "application/octet-stream")
    charset = "utf-8" if kind in KINDS.values() else None
    headers = {"X-Content-Type-Options": "nosniff"}
    return web.Response(body=content, content_type=kind, charset=charset, headers=headers)
