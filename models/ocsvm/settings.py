"""Settings of the one-class SVM."""

from typing import Annotated, Literal

from pydantic import Field

from models.bases.settings import NamedSettings


class OneClassSVMSettings(NamedSettings):
    """One-class SVM on principal components (appendix C)."""

    name: Literal["ocsvm"] = "ocsvm"
    components: int = Field(
        50,
        ge=1,
        le=65_536,
        description="principal components kept; at most what samples and length allow",
    )
    nu: float = Field(0.05, gt=0, lt=1, description="share of training normals that may be outside")
    gamma: Literal["scale"] | Annotated[float, Field(gt=0)] = Field(
        "scale", description="width of the RBF kernel; scale is 1 / (components * variance)"
    )
    max_training_samples: int = Field(
        10_000,
        ge=2,
        le=10**9,
        description="normals that are fitted, drawn if there are more: time is square",
    )
