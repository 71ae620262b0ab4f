# Written by `python -m study.estimators.stub`; do not edit.
from collections.abc import Mapping
from typing import Any, Literal

from numpy.random import RandomState

from study.estimators.model_detector import ModelDetector as ModelDetector

DETECTORS: dict[str, type[ModelDetector]]

class BetaVAEGANDetector(ModelDetector):
    """beta-VAE generator with a spectrally normalised discriminator (the paper's)."""

    def __init__(
        self,
        *,
        latent_size: int = 6,
        output_layer: Literal["sigmoid", "tanh", "tanh_rescaled"] = "sigmoid",
        width: int = 32,
        reconstruction_loss: Literal["bce", "mse"] = "bce",
        spectral_norm: bool = True,
        nu: float = 1.0,
        beta: float = 0.0001,
        latent: Literal["mean", "sampled"] = "mean",
        epochs: int = 500,
        batch_size: int = 256,
        discriminator_updates: int = 3,
        discriminator_from: float = 0.0,
        kl_warmup: float = 0.0,
        schedule: Literal["constant", "cosine"] = "constant",
        warmup_share: float = 0.0,
        final_share: float = 0.0,
        average: float | None = None,
        time_warp: float = 0.0,
        amplitude: float = 0.0,
        precision: Literal["float32", "tf32", "bfloat16"] = "float32",
        compile: bool = False,
        optimizer: Mapping[str, Any] | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class BeatGANDetector(ModelDetector):
    """adversarial autoencoder of Zhou et al. 2019."""

    def __init__(
        self,
        *,
        latent_size: int = 50,
        output_layer: Literal["sigmoid", "tanh", "tanh_rescaled"] = "tanh_rescaled",
        width: int = 32,
        reconstruction_loss: Literal["bce", "mse"] = "mse",
        spectral_norm: bool = False,
        nu: float = 1.0,
        epochs: int = 500,
        batch_size: int = 64,
        discriminator_updates: int = 1,
        discriminator_from: float = 0.0,
        schedule: Literal["constant", "cosine"] = "constant",
        warmup_share: float = 0.0,
        final_share: float = 0.0,
        average: float | None = None,
        time_warp: float = 0.0,
        amplitude: float = 0.0,
        precision: Literal["float32", "tf32", "bfloat16"] = "float32",
        compile: bool = False,
        optimizer: Mapping[str, Any] | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class BeatGANPlusDetector(ModelDetector):
    """BeatGAN with a sigmoid output and a spectrally normalised discriminator."""

    def __init__(
        self,
        *,
        latent_size: int = 6,
        output_layer: Literal["sigmoid", "tanh", "tanh_rescaled"] = "sigmoid",
        width: int = 32,
        reconstruction_loss: Literal["bce", "mse"] = "bce",
        spectral_norm: bool = True,
        nu: float = 1.0,
        epochs: int = 500,
        batch_size: int = 256,
        discriminator_updates: int = 3,
        discriminator_from: float = 0.0,
        schedule: Literal["constant", "cosine"] = "constant",
        warmup_share: float = 0.0,
        final_share: float = 0.0,
        average: float | None = None,
        time_warp: float = 0.0,
        amplitude: float = 0.0,
        precision: Literal["float32", "tf32", "bfloat16"] = "float32",
        compile: bool = False,
        optimizer: Mapping[str, Any] | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class AutoencoderDetector(ModelDetector):
    """autoencoder: BeatGAN+ without its discriminator."""

    def __init__(
        self,
        *,
        latent_size: int = 6,
        output_layer: Literal["sigmoid", "tanh", "tanh_rescaled"] = "sigmoid",
        width: int = 32,
        reconstruction_loss: Literal["bce", "mse"] = "bce",
        epochs: int = 500,
        batch_size: int = 256,
        schedule: Literal["constant", "cosine"] = "constant",
        warmup_share: float = 0.0,
        final_share: float = 0.0,
        average: float | None = None,
        time_warp: float = 0.0,
        amplitude: float = 0.0,
        precision: Literal["float32", "tf32", "bfloat16"] = "float32",
        compile: bool = False,
        optimizer: Mapping[str, Any] | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class VAEDetector(ModelDetector):
    """variational autoencoder: beta-VAEGAN without its discriminator."""

    def __init__(
        self,
        *,
        latent_size: int = 6,
        output_layer: Literal["sigmoid", "tanh", "tanh_rescaled"] = "sigmoid",
        width: int = 32,
        reconstruction_loss: Literal["bce", "mse"] = "bce",
        beta: float = 0.0,
        latent: Literal["mean", "sampled"] = "mean",
        epochs: int = 500,
        batch_size: int = 256,
        kl_warmup: float = 0.0,
        schedule: Literal["constant", "cosine"] = "constant",
        warmup_share: float = 0.0,
        final_share: float = 0.0,
        average: float | None = None,
        time_warp: float = 0.0,
        amplitude: float = 0.0,
        precision: Literal["float32", "tf32", "bfloat16"] = "float32",
        compile: bool = False,
        optimizer: Mapping[str, Any] | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class AnoGANDetector(ModelDetector):
    """GAN without encoder: z is searched for every sample that is scored."""

    def __init__(
        self,
        *,
        latent_size: int = 6,
        output_layer: Literal["sigmoid", "tanh", "tanh_rescaled"] = "sigmoid",
        width: int = 32,
        spectral_norm: bool = True,
        search_learning_rate: float = 0.05,
        epsilon: float = 0.0001,
        max_steps: int = 200,
        starts: int = 4,
        epochs: int = 500,
        batch_size: int = 256,
        discriminator_updates: int = 3,
        discriminator_from: float = 0.0,
        schedule: Literal["constant", "cosine"] = "constant",
        warmup_share: float = 0.0,
        final_share: float = 0.0,
        average: float | None = None,
        time_warp: float = 0.0,
        amplitude: float = 0.0,
        precision: Literal["float32", "tf32", "bfloat16"] = "float32",
        compile: bool = False,
        optimizer: Mapping[str, Any] | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class LatentRefinementDetector(ModelDetector):
    """an encoder model, scored after a search for z that starts at the encoder's."""

    def __init__(
        self,
        *,
        search_learning_rate: float = 0.05,
        epsilon: float = 0.0001,
        max_steps: int = 200,
        encoder: Mapping[str, Any] = ...,
        epochs: int = 500,
        batch_size: int = 256,
        discriminator_updates: int = 3,
        discriminator_from: float = 0.0,
        kl_warmup: float = 0.0,
        schedule: Literal["constant", "cosine"] = "constant",
        warmup_share: float = 0.0,
        final_share: float = 0.0,
        average: float | None = None,
        time_warp: float = 0.0,
        amplitude: float = 0.0,
        precision: Literal["float32", "tf32", "bfloat16"] = "float32",
        compile: bool = False,
        optimizer: Mapping[str, Any] | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class PCADetector(ModelDetector):
    """reconstruction by principal components."""

    def __init__(
        self,
        *,
        components: int = 6,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class KNNDetector(ModelDetector):
    """mean distance to the nearest training normals."""

    def __init__(
        self,
        *,
        neighbours: int = 5,
        max_training_samples: int | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class OneClassSVMDetector(ModelDetector):
    """one-class SVM on principal components (the paper's appendix C)."""

    def __init__(
        self,
        *,
        components: int = 50,
        nu: float = 0.05,
        gamma: Literal["scale"] | float = "scale",
        max_training_samples: int = 10000,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class IsolationForestDetector(ModelDetector):
    """isolation forest of Liu et al. 2008."""

    def __init__(
        self,
        *,
        trees: int = 100,
        samples_per_tree: int = 256,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class RocketKNNDetector(ModelDetector):
    """distance to the nearest training normals in MiniRocket's features."""

    def __init__(
        self,
        *,
        kernels: int = 1000,
        components: int | None = 128,
        neighbours: int = 1,
        max_training_samples: int | None = None,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...

class MedianBeatDetector(ModelDetector):
    """distance from the median training normal."""

    def __init__(
        self,
        *,
        component: str | None = None,
        scaling: Literal["training", "sample", "none"] = "training",
        contamination: float = 0.05,
        random_state: int | RandomState | None = None,
    ) -> None: ...
