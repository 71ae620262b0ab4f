"""What a fold's worker reports to the coordinator, and reports again to one that is new."""

import time
from dataclasses import replace
from typing import Any

import ray

from study.cluster.exchange import Answer, FoldWorker
from study.cluster.faults import Fault
from study.search.trial import Trial
from study.training.validation_report import StoppedEarly, ValidationReport

HEARTBEAT_SECONDS = 10.0
"""Least seconds between reports that a fold gets on."""


class StoppedError(Exception):
    """The trial has ended, was assigned to other workers, or it is the turn of another fold."""


class FoldReporter:
    """Reports for one worker, on one fold after the other.

    Its reports of the fold are kept, as a coordinator that replaces a dead one has none.
    """

    def __init__(self, coordinator: Any, worker: FoldWorker) -> None:
        self._coordinator, self._worker = coordinator, worker
        self._attempt = ""
        self._reports: list[ValidationReport] = []
        self._longest_epoch = 0.0
        self._began = self._last_heartbeat = time.monotonic()

    def next_turn(self) -> tuple[Trial, int] | None:
        """Wait for the next fold; return it with its trial, or None at the end of all."""
        while True:
            ask = self._coordinator.next_assignment.remote
            has_ended = bool(self._reports) and self._reports[-1].state != "running"
            answer = ray.get(ask(self._worker, self._attempt, self._reported, has_ended))
            if answer is not Answer.REPEAT:
                break
            self._report_all()
        assignment = answer.assignment
        self._worker = replace(self._worker, fold=answer.fold)
        self._attempt, self._reports, self._longest_epoch = assignment.attempt, [], 0.0
        self._began = self._last_heartbeat = time.monotonic()
        return None if assignment.trial is None else (assignment.trial, answer.fold)

    @property
    def _reported(self) -> int:
        """The last epoch that was reported; 0 for none."""
        return self._reports[-1].epoch if self._reports else 0

    def validated(self, report: ValidationReport) -> None:
        """Report a validation, and wait until the fold may train on.

        Raises:
            StoppedEarly: the search stops the trial here: the fold is to be committed as it is.
            StoppedError: the fold is of no use any more.
        """
        previous = self._reported
        self._reports.append(report)
        if self._longest_epoch:  # what came before was trained here, not read again
            self._take_time()
        answer = self._report(previous, [report])
        if answer is Answer.REPEAT:
            answer = self._report_all()
        self._began = self._last_heartbeat = time.monotonic()
        if answer is Answer.STOP:
            raise StoppedEarly
        if answer is Answer.END:
            raise StoppedError

    def _report_all(self) -> Answer:
        return self._report(0, self._reports)

    def _report(self, previous: int, reports: list[ValidationReport]) -> Answer:
        call = self._coordinator.report.remote
        answer: Answer = ray.get(
            call(self._worker, self._attempt, previous, reports, self._longest_epoch)
        )
        return answer

    def epoch_ended(self) -> None:
        """Take the time of an epoch, and report that the fold gets on."""
        self._take_time()
        self.got_on()

    def got_on(self) -> None:
        """Report that the fold gets on, unless the last report is recent."""
        now = time.monotonic()
        if now - self._last_heartbeat > HEARTBEAT_SECONDS:
            self._last_heartbeat = now
            self._coordinator.heartbeat.remote(self._worker, self._attempt, self._longest_epoch)

    def _take_time(self) -> None:
        now = time.monotonic()
        self._longest_epoch = max(self._longest_epoch, now - self._began)
        self._began = now

    def failed(self, fault: Fault) -> None:
        """Report why this worker ends."""
        ray.get(self._coordinator.report_failure.remote(self._worker, self._attempt, fault))
