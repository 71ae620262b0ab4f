import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.schema import StoppingSettings, Study
from study.config.study_file import check_study
from study.errors import RequestError
from study.search.plan import (
    Growth,
    NodeCapacity,
    NodeKind,
    Plan,
    make_plan,
    nodes_for,
    this_machine,
)

nodes = st.lists(
    st.builds(
        NodeCapacity,
        cpus=st.integers(0, 16).map(float),
        gpus=st.integers(0, 4).map(float),
    ),
    min_size=1,
    max_size=4,
)
cpus = st.just("auto") | st.sampled_from([0.25, 0.5, 1, 2, 3.5])
gpus = st.just("auto") | st.sampled_from([0, 0.2, 0.25, 0.3, 0.5, 0.6, 0.7, 1, 2])


def asked(
    folds: int = 5,
    cpu: object = "auto",
    gpu: object = "auto",
    concurrent: object = "auto",
    trials: int = 100_000,
    workers: int | None = None,
) -> Study:
    content = {
        "name": "p",
        "dataset": {"name": "synthetic"},
        "model": {"name": "beta_vaegan"},
        "split": {"folds": folds},
        "search": {"trials": trials},
        "resources": {
            "per_fold": {"cpu": cpu, "gpu": gpu},
            "max_concurrent_trials": concurrent,
            "workers_per_trial": workers,
        },
    }
    return check_study(content, "p")


