"""The benchmark of recipes reads every shipped search without what it searches."""

import pytest

from benchmarks.recipes import NOTHING_SEARCHED
from study.config.study_file import load_study
from study.config.trial_config import TrialConfig


@pytest.mark.parametrize("name", ["mitbih", "new_patients", "wafer", "quickstart"])
def test_a_shipped_search_is_one_trial(name: str) -> None:
    assert TrialConfig.of(load_study(name, [*NOTHING_SEARCHED])).study == name
