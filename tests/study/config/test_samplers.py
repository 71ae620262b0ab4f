import pytest
from optuna.samplers import RandomSampler, TPESampler

from study.config.samplers import SAMPLERS
from study.config.study_file import check_study, load_study
from study.errors import RequestError

CONTENT = {"name": "a", "dataset": {"name": "synthetic"}, "model": {"name": "beta_vaegan"}}


def test_the_table_names_optunas_samplers() -> None:
    made = {name: sampler(3, 5) for name, sampler in SAMPLERS.items()}
    assert isinstance(made["tpe"], TPESampler)
    assert isinstance(made["random"], RandomSampler)


def test_a_study_searches_with_tpe_unless_it_says_otherwise() -> None:
    assert check_study(CONTENT, "f").search.sampler == "tpe"
    assert load_study("quickstart", ["search.sampler=random"]).search.sampler == "random"


def test_an_unknown_sampler_is_answered_with_those_there_are() -> None:
    with pytest.raises(RequestError, match=r"search\.sampler.*'grid'") as raised:
        check_study({**CONTENT, "search": {"sampler": "grid"}}, "f")
    assert all(name in str(raised.value) for name in SAMPLERS)
    assert "\n" not in str(raised.value)