def packed(cpu: float, gpu: float, have: list[NodeCapacity], limit: int) -> int:
    """Folds placed one by one, as Ray does: a share of a GPU comes from one device.

    Counts in ten-thousandths, Ray's own unit.
    """
    unit = 10_000
    placed = 0
    for node in have:
        free_cpu = round(node.cpus * unit)
        devices = [unit] * round(node.gpus)
        while placed < limit and free_cpu >= round(cpu * unit):
            need = round(gpu * unit)
            if need >= unit:
                whole = [i for i, free in enumerate(devices) if free == unit]
                if len(whole) * unit < need:
                    break
                for i in whole[: need // unit]:
                    devices[i] = 0
            elif need:
                fitting = [i for i, free in enumerate(devices) if free >= need]
                if not fitting:
                    break
                devices[fitting[0]] -= need
            free_cpu -= round(cpu * unit)
            placed += 1
    return placed


@given(nodes, st.integers(1, 12), cpus, gpus)
def test_all_workers_of_all_planned_trials_fit_at_once(
    have: list[NodeCapacity], folds: int, cpu: object, gpu: object
) -> None:
    study = asked(folds, cpu, gpu)
    try:
        plan = make_plan(study, have)
    except RequestError:
        return
    assert plan.trials_at_a_time >= 1
    needed = plan.trials_at_a_time * plan.workers_for(folds)
    assert packed(plan.cpu, plan.gpu, have, needed) == needed


@given(
    nodes,
    st.integers(1, 12),
    cpus,
    st.sampled_from([0, 0.2, 0.25, 0.5, 1, 2]),
    st.none() | st.integers(1, 15),
)
def test_as_many_trials_as_fit_are_planned_and_none_is_refused_that_fits(
    have: list[NodeCapacity], folds: int, cpu: object, gpu: float, workers: int | None
) -> None:
    try:
        plan = make_plan(asked(folds, cpu, gpu, workers=workers), have)
    except RequestError:
        least = 0.01 if cpu == "auto" else cpu
        assert packed(least, gpu, have, 1) == 0  # type: ignore[arg-type]
        return
    room = packed(plan.cpu, plan.gpu, have, 10_000)
    at_a_time = min(folds, room, workers or folds)
    assert (plan.workers or folds) == plan.workers_for(folds) == at_a_time
    assert plan.trials_at_a_time == room // at_a_time


@pytest.mark.parametrize(
    ("folds", "have", "cpu"),
    [(5, [2], 0.4), (2, [2], 1.0), (3, [1], 0.3333), (5, [8, 1], 1.0), (4, [1, 1], 0.5)],
)
def test_auto_takes_one_cpu_or_the_share_that_lets_all_folds_run(
    folds: int, have: list[int], cpu: float
) -> None:
    plan = make_plan(asked(folds), [NodeCapacity(float(n), 0.0) for n in have])
    assert 0 < plan.cpu <= 1
    # 1/n of a CPU; five folds on two CPUs get a third each, not two fifths.
    assert plan.cpu <= cpu
    assert 1 / plan.cpu == pytest.approx(round(1 / plan.cpu), rel=1e-3)
    assert plan.threads == 1
    assert plan.gpu == 0


@pytest.mark.parametrize(
    ("folds", "node", "expected"),
    [
        (8, NodeCapacity(2, 0), Plan(0.25, 0, 1)),
        (9, NodeCapacity(2, 0), Plan(1, 0, 1, workers=2)),
        (50, NodeCapacity(2, 0), Plan(1, 0, 1, workers=2)),
        (50, NodeCapacity(0.5, 0), Plan(0.5, 0, 1, workers=1)),
        (10, NodeCapacity(16, 1), Plan(1, 0.2, 1, workers=5)),
        (10, NodeCapacity(4, 1), Plan(0.5, 0.2, 1, workers=5)),
        (10, NodeCapacity(1, 1), Plan(1, 0.2, 1, workers=1)),
    ],
)
def test_folds_that_would_share_a_cpu_with_many_wait_their_turn(
    folds: int, node: NodeCapacity, expected: Plan
) -> None:
    assert make_plan(asked(folds), [node]) == expected


def test_a_study_may_ask_for_fewer_workers_than_fit() -> None:
    have = [NodeCapacity(6, 0)]
    assert make_plan(asked(5, workers=2), have) == Plan(1, 0, 3, workers=2)
    assert make_plan(asked(5, workers=5), have) == make_plan(asked(5, workers=9), have)
    assert make_plan(asked(5, workers=9), have) == make_plan(asked(5), have) == Plan(1, 0, 1)


def test_auto_shares_gpus_where_there_are_any() -> None:
    plan = make_plan(asked(5), [NodeCapacity(8.0, 1.0)])
    assert (plan.gpu, plan.trials_at_a_time) == (0.2, 1)
    assert make_plan(asked(5), [NodeCapacity(8.0, 0.0)]).gpu == 0


@pytest.mark.parametrize(
    ("concurrent", "trials", "expected"),
    [("auto", 10, 6), (3, 10, 3), (50, 10, 6), ("auto", 2, 2), (1, 1, 1)],
)
def test_trials_at_a_time_are_capped(concurrent: object, trials: int, expected: int) -> None:
    study = asked(2, 1, 0, concurrent, trials)
    assert make_plan(study, [NodeCapacity(12.0, 0.0)]).trials_at_a_time == expected


@pytest.mark.parametrize(
    ("cpu", "gpu", "have"),
    [
        (3, 0, [NodeCapacity(2.0, 0.0), NodeCapacity(2.9, 0.0)]),
        (0.5, 3, [NodeCapacity(8.0, 2.0)]),
        (0.5, 1, [NodeCapacity(8.0, 0.0)]),
        (4, 0, [NodeCapacity(3.0, 0.0)] * 20),
        ("auto", "auto", [NodeCapacity(0.0, 0.0)]),
        ("auto", "auto", []),
    ],
)
def test_what_never_fits_is_a_wrong_request(
    cpu: object, gpu: object, have: list[NodeCapacity]
) -> None:
    with pytest.raises(RequestError, match=r"resources\.per_fold: a fold with"):
        make_plan(asked(5, cpu, gpu), have)


growths = st.builds(
    Growth,
    kinds=st.lists(
        st.builds(
            NodeKind,
            name=st.just("k"),
            node=st.builds(
                NodeCapacity,
                cpus=st.integers(0, 8).map(float),
                gpus=st.integers(0, 2).map(float),
            ),
            most=st.integers(0, 3),
        ),
        max_size=3,
    ).map(tuple),
    most=st.integers(0, 4),
)


def all_that_may_be_added(growth: Growth) -> list[list[NodeCapacity]]:
    """Every set of nodes that an autoscaler may add."""
    every: list[list[NodeCapacity]] = [[]]
    for kind in growth.kinds:
        every = [[*nodes, *[kind.node] * n] for nodes in every for n in range(kind.most + 1)]
    return [nodes for nodes in every if len(nodes) <= growth.most]


@given(nodes, growths, st.integers(1, 6), cpus, gpus)
def test_nodes_that_may_be_added_count_as_the_best_choice_of_them(
    have: list[NodeCapacity], growth: Growth, folds: int, cpu: object, gpu: object
) -> None:
    """Held against every choice, placed fold by fold."""
    study = asked(folds, cpu, gpu)
    choices = [[*have, *added] for added in all_that_may_be_added(growth)]
    try:
        plan = make_plan(study, have, growth)
    except RequestError:
        if "auto" not in (cpu, gpu):
            least: tuple[float, float] = (cpu, gpu)  # type: ignore[assignment]
            assert not any(packed(*least, choice, 1) for choice in choices)
        return
    room = max(packed(plan.cpu, plan.gpu, choice, 10_000) for choice in choices)
    assert plan.workers_for(folds) == min(folds, room)
    assert plan.trials_at_a_time == room // min(folds, room)


@given(growths, st.integers(1, 20))
def test_nodes_for_folds_are_as_few_as_hold_them(growth: Growth, folds: int) -> None:
    try:
        plan = make_plan(asked(1, 1, 0), [], growth)
    except RequestError:
        return
    needed = nodes_for(folds, plan, growth)
    count = sum(number for _, number in needed)
    choices = all_that_may_be_added(growth)
    holding = [len(c) for c in choices if packed(1, 0, c, folds) >= folds]
    if holding:
        assert count == min(holding)


def test_a_cluster_without_nodes_is_planned_with_those_that_may_come() -> None:
    growth = Growth((NodeKind("gpu", NodeCapacity(8.0, 1.0), 4),), 4)
    plan = make_plan(asked(5), [NodeCapacity(0.0, 0.0)], growth)
    assert (plan.cpu, plan.gpu, plan.trials_at_a_time) == (1.0, 0.2, 4)


def test_a_kind_without_limit_costs_no_more_to_count() -> None:
    growth = Growth((NodeKind("gpu", NodeCapacity(8.0, 1.0), 2**31 - 1),), 10**9)
    assert make_plan(asked(5), [], growth).trials_at_a_time == 100_000


@pytest.mark.parametrize(
    ("cpu", "gpu", "fitting"),
    [
        (9, 0.2, "cpu: 8 would fit"),
        (1, 2, "gpu: 1 would fit"),
        (9, 2, "cpu: 1 and gpu: 1 would fit"),
    ],
)
def test_a_request_that_never_fits_names_what_does(cpu: float, gpu: float, fitting: str) -> None:
    growth = Growth((NodeKind("gpu", NodeCapacity(8.0, 1.0), 4),), 4)
    with pytest.raises(RequestError) as raised:
        make_plan(asked(5, cpu, gpu), [], growth)
    hint = str(raised.value).rpartition("; ")[2]
    assert hint == fitting
    less = {"cpu": cpu, "gpu": gpu} | {
        key: float(amount)
        for key, amount in (
            each.split(": ") for each in hint.removesuffix(" would fit").split(" and ")
        )
    }
    make_plan(asked(5, less["cpu"], less["gpu"]), [], growth)


def test_nodes_without_what_every_fold_needs_are_named() -> None:
    with pytest.raises(RequestError, match="no request fits them"):
        make_plan(asked(5, 0.5, 0), [NodeCapacity(0.0, 4.0)])
    with pytest.raises(RequestError, match="gpu: 0 would fit"):
        make_plan(asked(3, 1, 0.5), [NodeCapacity(4.0, 0.0)])


def test_more_than_one_gpu_must_be_whole_ones() -> None:
    """Ray refuses 1.5 GPUs, so the request is wrong before it starts."""
    with pytest.raises(RequestError, match="gpu"):
        make_plan(asked(2, 1, 1.5), [NodeCapacity(8.0, 4.0)])


def test_threads_are_the_whole_cpus_of_a_fold() -> None:
    have = [NodeCapacity(16.0, 0.0)]
    assert make_plan(asked(1, 3.5, 0), have).threads == 3
    assert make_plan(asked(1, 0.5, 0), have).threads == 1


def test_this_machine_has_what_this_process_may_use() -> None:
    import os

    (node,) = this_machine()
    assert node.cpus == len(os.sched_getaffinity(0)) > 0


def test_hidden_gpus_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert this_machine()[0].gpus == 0


def test_a_race_starts_as_many_trials_as_its_first_folds_leave_room_for() -> None:
    study = asked(5, 1, 0)
    stopping = StoppingSettings(grace_epochs=2, reduction=2, folds=(2,))
    raced = study.model_copy(
        update={"search": study.search.model_copy(update={"stopping": stopping})}
    )
    have = [NodeCapacity(7, 0), NodeCapacity(4, 0)]
    assert make_plan(study, have) == Plan(1, 0, 2)
    assert make_plan(raced, have) == Plan(1, 0, 5, slots=11)
    assert make_plan(raced, [NodeCapacity(4, 0)]) == Plan(1, 0, 2, slots=4, workers=4)
    # Where a trial never has more workers than it starts with, their number bounds the trials.
    assert make_plan(raced, [NodeCapacity(2, 0)]) == Plan(1, 0, 1, workers=2)
