"""Trials that no report was made of."""

import math
from collections.abc import Sequence

import numpy as np

from study.config.schema import Study
from study.config.study_file import check_study
from study.report.page.inputs import PageInputs
from study.search.trial import State, TrialRecord
from study.storage.folder import open_folder
from tests.study.report.trained import SEARCH
from tests.study.trials import record_of, trial_of

STUDY = check_study(SEARCH, "searched.yaml")


def trials(study: Study, count: int) -> list[TrialRecord]:
    """Trials whose metric follows beta alone, a third of them stopped early."""
    random = np.random.default_rng(0)
    records = []
    for number in range(count):
        beta = float(10 ** random.uniform(-6, -1))
        best = 0.9 - 0.05 * abs(math.log10(beta) + 4) + 0.001 * random.normal()
        stopped = number % 3 == 1
        values = [(epoch, best - 0.1 / epoch) for epoch in range(1, 3 if stopped else 9)]
        parameters = {"model.beta": beta, "model.latent_size": int(random.integers(2, 5))}
        state: State = "pruned" if stopped else "completed"
        records.append(record_of(trial_of(study, number, parameters), state, values, number))
    return records


def unreported(records: Sequence[TrialRecord]) -> PageInputs:
    """Trials of a study that has no tables yet."""
    return PageInputs(STUDY, records, {}, open_folder("nowhere"))
