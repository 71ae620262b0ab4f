"""Resources of the cluster that a dead process has reserved and nobody else gives back.

Ray keeps a placement group as long as the driver's job lives, even if the actor that made
it has died; one left behind would have all trials that follow wait for ever. Ray Train has
a cleaner, which asks the dashboard, and a private cluster has none.
"""

import contextlib

from ray.exceptions import RayError
from ray.util import remove_placement_group

from study.cluster.ray_internals.core import orphaned_placement_groups


def remove_orphans() -> None:
    """Remove the placement groups that were made by actors of this job which have died."""
    # A head that does not answer in time is asked again, by whoever calls this again.
    with contextlib.suppress(RayError):
        for group in orphaned_placement_groups():
            remove_placement_group(group)
