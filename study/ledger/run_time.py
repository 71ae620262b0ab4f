"""For how long the search of a study has run, all its runs together; kept in its ledger."""

import json
import time
from collections.abc import Callable

from study.ledger.ledger import DamagedError, Ledger
from study.storage.hashes import with_digest, without_digest

FILE = "run_time"
SAVE_SECONDS = 60.0
"""What a killed driver may leave uncounted."""


class RunTime:
    """Counts on from what the ledger has.

    Args:
        ledger: the study's.
        clock: returns seconds.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = ledger.folder, clock
        self._before = stored_seconds(ledger)
        self._began = self._saved = clock()

    def seconds(self) -> float:
        """Return for how long the study has run, this run included."""
        return self._before + self._clock() - self._began

    def save_if_due(self) -> None:
        """Write it down, unless that was done a moment ago."""
        if self._clock() - self._saved >= SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write it down."""
        self._saved = self._clock()
        content = json.dumps({"seconds": round(self.seconds(), 3)}).encode()
        self._folder.write(FILE, with_digest(content))


def stored_seconds(ledger: Ledger) -> float:
    """Return what a ledger has; 0 if it has nothing.

    Raises:
        DamagedError: it is not what was written.
    """
    try:
        content = without_digest(ledger.folder.read(FILE))
    except FileNotFoundError:
        return 0.0
    if content is None:
        raise DamagedError(f"{ledger.folder.locate(FILE)} is not what was written (sha256)")
    return float(json.loads(content)["seconds"])


def copy_run_time(source: Ledger, target: Ledger) -> None:
    """Have a ledger that has no time of its own count on from another's."""
    if not target.folder.exists(FILE) and source.folder.exists(FILE):
        target.folder.write(FILE, source.folder.read(FILE))
