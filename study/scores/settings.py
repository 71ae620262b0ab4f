"""Settings of scores, and the names of compositions and metrics in a study file.

Nothing heavy is imported here: a study file is validated before NumPy or
scikit-learn are needed.
"""

import math
from typing import Annotated, Literal, Self, get_args

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from study.settings import Settings, added_field

LatentForm = Literal["implicit", "chi_mode", "empirical_mode"]
Supervision = Literal["none", "threshold", "svm"]
SvmSolver = Literal["exact", "nystroem"]
Rule = Literal["fixed", "quantile", "threshold", "svm", "svm_linear"]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
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
Criterion = Literal[MetricName, "normal_error"]
"""What a study can choose by: a metric of labels, or the mean error of validation normals."""

REPORTED_SCORES: tuple[MetricName, ...] = ("f1_weighted", "phi", "auroc")
"""What is reported of training and of results, whatever chooses."""

NORMAL_ERROR: Criterion = "normal_error"
"""The one that needs no labels."""

LATENT_FORMS: tuple[LatentForm, ...] = get_args(LatentForm)
MOST_WEIGHTED = 3
"""Components whose weights are searched; a grid of four has 22,100 rows."""

METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)
"""Metrics that a study can maximise; all are better when larger."""


def metric_range(name: Criterion) -> tuple[float, float]:
    """Return the smallest and the largest value that a criterion can have."""
    if name == NORMAL_ERROR:  # its sign is turned
        return -math.inf, 0.0
    return (-1.0, 1.0) if name == "phi" else (0.0, 1.0)


class CompositionSettings(Settings):
    """A composition of a study file's own: any components, and a rule that joins them."""

    components: tuple[Name, ...] = Field(
        min_length=1, max_length=32, description="error components, of the model or of the samples"
    )
    rule: Rule = Field(
        description="fixed: above a stated threshold, nothing is fitted; quantile: beyond what "
        "normals have; threshold: their weighted sum, weights and threshold from validation "
        "labels; svm, svm_linear: a support vector machine, RBF or linear"
    )
    thresholds: tuple[float, ...] | None = Field(
        None, description="of rule fixed: one for each component, in its own unit"
    )

    @model_validator(mode="after")
    def _rule_fits_the_components(self) -> Self:
        count = len(self.components)
        if len(set(self.components)) < count:
            raise ValueError("components must differ")
        if self.rule == "threshold" and count > MOST_WEIGHTED:
            raise ValueError(
                f"rule threshold searches the weights of at most {MOST_WEIGHTED} components,"
                f" found {count}; use rule svm or svm_linear"
            )
        if (self.rule == "fixed") != (self.thresholds is not None):
            raise ValueError("thresholds belong to rule fixed, which needs them")
        if self.thresholds is not None and len(self.thresholds) != count:
            raise ValueError(
                f"thresholds must be one for each of {count} components,"
                f" found {len(self.thresholds)}"
            )
        if count > 1 and min(self.thresholds or (1.0,)) <= 0:
            raise ValueError("thresholds of several components must be above 0")
        return self


