"""A model of the table as an outlier detector, and the class of detectors of each model."""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from models import MODELS, ModelEntry, components_of, implementation
from models.interface import Model, Seeds, Shape
from models.settings import TrainingSettings
from study.config.systems import with_model_defaults
from study.data.resampling import interpolate_rows, scale_rows
from study.randomness import stream_seed
from study.training.scaling import Scaling
from study.training.setup import shared_tensor

BLOCK = 32
"""Networks take lengths that are a multiple of it."""

OWN_PARAMETERS = {
    "component": None,
    "scaling": "training",
    "contamination": 0.05,
    "random_state": None,
}
"""Parameters that are no settings of a study file, with their defaults."""

Float = npt.NDArray[np.float64]


FITTED = ("_model", "_fitted", "weights_", "limits_", "offset_")
"""Attributes of a fit; the last one is set when all else is."""


@dataclass(frozen=True)
class _Fitted:
    """Parameters as they were in the fit: of the model, of its training, and the detector's own."""

    settings: BaseModel
    training: TrainingSettings
    scaling: str
    component: str


class ModelDetector(OutlierMixin, BaseEstimator):
    """A model of the table as an outlier detector.

    X is `(n, length)`, samples of one channel over time, or `(n, channels, length)`. They are
    scaled, and, where a network asks for it, interpolated linearly to the next length that is a
    multiple of 32.

    Besides the settings of the model and of its training, parameters are:

    - `component`: error component that is the score; None takes the model's first.
    - `scaling`: to [0, 1] by the limits of the training samples (`training`), by each
      sample's own (`sample`), each channel by itself, or not at all (`none`).
    - `contamination`: share of the training samples that is outside, in (0, 0.5]; the
      threshold is a quantile of their scores.
    - `random_state`: a seed, a `numpy.random.RandomState`, or None for NumPy's own; decides
      weights, batches and draws.

    Parameters that are set after a fit count from the next one on; a fit that fails leaves none.

    Attributes:
        n_features_in_: values of a sample, of all its channels.
        n_channels_in_: channels of a sample.
        offset_: `decision_function` is `score_samples` minus it.
        weights_: the fitted arrays by name; what a pickle holds of the model.
        limits_: smallest and largest training value of each channel; None if `scaling` is not
            `training`.
    """

    model_name: ClassVar[str]

    def fit(self, X: npt.ArrayLike, y: Any = None) -> Self:  # noqa: N803
        """Train on normal samples.

        Args:
            X: `(n, length)` or `(n, channels, length)`, n >= 2, normals.
            y: not read.

        Raises:
            ValueError: a parameter is not allowed, X has another form, or training diverged.
        """
        del y
        fitted = self._checked_settings()
        random = check_random_state(self.random_state)
        for name in FITTED:
            self.__dict__.pop(name, None)
        channels, flat = _flattened(X)
        rows = validate_data(self, flat, dtype=np.float64, ensure_min_samples=2)
        self.n_channels_in_ = channels
        values = rows.astype(np.float32).reshape(len(rows), channels, -1)
        self._fitted = fitted
        self.limits_ = Scaling.fit(values) if fitted.scaling == "training" else None
        self._seed = int(random.randint(np.iinfo(np.int32).max))
        self._model = self._build(fitted)
        self._train(self._samples(rows))
        self.weights_ = {name: value.numpy() for name, value in self._model.weights().items()}
        # As scikit-learn's own: at most this share of the training samples is below.
        scores = -self._errors_of(rows)[fitted.component]
        self.offset_ = float(np.percentile(scores, 100 * self.contamination))
        return self

    def score_samples(self, X: npt.ArrayLike) -> Float:  # noqa: N803
        """Return `(n,)` the score component with its sign turned: larger is more normal.

        Raises:
            ValueError: X is not as it was in the fit, or `component` is another one.
        """
        errors = self._errors(X)
        fitted = self._fitted.component
        if fitted != (self.component or self._model.components[0]):
            raise ValueError(
                f"component is {self.component!r}, but {type(self).__name__} was fitted with"
                f" {fitted!r}: fit it again"
            )
        return -errors[fitted]

    def decision_function(self, X: npt.ArrayLike) -> Float:  # noqa: N803
        """Return `(n,)` distances to the threshold; 0 or more is an inlier."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[np.int64]:  # noqa: N803
        """Return `(n,)` 1 for inliers and -1 for outliers."""
        return np.where(self.decision_function(X) >= 0, 1, -1)

    def error_components(self, X: npt.ArrayLike) -> dict[str, Float]:  # noqa: N803
        """Return all error components of the model, `(n,)` each; larger is more abnormal."""
        return self._errors(X)

    @property
    def _entry(self) -> ModelEntry:
        return MODELS[self.model_name]

    def _errors(self, X: npt.ArrayLike) -> dict[str, Float]:  # noqa: N803
        check_is_fitted(self, FITTED[-1])
        channels, flat = _flattened(X)
        rows = validate_data(self, flat, dtype=np.float64, reset=False)
        if channels != self.n_channels_in_:
            raise ValueError(
                f"X has {channels} channels, but {type(self).__name__} was fitted on"
                f" {self.n_channels_in_}"
            )
        return self._errors_of(rows)

    def _errors_of(self, rows: Float) -> dict[str, Float]:
        errors = self._model.errors(shared_tensor(self._samples(rows)))
        return {name: values.numpy().astype(np.float64) for name, values in errors.items()}

    def _checked_settings(self) -> _Fitted:
        """Return the parameters; ValueError names what is wrong."""
        entry, values = self._entry, self.get_params(deep=False)
        of_training = {name: values[name] for name in _training_names(entry) if name in values}
        of_model = {name: values[name] for name in values if name in entry.settings.model_fields}
        if of_training.get("optimizer", "") is None:
            del of_training["optimizer"]
        of_training = with_model_defaults({"name": self.model_name, **of_model}, of_training)
        try:
            settings = entry.settings.model_validate(of_model)
            training = TrainingSettings.model_validate(of_training)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise ValueError(f"{key}: {first['msg']}, found {first['input']!r}") from None
        if (
            not isinstance(self.contamination, int | float | np.floating)
            or not 0 < self.contamination <= 0.5
        ):
            raise ValueError(f"contamination must be in (0, 0.5], found {self.contamination!r}")
        if self.scaling not in ("training", "sample", "none"):
            raise ValueError(f"scaling must be training, sample or none, found {self.scaling!r}")
        components = components_of(settings)
        if self.component not in (None, *components):
            allowed = ", ".join(components)
            raise ValueError(f"component must be one of {allowed}, found {self.component!r}")
        return _Fitted(settings, training, self.scaling, self.component or components[0])

    def _build(self, fitted: _Fitted) -> Model:
        import torch

        seeds = Seeds(**{each.name: stream_seed(self._seed, each.name) for each in fields(Seeds)})
        build = implementation(self.model_name)
        shape = Shape(self.n_channels_in_, self._length)
        return build(fitted.settings, fitted.training, shape, seeds, torch.device("cpu"))

    @property
    def _length(self) -> int:
        width = int(self.n_features_in_) // self.n_channels_in_
        return width if self._entry.fitted_once else -(-width // BLOCK) * BLOCK

    def _samples(self, rows: Float) -> npt.NDArray[np.float32]:
        """Return `(n, features)` as the model takes them, `(n, channels, length)`."""
        single = rows.reshape(len(rows) * self.n_channels_in_, -1)  # (n, c * l) -> (n * c, l)
        scaled = scale_rows(single) if self._fitted.scaling == "sample" else single
        long = interpolate_rows(scaled, self._length)
        values = long.astype(np.float32).reshape(len(rows), self.n_channels_in_, -1)
        return values if self.limits_ is None else self.limits_.apply(values)

    def _train(self, samples: npt.NDArray[np.float32]) -> None:
        import torch

        values, members = shared_tensor(samples), torch.arange(len(samples))
        for epoch in range(1, getattr(self, "epochs", 1) + 1):
            for name, loss in self._model.train_epoch(values, members).items():
                if not np.isfinite(loss):
                    raise ValueError(f"{name} is {loss} in epoch {epoch}: training diverged")

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_model"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        import torch

        super().__setstate__(state)
        if "weights_" in state:
            if "_fitted" not in state:  # of a pickle from before there was one
                self._fitted = self._checked_settings()
            self._model = self._build(self._fitted)
            weights = {n: torch.from_numpy(np.array(value)) for n, value in self.weights_.items()}
            self._model.load_weights(weights)


def _flattened(X: npt.ArrayLike) -> tuple[int, Any]:  # noqa: N803
    """Return the number of channels, and X with the channels of a sample one after the other.

    Anything but an array of three dimensions has one channel, and is passed on as it is.
    """
    if getattr(X, "ndim", 2) != 3:
        return 1, X
    values = np.asarray(X)
    return values.shape[1], values.reshape(len(values), -1)  # (n, c, l) -> (n, c * l)


def _training_names(entry: ModelEntry) -> tuple[str, ...]:
    """Return the training settings that change something of a model."""
    if entry.fitted_once:
        return ()
    unused = {"recipe", "validation_interval"}  # all is set, and nothing validated without labels
    settings = entry.settings()
    if "discrimination_error" not in components_of(settings):
        unused |= {"discriminator_updates", "discriminator_from"}
    if not hasattr(getattr(settings, "encoder", settings), "beta"):
        unused.add("kl_warmup")
    return tuple(name for name in TrainingSettings.model_fields if name not in unused)


def parameters_of(name: str) -> dict[str, Any]:
    """Return the parameters of a model's detector with their defaults."""
    entry = MODELS[name]
    of_model = entry.settings().model_dump(exclude={"name"})
    training = with_model_defaults({"name": name}, {})
    defaults = TrainingSettings().model_dump() | training | {"optimizer": None}
    of_training = {setting: defaults[setting] for setting in _training_names(entry)}
    return {**of_model, **of_training, **OWN_PARAMETERS}


