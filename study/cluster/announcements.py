"""What the driver is to learn from the coordinator, kept until it asks."""

import asyncio

RESTARTED = "the coordinator died and was started again; the folds train on"


class Announcements:
    """Lines for people, and that the coordinator is new, if it is; each is fetched once.

    Args:
        is_restarted: whether the coordinator was started in place of one that died.
    """

    def __init__(self, *, is_restarted: bool) -> None:
        self._lines: list[str] = []
        self._is_restarted, self._is_closed = is_restarted, False
        self._changed = asyncio.Event()

    def add(self, line: str) -> None:
        """Keep a line for the driver."""
        self._lines.append(line)
        self._changed.set()

    def close(self) -> None:
        """Let those return that wait: nothing is announced any more."""
        self._is_closed = True
        self._changed.set()

    async def fetch(self) -> tuple[tuple[str, ...], bool]:
        """Wait for something new; return the lines, and whether the coordinator is new."""
        while not (self._lines or self._is_restarted or self._is_closed):
            self._changed.clear()
            await self._changed.wait()
        is_restarted, self._is_restarted = self._is_restarted, False
        lines = (*self._lines, RESTARTED) if is_restarted else tuple(self._lines)
        self._lines.clear()
        return lines, is_restarted