class ScoreSettings(Settings):
    """How components become scores and scores become labels (sections II, III.B)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    latent_distance: Literal["absolute", "signed"] = "absolute"
    """Distance of a latent norm from the mode. `signed` is equations 5 and 6 as
    printed; min-max scaling then cancels the mode, and all latent forms are one."""

    chi_norm: Literal["drawn", "scored"] = added_field("drawn")
    """Norm that `chi_mode` measures. `drawn` is that of draws from a sample's posterior, their
    root mean square, which follows the chi distribution where the posterior fits the prior;
    `scored` that of the z that is scored, a posterior's mean, whose norm is smaller. They are
    one where there is no posterior, or where a draw is scored."""

    quantile: Annotated[float, Field(gt=0, lt=1)] = 0.95
    """Quantile of normals' errors that is the threshold of the compositions without
    supervision; at most the share 1 - quantile lies above. `quantile_of` says which normals."""

    lambda_steps: Annotated[int, Field(ge=2, le=10_000)] = 100
    """Values of lambda in [0, 1], both ends included."""

    gamma_steps: Annotated[int, Field(ge=2, le=10_000)] = 50
    """Values of lambda and of gamma in [0, 1] for equation 7; the pairs with
    lambda + gamma <= 1 are searched, gamma_steps * (gamma_steps + 1) / 2 of them."""

    svm_solver: SvmSolver = "exact"
    """How support vector machines are fitted. `exact` is scikit-learn's SVC, the paper's;
    its seconds grow with the square of the validation samples. `nystroem` solves the same
    problem on up to 256 landmarks, or 512 where these explain too little: where classes
    overlap it takes an eighth (R, D and L) to a fiftieth (R and D) of the time at 16,000 samples,
    with a weighted F1 on test within 0.002; below 2,000 it is no faster."""

    svm_nystroem_from: Annotated[int, Field(ge=2)] | None = 4000
    """Validation samples from which on the metric that a fold follows while it trains is
    fitted by `nystroem`, and exactly where that fails; null for never. Below, the exact
    machine costs next to nothing beside an epoch. The report fits by `svm_solver`."""

    svm_c: Annotated[float, Field(gt=0)] = 1.0
    """Penalty C of the support vector machines."""

    svm_gamma: Literal["scale", "auto"] | Annotated[float, Field(gt=0)] = "scale"
    """Width of the RBF kernel, in scikit-learn's terms: 1 / (columns * variance),
    1 / columns, or a number."""

    scale: Literal["min_max", "log"] = added_field("min_max")
    """How components are brought to one scale before they are joined: by their limits on
    validation as they are, or by those of their logarithms, since errors span decades. An
    `outlier_score` may be negative, and stays as it is. `prematurity` and `pause` are always
    joined in octaves of the usual interval, whose limits are half of it and twice."""

    prevalence: Annotated[float, Field(gt=0, lt=1)] | None = added_field(None)
    """Share of abnormal samples at which scores will be used: thresholds, weights and machines
    are fitted to validation as if it had that share; null fits to validation as it is. Epochs and
    trials are ranked by validation as it is, either way."""

    quantile_of: Literal["training", "held_out", "held_out_patients"] = added_field("training")
    """Normals whose quantile is the threshold of the compositions without supervision:
    those that trained; those of validation, so that the share of false alarms is that of
    new samples of the same patients; or those by patient, so that it is the mean over new
    patients (protocol inter_patient; `fit_on: all_folds`, since 0.95 needs 19 of them)."""

    fit_on: Literal["fold", "all_folds"] = added_field("fold")
    """Validation samples that compositions are fitted on in the report and for new signals:
    those of the fold, or those of all folds of the trial, each with the errors that its own
    fold's model gave it. That takes errors of the folds' models to be of one scale. Not for
    protocols paper and series, where another fold's validation holds this one's test samples.
    What follows a fold in training sees its own."""

    reference: Literal["none", "record", "first_minutes"] = added_field("none")
    """What reconstruction and discrimination errors are divided by, and the simple models'
    scores are lowered by: nothing; the median of the record's errors; or that of the record's
    first minutes, and in these of what came before, which a device can know in time."""

    reference_minutes: Annotated[float, Field(gt=0, le=1440)] = added_field(5.0)
    """Length of the first minutes; AAMI EC57 lets a device learn for five."""

    vus_buffer: Annotated[int, Field(ge=0, le=65_536)] | None = added_field(None)
    """Longest buffer around abnormal stretches in the volumes under the surface (`vus_pr`,
    `vus_roc`), in points; null takes the length of a window. Of dataset `series` only."""

    compositions: dict[Name, CompositionSettings] = added_field({})
    """Compositions of the study's own, by name, beside those of the table."""

    @model_validator(mode="after")
    def _logarithms_are_of_errors(self) -> Self:
        if self.scale == "log" and self.latent_distance == "signed":
            raise ValueError("scale log needs latent_distance absolute, found signed")
        return self

    @model_validator(mode="after")
    def _quantiles_are_above_the_median(self) -> Self:
        for name, own in self.compositions.items():
            if own.rule == "quantile" and len(own.components) > 1 and self.quantile <= 0.5:
                raise ValueError(
                    f"quantile must be above 0.5 for {name}, whose components are scaled from the"
                    f" normals' median to their quantile, found {self.quantile:g}"
                )
        return self
