"""Settings of nearest neighbours in MiniRocket's features."""

from typing import Annotated, Literal

from pydantic import Field

from models.bases.settings import NamedSettings


class RocketKNNSettings(NamedSettings):
    """Distance to the nearest training normals in MiniRocket's features."""

    name: Literal["rocket_knn"] = "rocket_knn"
    kernels: int = Field(
        1000,
        ge=84,
        le=100_000,
        description="MiniRocket's features, rounded down to a multiple of its 84 kernels",
    )
    components: Annotated[int, Field(ge=1, le=100_000)] | None = Field(
        128,
        description="principal components of the features that are kept; fewer than "
        "samples; null for the features themselves",
    )
    neighbours: int = Field(
        1, ge=1, le=10**9, description="nearest normals whose mean distance counts"
    )
    max_training_samples: Annotated[int, Field(ge=2, le=10**9)] | None = Field(
        None, description="normals that are kept, drawn if there are more; null for all"
    )
