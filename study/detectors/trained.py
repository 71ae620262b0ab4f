"""A trained fold, taken from the ledger: its model, its scaling and a fitted composition.

The ledger holds weights and errors, no pickles. The composition is fitted again from the
errors that the fold stored, or all folds of its trial (`scores.fit_on`), on validation (or
training normals) alone, so it is the one that the study's tables speak of.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from pydantic import ValidationError

from models.array_scorer import ArrayScorer
from models.interface import Model, Shape
from study.config.trial_config import TrialConfig
from study.detectors.row_form import RowForm
from study.errors import RequestError
from study.ledger import fold_files
from study.ledger.answer import ANSWER_RULE, composition_of
from study.ledger.fold_errors import needs_all_folds, read_fold_errors
from study.ledger.ledger import MANIFEST, MODEL, FoldManifest, Ledger
from study.scores.components import CompositionError, Float, FoldErrors, SplitErrors
from study.scores.compositions import FittedComposition
from study.scores.reference import relative_to
from study.scores.rules import applicable, find_composition
from study.scores.settings import LATENT_FORMS, LatentForm
from study.search.trial import FOLD_NAME, FoldAddress, fold_name, order_of
from study.storage.folder import Folder, reach_folder
from study.training.scaling import Scaling
from study.training.setup import build_model, shared_tensor

NO_REFERENCES: Mapping[str, Float] = MappingProxyType({})
FEW_SAMPLES = 16
"""As many are scored by NumPy, where the model allows it; more by PyTorch."""

Values = npt.NDArray[np.float32]
Errors = dict[str, Values]


@dataclass(frozen=True)
class TrainedFold:
    """A fold that scores.

    Attributes:
        location: the fold's folder or URI.
        config: the trial's configuration.
        model: with the weights of the best validation epoch.
        rows: which rows its samples may be made of.
        scaling: limits of the fold's training samples; None where samples need none.
        composition: name of the composition.
        latent_form: its form of L; "" without L.
        fitted: the composition, fitted.
        deviation: standard deviation of its score over the fold's training normals.
        channels: names of a sample's channels; () where there is one.
    """

    location: str
    config: TrialConfig
    model: Model
    rows: RowForm
    scaling: Scaling | None
    composition: str
    latent_form: LatentForm | Literal[""]
    fitted: FittedComposition
    deviation: float
    channels: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"TrainedFold({self.location}, {self.composition})"

    def errors(self, samples: Values) -> Errors:
        """Return the error components of samples `(n, channels, length)`, `(n,)` float32 each."""
        if len(samples) <= FEW_SAMPLES and self._array_scorer:
            return self._array_scorer.errors(self._scaled(samples))
        errors = self.model.errors(self._model_input(samples))
        return {name: values.cpu().numpy() for name, values in errors.items()}

    def score(self, errors: Errors, references: Mapping[str, Float] = NO_REFERENCES) -> Float:
        """Return `(n,)` scores, higher is more abnormal; above `fitted.tau` is abnormal.

        Args:
            errors: components of the model and of the samples.
            references: what the components of these names are compared with, `(n,)` each.
        """
        return self.fitted.score(relative_to(references, _unlabelled(errors)))

    def channel_errors(self, samples: Values) -> Errors:
        """Return components of each of several channels, `(n,)` by `<component>.<channel>`."""
        if not self.channels:
            return {}
        errors = self.model.channel_errors(self._model_input(samples))
        return {
            f"{name}.{channel}": values[:, c].cpu().numpy()
            for name, values in errors.items()
            for c, channel in enumerate(self.channels)
        }

    def reconstruct(self, samples: Values) -> Values | None:
        """Return x̂ in the units of `samples`; None if the model reconstructs nothing."""
        scaled = self.model.reconstruct(self._model_input(samples))
        if scaled is None:
            return None
        reconstructed = scaled.cpu().numpy()
        return reconstructed if self.scaling is None else self.scaling.restore(reconstructed)

    @cached_property
    def _array_scorer(self) -> ArrayScorer | None:
        if self.model.device.type != "cpu":
            return None
        try:
            return ArrayScorer(self.model)
        except TypeError:  # a model that it is not for
            return None

    def _scaled(self, samples: Values) -> Values:
        return samples if self.scaling is None else self.scaling.apply(samples)

    def _model_input(self, samples: Values) -> torch.Tensor:
        return shared_tensor(self._scaled(samples)).to(self.model.device)


@dataclass(frozen=True)
class TrialLocation:
    """Where trained folds are.

    Attributes:
        ledger: the ledger.
        trial: the trial's name.
        fold: the fold's number; None for all folds of the trial.
    """

    ledger: Ledger
    trial: str
    fold: int | None


class CopiedLedger(Ledger):
    """One trial, or one fold, that has been copied by itself, whatever its folder is called."""

    def __init__(self, folder: Folder, name: str, *, is_fold: bool) -> None:
        super().__init__(folder)
        self._name, self._is_fold = name, is_fold

    def path(self, address: FoldAddress) -> str:
        """Return where a fold is in `folder`."""
        return self._name if self._is_fold else f"{self._name}/{fold_name(address.fold)}"

    def _read_small(self, path: str) -> bytes:
        return super()._read_small(f"{self._name}/{path.partition('/')[2]}")


def locate(location: str) -> TrialLocation:
    """Return what a path or URI names: the folder of a trial, or of a fold.

    In a results folder it is `.../ledger/<trial>` or `.../<trial>/fold-<k>`; a copy may have
    any name.

    Raises:
        RequestError: it is neither.
    """
    whole = location if "://" in location else str(Path(location).resolve())
    path, mark, query = whole.partition("?") if "://" in location else (whole, "", "")
    parent, _, last = path.rstrip("/").rpartition("/")
    above, _, trial = parent.rpartition("/")
    fold, folder = FOLD_NAME.fullmatch(last), reach_folder((parent or "/") + mark + query)
    for name, is_fold in ((last, True), (f"{last}/{fold_name(0)}", False)):
        try:
            written = json.loads(folder.read(f"{name}/{MANIFEST}"))
            address = FoldAddress(str(written["trial"]), int(written["fold"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if address.path not in (f"{trial}/{last}", name):
            copied = CopiedLedger(folder, last, is_fold=is_fold)
            return TrialLocation(copied, address.trial, address.fold if is_fold else None)
    if fold and last == fold_name(int(fold[1])) and order_of(trial) is not None:
        ledger = Ledger(reach_folder((above or "/") + mark + query))
        return TrialLocation(ledger, trial, int(fold[1]))
    if order_of(last) is not None:
        return TrialLocation(Ledger(folder), last, None)
    raise RequestError(
        f"{location}: expected the folder of a trained fold, results/<study>/ledger/<trial>/"
        "fold-<k>, or of its trial, or a copy of one, found another path: correct it"
    )


def fold_numbers(trial: TrialLocation, config: TrialConfig) -> range:
    """Return the folds that a trial has: of one stopped while folds were raced, the first ones."""
    record = trial.ledger.trial(trial.trial)
    return range((record and record.num_folds) or config.split.folds)


def read_fold(
    trial: TrialLocation,
    number: int,
    composition: str | None = None,
    latent_form: str | None = None,
    device: str = "cpu",
) -> TrainedFold:
    """Return a trained fold; all files that it is read from are verified.

    Args:
        trial: the trial.
        number: the fold.
        composition: name of the composition; None for the study's metric.
        latent_form: form of L; None for that of the study's metric.
        device: "cpu" or "cuda".

    Raises:
        RequestError: there is no such fold, it failed, or the composition does not fit it.
        DamagedError: a file is not what was committed.
    """
    address = FoldAddress(trial.trial, number)
    where = trial.ledger.folder.locate(trial.ledger.path(address))
    manifest = trial.ledger.fold(address)
    if manifest is None or manifest.state == "failed":
        state = "none" if manifest is None else f"one that failed: {manifest.reason}"
        raise RequestError(f"{where}: expected a trained fold, found {state}: choose another")
    described = fold_files.read_json(trial.ledger, manifest, MODEL)
    config = _config(described, where)
    form = latent_form or config.metric.latent_form
    name = composition or composition_of(config)[0]
    errors = _errors(trial, manifest, config)
    fitted, used_form = _fit(errors, config, name, form, where)
    shape = Shape(**described["shape"])
    model = build_model(config, shape, number, torch.device(device))
    weights = trial.ledger.read(manifest, fold_files.WEIGHTS)
    model.load_weights(safetensors.torch.load(weights))
    scaling = described["scaling"]
    channels = tuple(described.get("channels", ()))
    # Older folds do not say how wide their rows were.
    row_width = described.get("row_width") or config.dataset.row_width
    return TrainedFold(
        location=where,
        config=config,
        model=model,
        rows=RowForm(config.dataset, shape, row_width, channels),
        scaling=None if scaling is None else Scaling.from_dict(scaling),
        composition=name,
        latent_form=used_form,
        fitted=fitted,
        deviation=float(fitted.score(errors.training).std()),
        channels=channels,
    )


def _config(described: dict[str, Any], where: str) -> TrialConfig:
    try:
        # Older folds hold the whole study, with the trial's settings.
        return TrialConfig.from_stored(described.get("config") or described["study"])
    except (KeyError, TypeError, ValidationError) as error:
        problem = type(error).__name__
        raise RequestError(f"{where}/{MODEL}: holds no configuration ({problem})") from None


def _errors(trial: TrialLocation, manifest: FoldManifest, config: TrialConfig) -> FoldErrors:
    all_folds: list[FoldManifest] = []
    for number in fold_numbers(trial, config) if needs_all_folds(config.scores) else ():
        address = FoldAddress(trial.trial, number)
        fold = manifest if number == manifest.fold else trial.ledger.fold(address)
        if fold is None or fold.state == "failed":
            where = trial.ledger.folder.locate(trial.ledger.path(address))
            raise RequestError(
                f"{where}: expected a trained fold, for compositions are fitted on all folds"
                " (scores.fit_on), found none: keep the trial's folds together"
            )
        all_folds.append(fold)
    return read_fold_errors(trial.ledger, manifest, config, all_folds)[ANSWER_RULE]


def _fit(
    errors: FoldErrors, config: TrialConfig, name: str, form: str, where: str
) -> tuple[FittedComposition, LatentForm | Literal[""]]:
    """Fit the composition `name` without test errors; see `study.scores.compositions`."""
    entry = find_composition(name, config.scores)
    allowed = applicable(errors.validation.values, config.scores)
    if name not in allowed:
        raise RequestError(
            f"composition: {name} needs {', '.join(entry.components)}, of which "
            f"{config.model.name} does not give all; it allows {', '.join(allowed)}"
        )
    known_form = latent_form_of(form)
    used: LatentForm | Literal[""] = known_form if entry.uses_latent else ""
    try:
        return entry.fit(errors.for_fitting(), config.scores, used), used
    except CompositionError as error:
        raise RequestError(f"{where}: {name} cannot be fitted: {error}: choose another") from None


def latent_form_of(name: str) -> LatentForm:
    """Return the latent form called `name`.

    Raises:
        RequestError: there is none.
    """
    for form in LATENT_FORMS:
        if form == name:
            return form
    raise RequestError(f"latent form: expected one of {', '.join(LATENT_FORMS)}, found {name!r}")


def _unlabelled(errors: Errors) -> SplitErrors:
    count = len(next(iter(errors.values())))
    return SplitErrors(np.zeros(count, dtype=np.int8), errors)
