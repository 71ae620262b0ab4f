"""Settings of every model and of its training.

They stand apart from the networks so that a study file is checked without importing
PyTorch. Names and defaults are the paper's (appendix "Experimental setup").
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class OptimizerSettings(_Settings):
    """Optimiser of both the generator's and the discriminator's weights."""

    name: Literal["adabelief", "adam"] = Field("adabelief", description="which optimiser")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="step size")
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = Field(
        (0.5, 0.99), description="decay of the first and the second moment"
    )
    epsilon: float = Field(1e-16, gt=0, le=1, description="added to the denominator")
    rectify: bool = Field(True, description="AdaBelief's rectified update; adam ignores it")


class TrainingSettings(_Settings):
    """How a fold is trained."""

    epochs: int = Field(500, ge=1, description="passes over the training normals")
    batch_size: int = Field(256, ge=2, description="samples of one update")
    discriminator_updates: int = Field(
        3, ge=1, le=100, description="discriminator updates for one generator update"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="arithmetic of the networks; weights, losses and optimisers stay float32",
    )
    validation_interval: int = Field(5, ge=1, description="epochs from one validation to the next")
    optimizer: OptimizerSettings = OptimizerSettings()


class _EncoderDecoderSettings(_Settings):
    latent_size: int = Field(6, ge=1, le=1024, description="dimensions of z, the paper's k")
    nu: float = Field(1.0, ge=0, description="weight of the reconstruction loss (equation 4)")
    output_layer: Literal["sigmoid", "tanh"] = Field("sigmoid", description="the decoder's last")
    reconstruction_loss: Literal["bce", "mse"] = Field(
        "bce", description="binary cross entropy (needs sigmoid) or mean squared error"
    )

    @model_validator(mode="after")
    def _bce_needs_probabilities(self) -> Self:
        if self.reconstruction_loss == "bce" and self.output_layer != "sigmoid":
            raise ValueError("reconstruction_loss bce needs output_layer sigmoid; use mse")
        return self


class AdversarialSettings(_EncoderDecoderSettings):
    """What every autoencoder with a discriminator can be set to."""

    spectral_norm: bool = Field(
        True, description="spectral norm in the discriminator; batch norm if false"
    )


class BetaVAEGANSettings(AdversarialSettings):
    """The paper's model (section III-A); beta 0 is its VAEGAN_1, 1e-4 its VAEGAN_2."""

    name: Literal["beta_vaegan"] = "beta_vaegan"
    beta: float = Field(
        1e-4, ge=0, description="weight of the KL divergence, summed over latent dimensions"
    )
    latent: Literal["mean", "sampled"] = Field(
        "mean", description="z that samples are scored with: posterior mean, or a draw"
    )


class BeatGANSettings(AdversarialSettings):
    """BeatGAN (Zhou et al. 2019) as it was published."""

    name: Literal["beatgan"] = "beatgan"
    latent_size: int = Field(50, ge=1, le=1024, description="dimensions of z")
    output_layer: Literal["sigmoid", "tanh"] = Field("tanh", description="the decoder's last")
    reconstruction_loss: Literal["bce", "mse"] = Field(
        "mse", description="binary cross entropy (needs sigmoid) or mean squared error"
    )
    spectral_norm: bool = Field(
        False, description="spectral norm in the discriminator; batch norm if false"
    )


ModelSettings = Annotated[BetaVAEGANSettings | BeatGANSettings, Field(discriminator="name")]
