"""What the settings of models have in common, and those of their training.

They stand apart from the networks so that a study file is checked without importing
PyTorch. Names and defaults are the paper's (appendix "Experimental setup").
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Union

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.bases.recipes import RecipeName, with_recipe


class Settings(BaseModel):
    """Checked, frozen settings; what is not known is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OptimizerSettings(Settings):
    """Optimiser of both the generator's and the discriminator's weights."""

    name: Literal["adabelief", "adam"] = Field("adabelief", description="which optimiser")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="step size")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.5, 0.99), description="decay of the first and the second moment"
    )
    epsilon: float = Field(1e-16, gt=0, le=1, description="added to the denominator")
    rectify: bool = Field(True, description="AdaBelief's rectified update; adam ignores it")
    implementation: Literal["package", "fused"] = Field(
        "fused",
        description="of AdaBelief: the authors' package adabelief-pytorch, or the same update of "
        "all weights at once, which is faster and differs by rounding; adam ignores it",
    )


class TrainingSettings(Settings):
    """How a fold is trained.

    Shares are of all updates that a whole training has, so what depends on them stays as
    it is whether a fold is trained in one go or goes on where it was interrupted.
    """

    recipe: RecipeName = Field(
        "paper",
        description="what the settings below are where they are not set: the paper's, or fast, "
        "which comes as far in about half of the CPU time",
    )
    epochs: int = Field(500, ge=1, le=1_000_000, description="passes over the training normals")
    batch_size: int = Field(256, ge=2, le=1_000_000, description="samples of one update")
    discriminator_updates: int = Field(
        3, ge=1, le=100, description="discriminator updates for one generator update"
    )
    discriminator_from: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of training after which an autoencoder's discriminator joins in; until "
        "then the reconstruction loss is alone",
    )
    kl_warmup: float = Field(
        0.0, ge=0, le=1, description="share of training over which beta rises from 0, linearly"
    )
    schedule: Literal["constant", "cosine"] = Field(
        "constant", description="the learning rate after its warm-up: constant, or half a cosine"
    )
    warmup_share: float = Field(
        0.0, ge=0, lt=1, description="share of training over which the learning rate rises linearly"
    )
    final_share: float = Field(
        0.0, ge=0, le=1, description="share of the learning rate that cosine ends at"
    )
    average: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="decay of an exponential average of the weights, which then are validated and "
        "kept in place of the last ones; null for none",
    )
    time_warp: float = Field(
        0.0,
        ge=0,
        le=0.4,
        description="share of the time points of a training sample that are left out, and of those "
        "that are doubled, drawn anew each time (BeatGAN's augmentation)",
    )
    amplitude: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="a training sample is stretched about its mean by up to this share, drawn anew "
        "each time; what leaves [0, 1] is cut",
    )
    precision: Literal["float32", "tf32", "bfloat16"] = Field(
        "float32",
        description="arithmetic of the networks; weights, losses and optimisers stay float32; "
        "tf32 rounds what GPUs multiply and is float32 on CPUs",
    )
    compile: bool = Field(
        False,
        description="torch.compile of the networks, for GPUs: the first steps take a minute or "
        "more, and on a CPU the others are slower, too",
    )
    validation_interval: int = Field(
        5, ge=1, le=1_000_000, description="epochs from one validation to the next"
    )
    optimizer: OptimizerSettings = OptimizerSettings()

    @model_validator(mode="before")
    @classmethod
    def _as_its_recipe(cls, values: Any) -> Any:
        return with_recipe(values)


class NamedSettings(Settings):
    """Settings of a model of the table.

    Each class has the model's name as `name: Literal["..."] = "..."`, by which a study file
    says which of them it means; `any_of` is the annotation of such a choice.
    """

    if TYPE_CHECKING:  # each class has its own, in its own place among its fields
        name: str = ""


def any_of(classes: Iterable[type[NamedSettings]]) -> Any:
    """Return the annotation of settings of any of these classes, told apart by `name`."""
    return Annotated[Union[tuple(classes)], Field(discriminator="name")]  # noqa: UP007


OutputLayer = Literal["sigmoid", "tanh", "tanh_rescaled"]
OUTPUT_LAYER = (
    "the decoder's last: sigmoid; tanh_rescaled, a tanh whose networks see samples rescaled from "
    "[0, 1] to its own range [-1, 1]; or tanh, the same on samples as they are, which leaves half "
    "of its range without use"
)


class DecoderSettings(NamedSettings):
    """What every model with a decoder can be set to."""

    latent_size: int = Field(6, ge=1, le=1024, description="dimensions of z, the paper's k")
    output_layer: OutputLayer = Field("sigmoid", description=OUTPUT_LAYER)
    width: int = Field(
        32,
        ge=1,
        le=1024,
        description="channels of the networks' first convolution, which each of the four further "
        "ones doubles; the paper's 32. Half of it takes a quarter of the multiplications",
    )


class EncoderDecoderSettings(DecoderSettings):
    """What every model with an encoder can be set to."""

    reconstruction_loss: Literal["bce", "mse"] = Field(
        "bce", description="binary cross entropy (needs sigmoid) or mean squared error"
    )

    @model_validator(mode="after")
    def _bce_needs_probabilities(self) -> Self:
        if self.reconstruction_loss == "bce" and self.output_layer != "sigmoid":
            raise ValueError("reconstruction_loss bce needs output_layer sigmoid; use mse")
        return self


class VariationalSettings(EncoderDecoderSettings):
    """What every model with a Gaussian posterior can be set to."""

    beta: float = Field(
        1e-4, ge=0, description="weight of the KL divergence, summed over latent dimensions"
    )
    latent: Literal["mean", "sampled"] = Field(
        "mean", description="z that samples are scored with: posterior mean, or a draw"
    )


class DiscriminatorSettings(DecoderSettings):
    """What every model with a discriminator can be set to."""

    spectral_norm: bool = Field(
        True, description="spectral norm in the discriminator; batch norm if false"
    )


class AdversarialSettings(DiscriminatorSettings, EncoderDecoderSettings):
    """What every autoencoder with a discriminator can be set to."""

    nu: float = Field(1.0, ge=0, description="weight of the reconstruction loss (equation 4)")


class LatentSearchSettings(NamedSettings):
    """The search for the z whose x̂ is nearest to a sample; see `models.bases.latent_search`."""

    search_learning_rate: float = Field(
        0.05, gt=0, le=10, description="step size of Adam on z, in units of the prior's deviation"
    )
    epsilon: float = Field(
        1e-4,
        ge=0,
        description="a sample is found when R, a mean squared error, is this small; below it, R "
        "tells no samples apart",
    )
    max_steps: int = Field(
        200, ge=0, le=100_000, description="steps after which a sample is given up"
    )
