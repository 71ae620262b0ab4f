import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.samplers import (
    BaseSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from study.config.samplers import SAMPLERS, SamplerRequest, sampler_entry
from study.config.study_file import check_study, load_study
from study.errors import RequestError

CONTENT = {"name": "a", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}
REQUEST = SamplerRequest(seed=3, study_seed=9, startup_trials=5, is_conditional=False)
KINDS: dict[str, type[BaseSampler]] = {
    "tpe": TPESampler,
    "gp": GPSampler,
    "cmaes": CmaEsSampler,
    "qmc": QMCSampler,
    "random": RandomSampler,
}


def test_the_table_names_optunas_samplers() -> None:
    assert SAMPLERS.keys() == KINDS.keys()
    assert all(isinstance(SAMPLERS[name].make(REQUEST), kind) for name, kind in KINDS.items())


def test_a_study_searches_with_tpe_unless_it_says_otherwise() -> None:
    assert check_study(CONTENT, "f").search.sampler == "tpe"
    assert load_study("quickstart", ["search.sampler=random"]).search.sampler == "random"


def test_an_unknown_sampler_is_answered_with_those_there_are() -> None:
    with pytest.raises(RequestError, match=r"search\.sampler.*'grid'") as raised:
        check_study({**CONTENT, "search": {"sampler": "grid"}}, "f")
    assert all(name in str(raised.value) for name in SAMPLERS)
    assert "\n" not in str(raised.value)


def test_a_sampler_is_taken_by_its_import_path_with_the_arguments_that_it_has() -> None:
    tpe = sampler_entry("optuna.samplers:TPESampler").make(REQUEST)
    assert isinstance(tpe, TPESampler)
    assert tpe._n_startup_trials == 5
    assert isinstance(sampler_entry("optuna.samplers:NSGAIISampler").make(REQUEST), BaseSampler)


class HandsOn(TPESampler):
    """Takes what its base takes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


class DrawsAlone(RandomSampler):
    """Takes what its base takes, which knows no trials at random."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)


def test_what_a_sampler_hands_on_to_its_base_is_given_as_well() -> None:
    made = sampler_entry(f"{__name__}:HandsOn").make(REQUEST)
    assert made._n_startup_trials == 5  # type: ignore[attr-defined]
    for path in ("HandsOn", "DrawsAlone"):
        entry = sampler_entry(f"{__name__}:{path}")
        first, again = (_first_proposal(entry.make(REQUEST)) for _ in range(2))
        assert first == again


def _first_proposal(sampler: BaseSampler) -> float:
    return optuna.create_study(sampler=sampler).ask().suggest_float("beta", 0, 1)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("nowhere_at_all:Sampler", "ModuleNotFoundError"),
        ("optuna.samplers:Sampler", "AttributeError"),
        ("optuna.pruners:MedianPruner", "no class of optuna.samplers.BaseSampler"),
        ("os:system", "no class of optuna.samplers.BaseSampler"),
        ("optuna.samplers:GridSampler", "cannot be made of a seed .*'search_space'"),
        ("broken_sampler:Sampler", "ZeroDivisionError: division by zero"),
    ],
)
def test_what_is_no_sampler_is_refused_in_one_line(
    path: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_sampler.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert check_study({**CONTENT, "search": {"sampler": path}}, "f").search.sampler == path
    with pytest.raises(RequestError, match=problem) as raised:
        sampler_entry(path)
    assert "\n" not in str(raised.value)
    assert "broken_sampler" not in sys.modules
