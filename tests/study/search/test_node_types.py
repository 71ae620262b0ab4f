import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from study.search.node_types import capacity_of, growth_of, not_there_yet
from study.search.plan import Growth, NodeCapacity, NodeKind

BIG, SMALL = NodeCapacity(8, 1), NodeCapacity(2, 0)
DESCRIPTION = """
max_workers: 5
available_node_types:
  head: {resources: {CPU: 4}}
  big: {resources: {CPU: 8, GPU: 1}, min_workers: 1, max_workers: 3}
  small: {resources: {CPU: 2}}
  unknown: {resources: {}}
  silent: {}
head_node_type: head
"""


def test_workers_that_a_description_allows_are_those_that_say_what_they_have() -> None:
    growth = growth_of(yaml.safe_load(DESCRIPTION))
    assert growth == Growth((NodeKind("big", BIG, 3), NodeKind("small", SMALL, 5)), 5)


@pytest.mark.parametrize("left_out", [(), ("max_workers",)])
def test_what_ray_makes_of_a_description_says_the_same(left_out: tuple[str, ...]) -> None:
    """Ray fills in two where there is no limit; see `prepare_config`."""
    from ray.autoscaler._private.util import prepare_config

    content = yaml.safe_load(DESCRIPTION)
    description = {name: part for name, part in content.items() if name not in left_out}
    prepared = prepare_config({**description, "cluster_name": "c", "provider": {"type": "aws"}})
    assert growth_of(prepared) == growth_of(description)


def test_a_description_without_node_types_allows_nothing() -> None:
    assert growth_of({"max_workers": 3, "provider": {"type": "local"}}).kinds == ()


@pytest.mark.parametrize(
    ("living", "kinds", "most"),
    [
        ([], (3, 5), 5),
        ([BIG], (2, 5), 4),
        ([BIG] * 4, (0, 5), 1),
        ([SMALL, BIG, SMALL], (2, 3), 2),
        ([NodeCapacity(64, 0)], (3, 5), 4),
        ([SMALL] * 9, (3, 0), 0),
    ],
)
def test_nodes_that_live_are_not_added_again(
    living: list[NodeCapacity], kinds: tuple[int, int], most: int
) -> None:
    left = not_there_yet(growth_of(yaml.safe_load(DESCRIPTION)), living)
    assert tuple(kind.most for kind in left.kinds) == kinds
    assert left.most == most


@given(st.lists(st.sampled_from([BIG, SMALL]), max_size=8))
def test_living_and_added_nodes_of_a_kind_are_never_more_than_allowed(
    living: list[NodeCapacity],
) -> None:
    growth = growth_of(yaml.safe_load(DESCRIPTION))
    for allowed, left in zip(growth.kinds, not_there_yet(growth, living).kinds, strict=True):
        assert left.most == max(0, allowed.most - living.count(allowed.node))


def test_resources_of_a_node_are_its_cpus_and_gpus() -> None:
    assert capacity_of({"CPU": 8, "GPU": 1, "memory": 10**9}) == BIG
    assert capacity_of({"node:10.0.0.1": 1.0}) == NodeCapacity(0, 0)
