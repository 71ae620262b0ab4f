"""Settings of the isolation forest."""

from typing import Literal

from pydantic import Field

from models.bases.settings import NamedSettings


class IsolationForestSettings(NamedSettings):
    """Isolation forest (Liu et al. 2008), whose defaults these are."""

    name: Literal["isolation_forest"] = "isolation_forest"
    trees: int = Field(100, ge=1, le=10_000, description="trees of the forest")
    samples_per_tree: int = Field(
        256, ge=2, le=10**9, description="normals that each tree is grown on; at most all"
    )
