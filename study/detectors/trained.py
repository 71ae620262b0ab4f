"""A trained fold, taken from the ledger: its model, its scaling and a fitted composition.

The ledger holds weights and errors, no pickles. The composition is fitted again from the
errors that the fold stored, on validation (or training normals) alone, so it is the one
that the study's tables speak of.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from pydantic import ValidationError

from models import components_of
from models.interface import Model, Shape
from study.config.schema import Study
from study.config.study_file import check_study
from study.errors import RequestError
from study.ledger import fold_files
from study.ledger.ledger import TRIAL_NAME, FoldManifest, Ledger, fold_name
from study.scores.components import CompositionError, Float, FoldErrors, Limits, SplitErrors
from study.scores.compositions import FittedComposition, applicable, find_composition
from study.scores.settings import CompositionName, LatentForm
from study.storage.folder import reach_folder
from study.training.setup import build_model, scale_values, shared_tensor

EPOCH_RULE = "best_validation"
"""Whose weights the ledger holds."""

Values = npt.NDArray[np.float32]
Errors = dict[str, Values]


@dataclass(frozen=True)
class TrainedFold:
    """A fold that scores.

    Attributes:
        place: the fold's folder or URI.
        study: the study with the trial's settings.
        model: with the weights of the best validation epoch.
        scaling: limits of the fold's training samples; None where samples need none.
        composition: name of the composition.
        latent_form: its form of L; "" without L.
        fitted: the composition, fitted.
        deviation: standard deviation of its score over the fold's training normals.
    """

    place: str
    study: Study
    model: Model
    scaling: Limits | None
    composition: CompositionName
    latent_form: LatentForm | Literal[""]
    fitted: FittedComposition
    deviation: float

    def errors(self, samples: Values) -> Errors:
        """Return the error components of samples `(n, channels, length)`, `(n,)` float32 each."""
        found = self.model.errors(self._given(samples))
        return {name: values.cpu().numpy() for name, values in found.items()}

    def score(self, errors: Errors) -> Float:
        """Return `(n,)` scores, higher is more abnormal; above `fitted.tau` is abnormal."""
        return self.fitted.score(_unlabelled(errors))

    def reconstruct(self, samples: Values) -> Values | None:
        """Return x̂ in the units of `samples`; None if the model reconstructs nothing."""
        found = self.model.reconstruct(self._given(samples))
        if found is None:
            return None
        reconstructed = found.cpu().numpy()
        if self.scaling is None:
            return reconstructed
        low, high = self.scaling.minimum, self.scaling.maximum
        return (low + reconstructed.astype(np.float64) * (high - low)).astype(np.float32)

    def _given(self, samples: Values) -> torch.Tensor:
        scaled = samples if self.scaling is None else scale_values(samples, self.scaling)
        return shared_tensor(scaled).to(self.model.device)


@dataclass(frozen=True)
class Place:
    """Where trained folds are.

    Attributes:
        ledger: the ledger.
        trial: the trial's name.
        fold: the fold's number; None for all folds of the trial.
    """

    ledger: Ledger
    trial: str
    fold: int | None


def locate(location: str) -> Place:
    """Return what a path or URI, `.../ledger/<trial>` or `.../<trial>/fold-<k>`, names.

    Raises:
        RequestError: it names neither.
    """
    path, mark, query = location.partition("?") if "://" in location else (location, "", "")
    parent, _, last = path.rstrip("/").rpartition("/")
    fold = last.removeprefix("fold-")
    if last != fold and fold.isdecimal() and last == fold_name(int(fold)):
        parent, _, trial = parent.rpartition("/")
        number = int(fold)
    else:
        trial, number = last, None
    if not TRIAL_NAME.fullmatch(trial):
        raise RequestError(
            f"{location}: expected the folder of a trained fold, results/<study>/ledger/<trial>/"
            "fold-<k>, or of its trial, found another path: correct it"
        )
    return Place(Ledger(reach_folder((parent or ".") + mark + query)), trial, number)


def read_fold(
    place: Place,
    number: int,
    composition: str | None = None,
    latent_form: str | None = None,
    device: str = "cpu",
) -> TrainedFold:
    """Return a trained fold; all files that it is read from are verified.

    Args:
        place: the trial.
        number: the fold.
        composition: name of the composition; None for the study's metric.
        latent_form: form of L; None for that of the study's metric.
        device: "cpu" or "cuda".

    Raises:
        RequestError: there is no such fold, it failed, or the composition does not fit it.
        DamagedError: a file is not what was committed.
    """
    where = place.ledger.folder.locate(f"{place.trial}/{fold_name(number)}")
    manifest = place.ledger.fold(place.trial, number)
    if manifest is None or manifest.state == "failed":
        found = "none" if manifest is None else f"one that failed: {manifest.reason}"
        raise RequestError(f"{where}: expected a trained fold, found {found}: choose another")
    described = fold_files.read_json(place.ledger, manifest, fold_files.MODEL)
    study = _study(described, where)
    form = latent_form or study.search.metric.latent_form
    name = composition or study.search.metric.composition
    errors = _errors(place.ledger, manifest, study, described["latent_size"])
    fitted, chosen, used_form = _fit(errors, study, name, form, where)
    model = build_model(study, Shape(**described["shape"]), number, torch.device(device))
    weights = place.ledger.read(manifest, fold_files.WEIGHTS)
    model.load_weights(safetensors.torch.load(weights))
    scaling = described["scaling"]
    return TrainedFold(
        place=where,
        study=study,
        model=model,
        scaling=None if scaling is None else Limits(**scaling),
        composition=chosen,
        latent_form=used_form,
        fitted=fitted,
        deviation=float(fitted.score(errors.training).std()),
    )


def _study(described: dict[str, Any], where: str) -> Study:
    try:
        return check_study(described["study"], f"{where}/{fold_files.MODEL}")
    except (KeyError, ValidationError) as error:
        raise RequestError(f"{where}: holds no study ({type(error).__name__})") from None


def _errors(
    ledger: Ledger, manifest: FoldManifest, study: Study, latent_size: int | None
) -> FoldErrors:
    components = components_of(study.model)
    return fold_files.read_errors(ledger, manifest, components, latent_size)[EPOCH_RULE]


def _fit(
    errors: FoldErrors, study: Study, name: str, form: str, where: str
) -> tuple[FittedComposition, CompositionName, LatentForm | Literal[""]]:
    """Fit the composition `name` without test errors; see `study.scores.compositions`."""
    entry = find_composition(name)
    allowed = applicable(errors.validation.values)
    chosen = next((known for known in allowed if known == name), None)
    if chosen is None:
        raise RequestError(
            f"composition: {name} needs {', '.join(entry.components)}, of which "
            f"{study.model.name} does not give all; it allows {', '.join(allowed)}"
        )
    known_form = latent_form_of(form)
    used: LatentForm | Literal[""] = known_form if entry.uses_latent else ""
    try:
        return entry.fit(errors.for_fitting(), study.scores, used), chosen, used
    except CompositionError as error:
        raise RequestError(f"{where}: {name} cannot be fitted: {error}: choose another") from None


def latent_form_of(name: str) -> LatentForm:
    """Return the latent form called `name`.

    Raises:
        RequestError: there is none.
    """
    from study.scores.settings import LATENT_FORMS

    for form in LATENT_FORMS:
        if form == name:
            return form
    raise RequestError(f"latent form: expected one of {', '.join(LATENT_FORMS)}, found {name!r}")


def _unlabelled(errors: Errors) -> SplitErrors:
    count = len(next(iter(errors.values())))
    return SplitErrors(np.zeros(count, dtype=np.int8), errors)
