"""The study file: one frozen model for each of its parts.

The file and these classes are the same thing: `study.config.study_file` reads the one into
the other and writes it back.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    GetPydanticSchema,
    JsonValue,
    field_validator,
    model_validator,
)

from models.settings import ModelSettings, TrainingSettings
from study.config.comparisons import ComparisonSettings
from study.config.samplers import SamplerName
from study.config.search_space import MODEL, Distribution, Scalar, SpaceKey
from study.data.settings import DatasetSettings, SplitSettings
from study.scores.settings import NORMAL_ERROR, Criterion, LatentForm, ScoreSettings
from study.settings import Settings, added_field

Json = Annotated[Any, GetPydanticSchema(lambda _, handler: handler(JsonValue))]
"""A value that JSON has, for type checkers anything."""

PairedTestName = Literal["corrected_t", "wilcoxon"]

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


def _plain_name(name: str) -> str:
    if not NAME_PATTERN.fullmatch(name):
        raise ValueError(f"must be 1 to 64 of a-z, 0-9, _ and -, found {name!r}")
    return name


def _integer_above_one(amount: float) -> float:
    if amount > 1 and amount != int(amount):
        raise ValueError(f"above 1 it must be a whole number, found {amount:g}")
    return amount


Name = Annotated[str, AfterValidator(_plain_name)]
CPUs = Annotated[float, Field(gt=0, le=1024)]
GPUs = Annotated[float, Field(ge=0, le=1024), AfterValidator(_integer_above_one)]


Objective = Literal["f1_weighted", "phi", "auroc", "microseconds", "parameters", "bytes"]
"""What a search can improve beside its metric."""


class MetricSettings(Settings):
    """What chooses epochs and trials: a validation score, as the mean over folds."""

    composition: str = Field("svm_lambda", description="score composition")
    latent_form: LatentForm = Field(
        "implicit", description="form of L(x), for compositions that use it"
    )
    score: Criterion = Field(
        "f1_weighted",
        description="score of the composition's decisions, which is maximised; or normal_error, the"
        " mean error of validation normals, which reads no label and is minimised: its value is"
        " written with its sign turned",
    )

    @property
    def reads_labels(self) -> bool:
        """Whether labels of abnormal samples choose epochs and trials."""
        return self.score != NORMAL_ERROR


class PairedSettings(Settings):
    """A test that ends a trial between rungs: fold by fold, against the best completed trial."""

    test: PairedTestName = Field("corrected_t", description="test of the folds' differences")
    level: float = Field(
        0.05, gt=0, lt=0.5, description="p below which a trial ends; of each comparison by itself"
    )
    interval: int = Field(
        5,
        ge=1,
        le=1_000_000,
        description="epochs from one comparison to the next, from grace_epochs on; folds wait "
        "there as at a rung",
    )


class StoppingSettings(Settings):
    """Asynchronous successive halving (ASHA) on the metric, in epochs."""

    grace_epochs: int = Field(
        10, ge=1, le=1_000_000, description="epochs before a trial can be stopped"
    )
    reduction: int = Field(3, ge=2, le=16, description="one in this many goes on at each rung")
    folds: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (),
        description="how many folds train up to each rung, the first ones; all after the last that "
        "is named; empty for all from the start",
    )

    paired: PairedSettings | None = Field(
        None, description="a test that may end a trial between rungs; null for none"
    )

    @field_validator("folds")
    @classmethod
    def _growing(cls, folds: tuple[int, ...]) -> tuple[int, ...]:
        if list(folds) != sorted(folds):
            raise ValueError(f"must not fall from rung to rung, found {list(folds)}")
        return folds


class BudgetSettings(Settings):
    """What a search may take: where one of these is spent, it ends."""

    hours: float | None = Field(
        None, gt=0, le=1_000_000, description="hours that the study runs, all its runs together"
    )
    cost: float | None = Field(None, gt=0, le=1e12, description="what these hours may cost")
    price: float | None = Field(
        None, gt=0, le=1e9, description="what an hour of the whole cluster costs, for `cost`"
    )
    without_improvement: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="trials that end in turn while none is better than the best completed one",
    )

    @model_validator(mode="after")
    def _priced(self) -> Self:
        if (self.cost is None) != (self.price is None):
            raise ValueError("cost and price go together: the hours are counted, and priced")
        return self


class SearchSettings(Settings):
    """The search over trials."""

    trials: int = Field(1, ge=1, le=100_000, description="trials of the study")
    sampler: SamplerName = Field(
        "tpe",
        description="search algorithm: what proposes trials; or package.module:Class, one of "
        "Optuna's kind that is installed",
    )
    startup_trials: int = Field(
        10,
        ge=1,
        le=100_000,
        description="trials drawn at random before the sampler learns",
    )
    startup: Literal["random", "qmc"] = added_field(
        "random",
        description="how these are drawn: independently, or as points of one Sobol sequence, "
        "which cover the space evenly",
    )
    metric: MetricSettings = MetricSettings()
    metrics: tuple[Objective, ...] = added_field(
        (),
        description="what is improved beside the metric, which alone ranks trials, and stops them "
        "for what others have that are no worse in these: other scores of its composition on "
        "validation, microseconds that scoring a sample takes on the worker, parameters and bytes "
        "of the model",
    )
    space: dict[SpaceKey, Distribution] = Field({}, description="settings that are searched")
    enqueue: tuple[dict[str, Scalar], ...] = added_field(
        (),
        description="settings that the first trials try, such as the paper's; what one does not "
        "name of the searched settings is as in the study",
    )
    learn_from: tuple[str, ...] = added_field(
        (),
        description="results folders of other studies, whose ended trials the sampler learns "
        "from: those with this metric, and with settings that lie within the space",
    )
    confirm: int = added_field(
        0,
        ge=0,
        le=1000,
        description="so many of the best trials are trained again with another seed when all have "
        "ended, and the first of `enqueue` with them",
    )
    stopping: StoppingSettings | None = Field(None, description="early stopping; null for none")
    budget: BudgetSettings | None = Field(
        None, description="what ends the search before all its trials have run; null for nothing"
    )


class MeasureSettings(Settings):
    """What is measured of a model besides its scores, at every validation."""

    tracked: tuple[str, ...] = Field(
        ("reconstruction", "discrimination", "lambda_grid"),
        description="compositions whose validation F1 and lambda are followed over epochs, "
        "as far as the model has their errors",
    )
    tstr_interval: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="validations from one measurement of TSTR to the next; null for none",
    )
    draws: int = Field(
        10, ge=2, le=1000, description="scorings for the variance of errors that are drawn"
    )


class SystemSettings(Settings):
    """A fixed configuration that a study trains; it searches nothing then."""

    model: ModelSettings
    training: TrainingSettings
    metric: MetricSettings


class FoldResources(Settings):
    """What each fold's worker gets."""

    cpu: CPUs | Literal["auto"] = Field("auto", description="CPUs, fractions allowed")
    gpu: GPUs | Literal["auto"] = Field("auto", description="GPUs, fractions allowed")


