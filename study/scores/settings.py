"""Settings of scores, and the names of compositions and metrics in a study file.

Nothing heavy is imported here: a study file is validated before NumPy or
scikit-learn are needed.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from study.settings import Settings, added_field

LatentForm = Literal["implicit", "chi_mode", "empirical_mode"]
Supervision = Literal["none", "threshold", "svm"]
SvmSolver = Literal["exact", "nystroem"]
MetricName = Literal[
    "f1_weighted",
    "f1_anomaly",
    "f1_macro",
    "precision",
    "recall",
    "phi",
    "auroc",
    "auroc_labels",
    "auprc",
]

LATENT_FORMS: tuple[LatentForm, ...] = get_args(LatentForm)
METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)
"""Metrics that a study can maximise; all are better when larger."""


class ScoreSettings(Settings):
    """How components become scores and scores become labels (sections II, III.B)."""

    latent_distance: Literal["absolute", "signed"] = "absolute"
    """Distance of a latent norm from the mode. `signed` is equations 5 and 6 as
    printed; min-max scaling then cancels the mode, and all latent forms are one."""

    chi_norm: Literal["drawn", "scored"] = added_field("drawn")
    """Norm that `chi_mode` measures. `drawn` is that of draws from a sample's posterior, their
    root mean square, which follows the chi distribution where the posterior fits the prior;
    `scored` that of the z that is scored, a posterior's mean, whose norm is smaller. They are
    one where there is no posterior, or where a draw is scored."""

    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Quantile of the training normals' errors that is the threshold of the
    compositions without supervision; at most the share 1 - quantile lies above."""

    lambda_steps: Annotated[int, Field(ge=2, le=10_000)] = 100
    """Values of lambda in [0, 1], both ends included."""

    gamma_steps: Annotated[int, Field(ge=2, le=10_000)] = 50
    """Values of lambda and of gamma in [0, 1] for equation 7; the pairs with
    lambda + gamma <= 1 are searched, gamma_steps * (gamma_steps + 1) / 2 of them."""

    svm_solver: SvmSolver = "exact"
    """How support vector machines are fitted. `exact` is scikit-learn's SVC, the paper's;
    its seconds grow with the square of the validation samples. `nystroem` solves the same
    problem on up to 256 landmarks: where classes overlap it takes a seventh of the time at
    16,000 samples, with a weighted F1 on test within 0.002; below 2,000 it is no faster."""

    svm_nystroem_from: Annotated[int, Field(ge=2)] | None = 4000
    """Validation samples from which on the metric that a fold follows while it trains is
    fitted by `nystroem`, and exactly where that fails; null for never. Below, the exact
    machine costs next to nothing beside an epoch. The report fits by `svm_solver`."""

    svm_c: Annotated[float, Field(gt=0)] = 1.0
    """Penalty C of the support vector machines."""

    svm_gamma: Literal["scale", "auto"] | Annotated[float, Field(gt=0)] = "scale"
    """Width of the RBF kernel, in scikit-learn's terms: 1 / (columns * variance),
    1 / columns, or a number."""