def detector_class(name: str) -> type[ModelDetector]:
    """Return the detector of a model, its parameters in the signature of `__init__`.

    scikit-learn reads an estimator's parameters from there; a setting stays written once.
    Settings of the class `KNNSettings` make a `KNNDetector`.
    """
    entry, defaults = MODELS[name], parameters_of(name)

    def __init__(self: ModelDetector, **parameters: Any) -> None:  # noqa: N807
        for unknown in parameters.keys() - defaults.keys():
            raise TypeError(f"{type(self).__name__} has no parameter {unknown!r}")
        for parameter, default in defaults.items():
            setattr(self, parameter, parameters.get(parameter, deepcopy(default)))

    keyword = inspect.Parameter.KEYWORD_ONLY
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD),
            *(inspect.Parameter(p, keyword, default=d) for p, d in defaults.items()),
        ]
    )
    settings = entry.settings.model_fields
    described = [f"- `{p}`: {settings[p].description}" for p in defaults if p in settings]
    body = {
        "__init__": __init__,
        "__doc__": "\n".join([f"{entry.description}; see `ModelDetector`.", "", *described]),
        "__module__": __package__,  # where its users, and pickles, find it
        "model_name": name,
    }
    class_name = entry.settings.__name__.removesuffix("Settings") + "Detector"
    return type(class_name, (ModelDetector,), body)
