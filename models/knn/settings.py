"""Settings of nearest neighbours."""

from typing import Annotated, Literal

from pydantic import Field

from models.bases.settings import NamedSettings


class KNNSettings(NamedSettings):
    """Distance to the nearest training normals."""

    name: Literal["knn"] = "knn"
    neighbours: int = Field(
        5, ge=1, le=10**9, description="nearest normals whose mean distance counts"
    )
    max_training_samples: Annotated[int, Field(ge=2, le=10**9)] | None = Field(
        None, description="normals that are kept, drawn if there are more; null for all"
    )