class ResourceSettings(Settings):
    """What the study asks of the cluster; changes no result but for CPU thread counts."""

    per_fold: FoldResources = FoldResources()
    max_concurrent_trials: Annotated[int, Field(ge=1, le=10_000)] | Literal["auto"] = Field(
        "auto", description="trials at a time; auto takes what fits the cluster"
    )
    workers_per_trial: int | None = added_field(
        None,
        ge=1,
        le=10_000,
        description="folds of a trial that train at a time, at most; the others wait their turn. "
        "null for all, or for as many as fit the cluster",
    )
    silence_minutes: float = Field(
        10.0,
        gt=0,
        le=1_000_000,
        description="a fold that shows no sign of life for so many minutes, and for five times its "
        "own longest epoch, hangs: it is killed, and goes on elsewhere from its checkpoint",
    )
    wait_for_nodes_minutes: Annotated[float, Field(gt=0, le=1_000_000)] | None = Field(
        None,
        description="how many minutes a trial waits for nodes that are gone before it is left to "
        "the next run; null for as long as it takes",
    )
    checkpoint_minutes: float = Field(
        10.0,
        ge=0,
        le=1440,
        description="minutes from one checkpoint of a fold to the next, 0 for one after every "
        "epoch; there are more at rungs, and where a node is to be taken away",
    )


class Study(Settings):
    """A study: everything that decides its results, and where it may run."""

    name: Name = Field(description="names the results folder")
    dataset: DatasetSettings
    split: SplitSettings = SplitSettings()
    model: ModelSettings
    training: TrainingSettings = TrainingSettings()
    scores: ScoreSettings = ScoreSettings()
    measures: MeasureSettings = MeasureSettings()
    search: SearchSettings = SearchSettings()
    systems: dict[Name, SystemSettings] = Field(
        {},
        description="configurations by name, a trial of each and no search; what one does "
        "not set of its training and metric is as in the study",
    )
    comparisons: ComparisonSettings = ComparisonSettings()
    resources: ResourceSettings = ResourceSettings()
    seed: int = Field(0, ge=0, lt=2**63, description="decides everything that is random")
    provenance: dict[str, Json] | None = Field(
        None, description="versions and hashes of a stored study; not part of the request"
    )

    @property
    def model_names(self) -> tuple[str, ...]:
        """The models of a search: those that it chooses from, or its own."""
        searched = self.search.space.get(MODEL)
        return tuple(map(str, searched.ends)) if searched else (self.model.name,)
