"""Every composition of a fold: fitted on validation, applied to test, measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from study.errors import RequestError
from study.scores.components import CompositionError, FitErrors, FoldErrors, SplitErrors
from study.scores.compositions import Composition, FittedComposition
from study.scores.decisions import Decisions
from study.scores.metrics import Metrics, compute_metrics, predicted_f1
from study.scores.rules import applicable, find_composition
from study.scores.settings import LATENT_FORMS, LatentForm, ScoreSettings, Supervision, SvmSolver

NOT_MEASURED = "test: no abnormal samples, so that there is no F1, phi or AUROC"


@dataclass(frozen=True)
class FitResult:
    """A fitted composition in numbers.

    Attributes:
        composition: its name.
        latent_form: "" for compositions without L.
        supervision: `none`, `threshold` or `svm`.
        labels_chose: what validation labels chose in the fit, of `weights` and `threshold`;
            "" for nothing.
        svm_solver: what fitted the support vector machine, `exact` or `nystroem`; ""
            for compositions without one.
        lambda_: weight of D in equation 7, or of the second component of a composition of the
            study's own; nan where there is none.
        gamma: weight of L in equation 7, or of the third component; nan where there is none.
        tau: threshold; may be infinite.
        validation_f1_weighted: weighted F1 on validation; with `fit_on: all_folds` on that of all
            folds together.
    """

    composition: str
    latent_form: LatentForm | Literal[""]
    supervision: Supervision
    labels_chose: str
    svm_solver: SvmSolver | Literal[""]
    lambda_: float
    gamma: float
    tau: float
    validation_f1_weighted: float


@dataclass(frozen=True)
class ScoreRow(Metrics, FitResult):
    """A row of the score table: a fitted composition, then its metrics on test.

    Attributes:
        note: why there are no numbers; "" where there are.
    """

    note: str


@dataclass(frozen=True)
class CompositionResult:
    """A composition's result: fitted, and applied to test.

    Attributes:
        row: fitted values, and metrics.
        decisions: on each test sample; None where there are no numbers.
    """

    row: ScoreRow
    decisions: Decisions | None


def evaluate_fold(
    errors: FoldErrors, settings: ScoreSettings, compositions: Sequence[str] | None = None
) -> list[ScoreRow]:
    """Return the rows of `evaluate_compositions`."""
    return [result.row for result in evaluate_compositions(errors, settings, compositions)]


def evaluate_compositions(
    errors: FoldErrors, settings: ScoreSettings, compositions: Sequence[str] | None = None
) -> list[CompositionResult]:
    """Fit compositions on validation and measure them on test.

    Args:
        errors: components of the fold's three splits.
        settings: how to fit.
        compositions: names, in the order of the rows; None for all that the
            validation components allow: the table's, then the study's own.

    Returns:
        One per composition, three (one per latent form) where L is used. A composition
        that these errors do not allow has a row with a `note`.

    Raises:
        RequestError: an unknown composition.
    """
    if compositions is None:
        compositions = applicable(errors.validation.values, settings)
    entries = [(name, find_composition(name, settings)) for name in compositions]
    return [
        _evaluate(name, entry, form, errors, settings)
        for name, entry in entries
        for form in _forms(entry)
    ]


def needs_training(composition: str, settings: ScoreSettings, latent_form: LatentForm) -> bool:
    """Return whether a composition's fit reads errors of the training samples."""
    entry = find_composition(composition, settings)
    return entry.needs_training(settings, latent_form if entry.uses_latent else "")


@dataclass(frozen=True)
class ValidationFit:
    """A composition as it is fitted and measured on validation while a fold trains.

    Attributes:
        metrics: nan with labels of one class, or where there is no fit.
        lambda_: the fitted lambda; nan where there is none.
        note: why there is no fit; "" otherwise.
    """

    metrics: Metrics
    lambda_: float = float("nan")
    note: str = ""


