import itertools

from hypothesis import given
from hypothesis import strategies as st

from study.report.groups import letters_of


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
