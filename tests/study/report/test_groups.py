import itertools
import math

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.report.groups import groups_table, letters_of

NAN = math.nan


def test_letters_of_a_case_worked_by_hand() -> None:
    # 0 differs from 2 and 3, 1 from 3: groups are 0 1, 1 2 and 2 3.
    assert letters_of(4, [(0, 2), (0, 3), (1, 3)]) == ["a", "a b", "b c", "c"]
    assert letters_of(3, []) == ["a", "a", "a"]
    assert letters_of(2, [(1, 0)]) == ["a", "b"]
    assert letters_of(0, []) == []


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.sets(
    st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda pair: pair[0] < pair[1])
))))  # fmt: skip
def test_two_share_a_letter_unless_they_differ(drawn: tuple[int, set[tuple[int, int]]]) -> None:
    items, different = drawn
    letters = [set(each.split()) for each in letters_of(items, sorted(different))]
    for pair in itertools.combinations(range(items), 2):
        assert bool(letters[pair[0]] & letters[pair[1]]) == (pair not in different)
    groups = {letter: {i for i in range(items) if letter in letters[i]}
              for each in letters for letter in each}  # fmt: skip
    for one, other in itertools.permutations(groups.values(), 2):
        assert not one <= other  # none is needless


def test_there_are_more_than_26_letters() -> None:
    found = letters_of(30, list(itertools.combinations(range(30), 2)))
    assert found[25:28] == ["z", "aa", "ab"]


@pytest.mark.parametrize(
    ("over_units", "over_folds", "letters"),
    [
        # Pairs are a b, b c and a c. Folds count only where nothing else does.
        ((0.01, 0.9, NAN), (0.9, 0.01, 0.01), ["a", "b", "b"]),
        ((NAN, NAN, NAN), (0.01, 0.9, 0.01), ["a", "b", "b"]),
        ((0.01, NAN, NAN), (NAN, NAN, NAN), ["a", "b", "a b"]),  # no test is no difference
        ((0.049, 0.051, 0.051), (NAN, NAN, NAN), ["a", "b", "a b"]),
        ((NAN, NAN, NAN), (NAN, NAN, NAN), ["", "", ""]),
    ],
)
def test_tests_over_patients_or_samples_count_before_those_over_folds(
    over_units: tuple[float, ...], over_folds: tuple[float, ...], letters: list[str]
) -> None:
    family = {"family": "all_systems", "protocol": "paper", "epoch_rule": "last", "metric": "phi"}
    pairs = [("a", "b"), ("b", "c"), ("a", "c")]
    rows = [
        {**family, "unit_p_holm": over_unit, "fold_p_holm": over_fold}
        | {
            f"{side}_{name}": "r" if name == "composition" else "" if "_" in name else system
            for side, system in (("first", first), ("second", second))
            for name in ("trial", "system", "composition", "latent_form")
        }
        for (first, second), over_unit, over_fold in zip(pairs, over_units, over_folds, strict=True)
    ]
    means = pd.DataFrame(
        {"trial": ["a", "b", "c"], "epoch_rule": "last", "composition": "r", "latent_form": ""}
        | {"phi": [0.9, 0.5, 0.4]}
    )
    made = groups_table(pa.Table.from_pylist(rows), means)
    assert made["system"].to_pylist() == ["a", "b", "c"]
    assert made["groups"].to_pylist() == letters
