import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.cluster
PATIENCE_SECONDS = 60.0
OTHER_DRIVER = """
import ray
from ray.util import placement_group

@ray.remote(num_cpus=0)
class Controller:
    def reserve(self):
        group = placement_group([{"CPU": 0.1}])
        ray.get(group.ready())
        return group

ray.init(log_to_driver=False)
controller = Controller.remote()
group = ray.get(controller.reserve.remote())
ray.kill(controller)
try:
    ray.get(controller.reserve.remote())
except ray.exceptions.RayActorError:
    print(group.id.hex(), flush=True)
input()
"""


def states_after_a_death() -> list[str]:
    """Return the states of what a dead, a living and no actor at all have reserved.

    Before one dies, and after; then that of what a dead actor of another job has reserved.
    """
    import ray
    from ray.util import placement_group, placement_group_table

    from study.cluster.placement_groups import remove_orphans

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
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_DRIVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout
    theirs = other.stdout.readline().strip()
    remove_orphans()
    before = [placement_group_table(group)["state"] for group in groups]
    os.kill(dying, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while placement_group_table(orphan)["state"] != "REMOVED" and time.monotonic() < deadline:
        remove_orphans()
        time.sleep(0.1)
    after = [placement_group_table(group)["state"] for group in groups]
    of_theirs = placement_group_table()[theirs]["state"]
    other.communicate("\n")
    return [*before, *after, of_theirs]


def test_what_a_dead_actor_reserved_is_given_back_and_nothing_else(on_cluster):
    states = on_cluster(states_after_a_death)
    assert states == ["CREATED"] * 3 + ["REMOVED", "CREATED", "CREATED", "CREATED"]