def fit_on_validation(
    errors: FitErrors,
    composition: str,
    settings: ScoreSettings,
    latent_form: LatentForm = "implicit",
) -> ValidationFit:
    """Fit a composition on validation, and measure it there.

    Epochs and trials are ranked by the metrics, as in the paper. From `svm_nystroem_from`
    samples on, support vector machines are fitted by `nystroem` if it can.

    Args:
        errors: of validation; of training, if `needs_training`.
        composition: its name.
        settings: how to fit.
        latent_form: ignored by compositions without L.

    Raises:
        RequestError: an unknown name, or an input that the composition needs is absent.
    """
    entry = find_composition(composition, settings)
    form: LatentForm | Literal[""] = latent_form if entry.uses_latent else ""
    _require_inputs(composition, entry, form, errors, settings)
    undefined = Metrics.undefined(errors.validation.label)
    if not errors.validation.has_both_classes:
        return ValidationFit(undefined, note="validation has samples of one class")
    note = ""
    for quickest_first in _while_training(settings, len(errors.validation)):
        try:
            fitted = entry.fit(errors, quickest_first, form)
            return ValidationFit(_metrics(_decide(fitted, errors.validation)), fitted.lambda_)
        except CompositionError as error:
            note = str(error)
    return ValidationFit(undefined, note=note)


def _while_training(settings: ScoreSettings, samples: int) -> list[ScoreSettings]:
    """Return the settings by which compositions are fitted at a validation, in turn."""
    if settings.quantile_of == "held_out_patients":
        # One fold's validation has too few patients for most quantiles.
        settings = settings.model_copy(update={"quantile_of": "held_out"})
    few = settings.svm_nystroem_from is None or samples < settings.svm_nystroem_from
    if few or settings.svm_solver == "nystroem":
        return [settings]
    return [settings.model_copy(update={"svm_solver": "nystroem"}), settings]


def _forms(entry: Composition) -> tuple[LatentForm | Literal[""], ...]:
    return LATENT_FORMS if entry.uses_latent else ("",)


def _decide(fitted: FittedComposition, split: SplitErrors) -> Decisions:
    if not len(split):
        raise CompositionError("metrics need at least one sample, found none")
    score = fitted.score(split)
    return Decisions(split.label, score, fitted.predict(score))


def _metrics(decisions: Decisions) -> Metrics:
    return compute_metrics(decisions.label, decisions.score, decisions.prediction)


def _validation_f1(fitted: FittedComposition, validation: SplitErrors) -> float:
    # A fit that needs no validation has numbers on test whatever validation is like.
    if not len(validation):
        return float("nan")
    try:
        prediction = fitted.predict_validation(validation)
    except CompositionError:
        return float("nan")
    return predicted_f1(validation.label, prediction)


def _evaluate(
    name: str,
    entry: Composition,
    form: LatentForm | Literal[""],
    errors: FoldErrors,
    settings: ScoreSettings,
) -> CompositionResult:
    nan = float("nan")
    undefined = Metrics.undefined(errors.test.label)
    solver: SvmSolver | Literal[""] = settings.svm_solver if entry.supervision == "svm" else ""
    chosen = ", ".join(entry.chosen_by_labels)
    result = FitResult(name, form, entry.supervision, chosen, solver, nan, nan, nan, nan)
    try:
        fitted = entry.fit(errors.for_fitting(), settings, form)
    except CompositionError as error:
        return CompositionResult(_score_row(result, undefined, f"fit: {error}"), None)
    result = replace(
        result,
        lambda_=fitted.lambda_,
        gamma=fitted.gamma,
        tau=fitted.tau,
        validation_f1_weighted=_validation_f1(fitted, errors.validation),
    )
    try:
        decisions = _decide(fitted, errors.test)
    except CompositionError as error:
        return CompositionResult(_score_row(result, undefined, f"test: {error}"), None)
    if not errors.test.label.any():
        return CompositionResult(_score_row(result, undefined, NOT_MEASURED), decisions)
    return CompositionResult(_score_row(result, _metrics(decisions), ""), decisions)


def _score_row(result: FitResult, metrics: Metrics, note: str) -> ScoreRow:
    return ScoreRow(**vars(result), **vars(metrics), note=note)


def _missing_inputs(
    entry: Composition,
    form: LatentForm | Literal[""],
    errors: FitErrors,
    settings: ScoreSettings,
) -> Iterator[str]:
    yield from (name for name in entry.components if name not in errors.validation.values)
    if errors.training is None and entry.needs_training(settings, form):
        yield "training errors"
    if errors.latent_size is None and form == "chi_mode":
        yield "the latent size"


def _require_inputs(
    composition: str,
    entry: Composition,
    form: LatentForm | Literal[""],
    errors: FitErrors,
    settings: ScoreSettings,
) -> None:
    missing = ", ".join(_missing_inputs(entry, form, errors, settings))
    if missing:
        possible = ", ".join(applicable(errors.validation.values, settings)) or "none"
        raise RequestError(
            f"composition {composition!r} needs {missing}; available components allow: {possible}"
        )
