import math
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution
from pydantic import ValidationError

from study.config.search_space import Distribution

finite = st.floats(-1e6, 1e6)
above_zero = st.floats(1e-6, 1e6)
whole = st.integers(-1000, 1000)


def ordered(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(values, values).map(sorted)


forms = st.one_of(
    st.tuples(st.just("uniform"), ordered(finite)),
    st.tuples(st.just("loguniform"), ordered(above_zero)),
    st.tuples(st.just("int"), ordered(whole)),
    st.tuples(st.just("logint"), ordered(st.integers(1, 1000))),
    st.tuples(
        st.just("choice"),
        st.lists(st.text(max_size=3) | st.integers(), min_size=1, max_size=4, unique=True),
    ),
)


@given(forms, st.integers(0, 1000))
def test_what_is_drawn_is_of_the_form_and_within_its_ends(
    form: tuple[str, list[Any]], seed: int
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name, values = form
    distribution = Distribution.model_validate({name: values})
    assert list(distribution.ends) == values
    sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(sampler=sampler)
    for _ in range(3):
        drawn = study.ask({"x": distribution.to_optuna()}).params["x"]
        if name == "choice":
            assert drawn in values
            continue
        assert isinstance(drawn, int if "int" in name else float)
        slack = 1e-9 * abs(values[1])  # exp(log(x)) is x but for rounding
        assert values[0] - slack <= drawn <= values[1] + slack


def test_logarithmic_forms_spread_over_decades() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for form, low, high in (("loguniform", 1e-6, 1.0), ("logint", 1, 10**6)):
        distribution = Distribution.model_validate({form: [low, high]})
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
        drawn = [study.ask({"x": distribution.to_optuna()}).params["x"] for _ in range(200)]
        middle = math.sqrt(low * high)
        below = sum(x < middle for x in drawn)
        assert 70 <= below <= 130  # 100 expected, four standard deviations are 28


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"uniform": [0, 1], "int": [0, 1]},
        {"uniform": [1, 0]},
        {"uniform": [0]},
        {"uniform": [0, 1, 2]},
        {"uniform": [0, math.inf]},
        {"uniform": [math.nan, 1]},
        {"uniform": "ab"},
        {"loguniform": [0, 1]},
        {"loguniform": [-1, 1]},
        {"logint": [0, 4]},
        {"int": [0.5, 4]},
        {"int_": [0, 4]},
        {"choice": []},
        {"choice": [[1]]},
        {"choice": [{}]},
        {"choice": [math.nan]},
        {"normal": [0, 1]},
    ],
)
def test_other_forms_are_refused(content: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Distribution.model_validate(content)


def test_a_choice_may_be_nothing() -> None:
    distribution = Distribution.model_validate({"choice": [None, 0.99]})
    assert distribution.ends == (None, 0.99)
    assert distribution.to_optuna() == CategoricalDistribution((None, 0.99))
    assert not distribution.is_integer


def test_choices_keep_their_types() -> None:
    ends = Distribution.model_validate({"choice": [True, 1.5, 2, "x"]}).ends
    assert [(type(v), v) for v in ends] == [(bool, True), (float, 1.5), (int, 2), (str, "x")]
