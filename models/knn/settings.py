"""Settings of nearest neighbours."""

from typing import Literal

from pydantic import Field

from models.bases.settings import NamedSettings


class KNNSettings(NamedSettings):
    """Distance to the nearest training normals."""

    name: Literal["knn"] = "knn"
    neighbours: int = Field(
        5, ge=1, le=10**9, description="nearest normals whose mean distance counts"
    )
    max_training_samples: int = Field(
        10_000, ge=2, le=10**9, description="normals that are kept, drawn if there are more"
    )
