"""What the coordinator reports to the driver while trials run."""

import contextlib
import threading
from typing import Any

import ray
from ray.exceptions import RayError

from study.cluster.search_state import SearchState
from study.ledger.run_time import RunTime

POLL_SECONDS = 0.5


class NewsReader(contextlib.AbstractContextManager["NewsReader"]):
    """Shows the coordinator's lines, in a thread, and gives a new one the driver's decisions.

    It writes down from time to time for how long the study has run.
    """

    def __init__(
        self, state: SearchState, coordinator: Any, run_time: RunTime | None = None
    ) -> None:
        self._state, self._coordinator, self._run_time = state, coordinator, run_time
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> "NewsReader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _read(self) -> None:
        left_alone: frozenset[str] = frozenset()
        with contextlib.suppress(RayError):  # without a cluster there is no news
            while not self._ended.is_set():
                awaited = self._coordinator.news.remote(left_alone)
                while not ray.wait([awaited], timeout=POLL_SECONDS)[0]:
                    self._save_run_time()
                    if self._ended.is_set():
                        return
                news = ray.get(awaited)
                left_alone = news.left_alone
                if news.is_restarted:
                    self._restore()
                for line in news.lines:
                    self._state.observer.on_news(line)

    def _save_run_time(self) -> None:
        try:
            if self._run_time:
                self._run_time.save_if_due()
        except Exception as error:  # what keeps it from being written ends the study
            self._state.errors.append(error)
            self._run_time = None

    def _restore(self) -> None:
        state = self._state
        ended = {trial.name for trial in [*state.running.values()]} & state.ended.keys()
        stops = dict.fromkeys((*state.failed, *state.lost, *ended))
        self._coordinator.restore.remote(dict(state.promoted), {**state.stopped, **stops})
