from hypothesis import given
from hypothesis import strategies as st

from study.cluster.faults import Fault, Owner
from study.cluster.node_faults import NodeFaults
from tests.study.cluster.clusters import FewNodes, worker

NODES, TRIALS = [f"n{number}" for number in range(3)], ["t0", "t1", "t2", "t3"]
ILL = Fault(Owner.NODE, "CUDA error")


@given(
    st.lists(st.tuples(st.sampled_from(NODES), st.sampled_from(TRIALS))),
    st.sets(st.sampled_from(TRIALS)),
)
def test_a_node_is_left_alone_that_failed_two_trials_not_to_blame_themselves(
    failures: list[tuple[str, str]], guilty: set[str]
) -> None:
    faults = NodeFaults(FewNodes(NODES).has_room_without)
    lines = [faults.failed(worker("a", node=node), trial, ILL) for node, trial in failures]
    by_node = {node: {t for n, t in failures if n == node} for node in NODES}
    assert faults.left_alone == {node for node, trials in by_node.items() if len(trials) >= 2}
    assert len([line for line in lines if line]) == len(faults.left_alone)
    for trial in guilty:
        faults.acquit(trial)
    alone = {node for node, trials in by_node.items() if len(trials - guilty) >= 2}
    assert faults.left_alone == alone
    for trial in set(TRIALS) - guilty:
        wished = alone | {node for node, trials in by_node.items() if trial in trials}
        possible = [nodes for nodes in (wished, alone, set()) if len(nodes) < len(NODES)]
        assert faults.avoidable(trial) == possible[0]


def test_a_node_is_used_on_where_the_others_have_no_room() -> None:
    faults = NodeFaults(FewNodes(["n0"]).has_room_without)
    faults.failed(worker("a"), "t0", ILL)
    assert faults.failed(worker("b"), "t1", ILL) == (
        "node address of n0 failed folds of t0 and t1 (CUDA error): it stays in use: the"
        " other nodes have no room for a trial"
    )
    assert faults.avoidable("t0") == frozenset()


def test_a_trial_alone_on_its_nodes_is_not_to_blame_for_theirs() -> None:
    faults = NodeFaults(FewNodes().has_room_without)
    faults.failed(worker("a"), "t0", ILL)
    faults.got_on("n0", "t0")
    faults.got_on("n1", "t1")
    assert not faults.is_trials_own("t0", ILL)
    for number in range(9):
        faults.got_on("n0", f"other-{number}")
    assert faults.is_trials_own("t0", ILL)
    assert faults.is_trials_own("t9", Fault(Owner.TRIAL, "no"))
    assert not faults.is_trials_own("t0", Fault(Owner.NODE, "disk", Owner.STUDY))
