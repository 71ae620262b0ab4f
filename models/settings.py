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

    epochs: int = Field(500, ge=1, le=1_000_000, description="passes over the training normals")
    batch_size: int = Field(256, ge=2, le=1_000_000, description="samples of one update")
    discriminator_updates: int = Field(
        3, ge=1, le=100, description="discriminator updates for one generator update"
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


class DecoderSettings(_Settings):
    """What every model with a decoder can be set to."""

    latent_size: int = Field(6, ge=1, le=1024, description="dimensions of z, the paper's k")
    output_layer: Literal["sigmoid", "tanh"] = Field("sigmoid", description="the decoder's last")


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


class VariationalAdversarialSettings(VariationalSettings, AdversarialSettings):
    """What every autoencoder with a posterior and a discriminator can be set to."""


class LatentSearchSettings(_Settings):
    """The search for the z whose x̂ is nearest to a sample; see `models.latent_search`."""

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


class AutoencoderSettings(EncoderDecoderSettings):
    """The paper's AE baseline (appendix C)."""

    name: Literal["ae"] = "ae"


class VAESettings(VariationalSettings):
    """The paper's VAE baseline (appendix C)."""

    name: Literal["vae"] = "vae"
    beta: float = Field(
        0.0, ge=0, description="weight of the KL divergence, summed over latent dimensions"
    )


class BetaVAEGANSettings(VariationalAdversarialSettings):
    """The paper's model (section III-A); beta 0 is its VAEGAN_1, 1e-4 its VAEGAN_2."""

    name: Literal["beta_vaegan"] = "beta_vaegan"


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


class BeatGANPlusSettings(AdversarialSettings):
    """The paper's BeatGAN+ (appendix "Experimental setup")."""

    name: Literal["beatgan_plus"] = "beatgan_plus"


EncoderSettings = Annotated[
    BetaVAEGANSettings | BeatGANSettings | BeatGANPlusSettings | AutoencoderSettings | VAESettings,
    Field(discriminator="name"),
]


class LatentRefinementSettings(LatentSearchSettings):
    """An encoder model, scored after a search from the encoder's z (appendix I)."""

    name: Literal["latent_refinement"] = "latent_refinement"
    encoder: EncoderSettings = Field(
        BetaVAEGANSettings(), description="the model that is trained, and whose z is refined"
    )


class AnoGANSettings(LatentSearchSettings, DiscriminatorSettings):
    """AnoGAN (Schlegl et al. 2017), with BeatGAN+'s decoder and discriminator."""

    name: Literal["anogan"] = "anogan"
    starts: int = Field(4, ge=1, le=1024, description="searches for each sample; the best counts")


class PCASettings(_Settings):
    """Reconstruction by principal components."""

    name: Literal["pca"] = "pca"
    components: int = Field(
        6,
        ge=1,
        le=65_536,
        description="principal components kept; at most what samples and length allow",
    )


class OneClassSVMSettings(_Settings):
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


class KNNSettings(_Settings):
    """Distance to the nearest training normals."""

    name: Literal["knn"] = "knn"
    neighbours: int = Field(
        5, ge=1, le=10**9, description="nearest normals whose mean distance counts"
    )
    max_training_samples: int = Field(
        10_000, ge=2, le=10**9, description="normals that are kept, drawn if there are more"
    )


class IsolationForestSettings(_Settings):
    """Isolation forest (Liu et al. 2008), whose defaults these are."""

    name: Literal["isolation_forest"] = "isolation_forest"
    trees: int = Field(100, ge=1, le=10_000, description="trees of the forest")
    samples_per_tree: int = Field(
        256, ge=2, le=10**9, description="normals that each tree is grown on; at most all"
    )


ModelSettings = Annotated[
    BetaVAEGANSettings
    | BeatGANSettings
    | BeatGANPlusSettings
    | AutoencoderSettings
    | VAESettings
    | AnoGANSettings
    | LatentRefinementSettings
    | PCASettings
    | KNNSettings
    | OneClassSVMSettings
    | IsolationForestSettings,
    Field(discriminator="name"),
]
