"""Resources of the cluster that a dead process has reserved and nobody else gives back.

Ray keeps a placement group as long as the driver's job lives, even if the actor that made
it has died; one left behind would have all trials that follow wait for ever. Ray Train has
a cleaner, which asks the dashboard, and a private cluster has none.
"""

import contextlib

import ray
from ray._private.state import state
from ray.core.generated.gcs_pb2 import PlacementGroupTableData
from ray.exceptions import RayError
from ray.util import remove_placement_group
from ray.util.placement_group import PlacementGroup


def give_back_orphans() -> None:
    """Free the placement groups that were made by actors of this job which have died.

    Ray's public table of placement groups does not tell who made them.
    """
    job = ray.get_runtime_context().get_job_id()
    # A head that does not answer in time is asked again, by whoever calls this again.
    with contextlib.suppress(RayError):
        for row in state._connect_and_get_accessor().get_placement_group_table():
            group = PlacementGroupTableData.FromString(row)
            if group.creator_job_id.hex() == job and _is_orphan(group):
                place = ray.PlacementGroupID(group.placement_group_id)
                remove_placement_group(PlacementGroup(place))


def _is_orphan(group: PlacementGroupTableData) -> bool:
    # Where no actor but a driver was the creator, an actor is said to be dead as well.
    by_actor = group.creator_actor_id not in (b"", ray.ActorID.nil().binary())
    return by_actor and group.creator_actor_dead and group.state != group.REMOVED
