import multiprocessing
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor

from study.cluster import connected

PATIENCE_SECONDS = 60.0


def states_after_a_death() -> list[str]:
    """Return the states of what a dead, a living and no actor at all have reserved.

    In a process of its own, which has not imported Ray before it connects.
    """
    with connected(None):
        import ray
        from ray.util import placement_group, placement_group_table

        from study.orphans import give_back_orphans

        @ray.remote(num_cpus=0)
        class Controller:
            def reserve(self):
                group = placement_group([{"CPU": 0.1}])
                ray.get(group.ready())
                return os.getpid(), group

        controllers = [Controller.remote() for _ in range(2)]
        (dying, orphan), (_, held) = ray.get([each.reserve.remote() for each in controllers])
        ours = placement_group([{"CPU": 0.1}])
        ray.get(ours.ready())
        groups = [orphan, held, ours]
        give_back_orphans()
        before = [placement_group_table(group)["state"] for group in groups]
        os.kill(dying, signal.SIGKILL)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while placement_group_table(orphan)["state"] != "REMOVED" and time.monotonic() < deadline:
            give_back_orphans()
            time.sleep(0.1)
        return [*before, *(placement_group_table(group)["state"] for group in groups)]


def test_what_a_dead_actor_reserved_is_given_back_and_nothing_else():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        states = pool.submit(states_after_a_death).result()
    assert states == ["CREATED"] * 3 + ["REMOVED", "CREATED", "CREATED"]
