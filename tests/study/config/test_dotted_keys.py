from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from study.config.dotted_keys import assign, flatten, inner

keys = st.text("abc", min_size=1, max_size=3)
contents = st.recursive(
    st.integers() | st.lists(st.integers(), max_size=2),
    lambda values: st.dictionaries(keys, values, min_size=1, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(keys, contents, max_size=3))
def test_flat_settings_assign_back_to_the_nested_ones(content: dict[str, Any]) -> None:
    again: dict[str, Any] = {}
    for key, value in flatten(content).items():
        assign(again, key, value)
    assert again == content


def test_what_is_no_mapping_on_the_way_becomes_one() -> None:
    content: dict[str, Any] = {"a": 1}
    assign(content, "a.b.c", 2)
    assert content == {"a": {"b": {"c": 2}}}
    assert inner(content, ("a", "b")) == {"c": 2}
