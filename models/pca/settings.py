"""Settings of principal components."""

from typing import Literal

from pydantic import Field

from models.bases.settings import NamedSettings


class PCASettings(NamedSettings):
    """Reconstruction by principal components."""

    name: Literal["pca"] = "pca"
    components: int = Field(
        6,
        ge=1,
        le=65_536,
        description="principal components kept; at most what samples and length allow",
    )
