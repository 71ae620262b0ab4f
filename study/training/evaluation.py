"""A fold's model on its samples: errors, validation scores, and what is measured.

Scoring is deterministic. Draws from the posterior come from the model's own stream of
noise, which stands still; TSTR and MMD draw from the study's streams "tstr" and "mmd",
the samples that are pictured from "pictures", each named by the fold.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.interface import Model
from study.config.trial_config import TrialConfig
from study.data.samples import Samples
from study.data.splits import Fold
from study.ledger import fold_files
from study.ledger.fold_files import Evaluation
from study.randomness import stream_seed
from study.scores.components import CompositionError, FitErrors, SplitErrors
from study.scores.compositions import find_composition
from study.scores.evaluation import needs_training, validation_metrics
from study.scores.metrics import predicted_f1
from study.training.measures.latents import measure_latents
from study.training.measures.mmd import maximum_mean_discrepancy
from study.training.measures.tstr import measure_tstr
from study.training.setup import shared_tensor

SCORED_AT_ONCE = 8192
REPORTED_SCORES = ("f1_weighted", "phi", "auroc")
PICTURED = 8
COMPARED_NORMALS = 1000
DIMENSIONS_MOVED = 8
STEPS_MOVED = 5
DEVIATIONS_MOVED = 3.0

Index = npt.NDArray[np.int64]
Errors = dict[str, npt.NDArray[np.float32]]


class NonFiniteError(ArithmeticError):
    """A loss, an error component or a latent vector is infinite or not a number."""


@dataclass(frozen=True)
class FoldEvaluator:
    """Scores the samples of one fold with its model as it is.

    Attributes:
        config: the trial's.
        number: the fold's number.
        model: the model.
        samples: the dataset, scaled.
        values: the same values on the model's device.
        fold: the fold's sample indices.
    """

    config: TrialConfig
    number: int
    model: Model
    samples: Samples
    values: Tensor
    fold: Fold

    @classmethod
    def of(
        cls, config: TrialConfig, number: int, model: Model, samples: Samples, fold: Fold
    ) -> "FoldEvaluator":
        """Put the samples where the model is."""
        values = shared_tensor(samples.values).to(model.device)
        return cls(config, number, model, samples, values, fold)

    def evaluation(self) -> Evaluation:
        """Return the error components of all samples."""
        fold, draws = self.fold, self.config.measures.draws
        training = self._errors(fold.training)
        latents = self.model.latents(self._values(fold.training))
        if latents is not None and latents.kl is not None:
            training["drawn_latent_norm"] = latents.drawn.norm(dim=1).cpu().numpy()
        scored = []
        for members in (fold.validation, fold.test):
            variances = self.model.error_variances(self._values(members), draws)
            named = {f"{name}_variance": v.cpu().numpy() for name, v in variances.items()}
            scored.append(self._errors(members) | named)
        return Evaluation(training, *scored)

    def validate(self, epoch: int, *, with_tstr: bool) -> dict[str, Any]:
        """Return the study's metric as `value`, and all that is measured at a validation.

        Raises:
            NonFiniteError: an error component, or the metric, is not finite.
        """
        metric = self.config.metric
        errors = self._fit_errors()
        metrics = validation_metrics(
            errors, metric.composition, self.config.scores, metric.latent_form
        )
        row = {"value": getattr(metrics, metric.score)}
        if not math.isfinite(row["value"]):
            raise NonFiniteError(
                f"validation {metric.score} of {metric.composition} is {row['value']}"
            )
        row |= {name: getattr(metrics, name) for name in REPORTED_SCORES}
        row |= dict(self._tracked(errors))
        return row | self._latent() | self._generation(epoch, with_tstr=with_tstr)

    def _fit_errors(self) -> FitErrors:
        metric = self.config.metric
        names = (metric.composition, *self.config.measures.tracked)
        needed = any(needs_training(name, metric.latent_form) for name in names)
        training = self._split_errors(self.fold.training) if needed else None
        return FitErrors(self._split_errors(self.fold.validation), training, self.model.latent_size)

    def _tracked(self, errors: FitErrors) -> Iterator[tuple[str, float]]:
        """Yield validation F1, and lambda where it is fitted, of the compositions followed."""
        for name in self.config.measures.tracked:
            entry = find_composition(name)
            if not set(entry.components) <= set(self.model.components):
                continue
            form = self.config.metric.latent_form if entry.uses_latent else ""
            f1 = lambda_ = math.nan
            try:
                fitted = entry.fit(errors, self.config.scores, form)
                decided = fitted.predict(fitted.score(errors.validation))
                f1, lambda_ = predicted_f1(errors.validation.label, decided), fitted.lambda_
            except CompositionError:
                pass  # these errors allow no fit: there is nothing to follow
            yield f"{name}/f1_weighted", f1
            if len(entry.components) > 1 and entry.supervision == "threshold":
                yield f"{name}/lambda", lambda_

    def _latent(self) -> dict[str, Any]:
        """Measure z of training; of a posterior, draws are what follows the chi distribution."""
        latents = self.model.latents(self._values(self.fold.training))
        if latents is None:
            return {}
        if not (latents.z.isfinite().all() and latents.drawn.isfinite().all()):
            raise NonFiniteError("z is not finite")
        kl = None if latents.kl is None else latents.kl.cpu().numpy()
        measured = vars(measure_latents(latents.z.cpu().numpy(), kl))
        if kl is not None:
            drawn = vars(measure_latents(latents.drawn.cpu().numpy(), None))
            measured |= {name: drawn[name] for name in drawn if name.startswith("chi_")}
        return {
            f"latent/{name}": value
            for name, value in measured.items()
            if value is not None and value != ()
        }

    def _generation(self, epoch: int, *, with_tstr: bool) -> dict[str, float]:
        """Measure x̂ of validation: MMD of normals, TSTR of all."""
        fold, label = self.fold, self.samples.label
        normals = fold.validation[label[fold.validation] == 0][:COMPARED_NORMALS]
        members = fold.validation if with_tstr else normals
        real = self._values(members)
        synthetic = self.model.reconstruct(real)
        if synthetic is None:
            return {}
        compared = torch.from_numpy(np.isin(members, normals)).to(real.device)
        first, second = (
            each[compared].flatten(1).double().cpu().numpy() for each in (real, synthetic)
        )
        mmd = maximum_mean_discrepancy(first, second, self._seed("mmd"), COMPARED_NORMALS)
        measured = {"generation/mmd": mmd}
        if with_tstr:
            tstr = measure_tstr(real, synthetic, label[members], self._seed("tstr", epoch))
            measured |= {
                "generation/tstr": tstr.synthetic_f1,
                "generation/tstr_real": tstr.real_f1,
                "generation/tstr_normalised": tstr.normalised,
            }
        return measured

    def reconstruct(self, members: Index) -> npt.NDArray[np.float32] | None:
        """Return x̂ of `members`; None if the model reconstructs nothing."""
        reconstructed = self.model.reconstruct(self._values(members))
        return None if reconstructed is None else reconstructed.cpu().numpy()

    def projected(self, most: int) -> tuple[Index, npt.NDArray[np.float32]] | None:
        """Return validation samples, evenly, and their z, `(n, latent)`; None without z."""
        members = self.fold.validation[:: -(-len(self.fold.validation) // most)]
        latents = self.model.latents(self._values(members))
        return None if latents is None else (members, latents.z.cpu().numpy())

    def pictures(self, validation: fold_files.Errors) -> dict[str, bytes]:
        """Return the ledger's files that pictures of x̂ and of the latent space are made from.

        Args:
            validation: errors of the validation samples, in their order.
        """
        random = np.random.default_rng(self._seed("pictures"))
        label = self.samples.label[self.fold.validation]
        members = np.concatenate(
            [random.permutation(self.fold.validation[label == c])[:PICTURED] for c in (0, 1)]
        )
        files = {}
        reconstructed = self.reconstruct(members)
        if reconstructed is not None:
            files[fold_files.RECONSTRUCTIONS] = fold_files.reconstructions_file(
                self.samples, members, reconstructed
            )
            extremes = self._extremes(validation["reconstruction_error"])
            reconstructed = self.reconstruct(extremes)
            assert reconstructed is not None
            files[fold_files.EXTREMES] = fold_files.reconstructions_file(
                self.samples, extremes, reconstructed
            )
        latents = self.model.latents(self._values(members[:1]))
        if latents is not None:
            steps = self._steps()
            moved = latents.z + torch.from_numpy(steps.offset).to(latents.z)
            generated = self.model.generate(moved)
            assert generated is not None
            files[fold_files.INTERPOLATION] = fold_files.interpolation_file(
                steps, generated.cpu().numpy()
            )
        return files

    def _extremes(self, error: npt.NDArray[np.float32]) -> Index:
        """Return the validation samples of smallest, median and largest error of each class."""
        label = self.samples.label[self.fold.validation]
        chosen = []
        for c in (0, 1):
            rising = np.flatnonzero(label == c)
            rising = rising[np.argsort(error[rising], kind="stable")]
            chosen.append(rising[[0, (len(rising) - 1) // 2, -1]] if len(rising) else rising)
        return self.fold.validation[np.concatenate(chosen)]

    def _steps(self) -> fold_files.LatentSteps:
        """Return the moves along each of the first latent dimensions, in its deviations."""
        latents = self.model.latents(self._values(self.fold.training))
        assert latents is not None
        deviation = latents.z.double().std(dim=0).cpu().numpy()
        size = len(deviation)
        moved = min(size, DIMENSIONS_MOVED)
        step = np.tile(np.arange(-STEPS_MOVED, STEPS_MOVED + 1), moved)
        dimension = np.repeat(np.arange(moved), 2 * STEPS_MOVED + 1)
        offset = np.zeros((len(step), size))
        length = step / STEPS_MOVED * DEVIATIONS_MOVED * deviation[dimension]
        offset[np.arange(len(step)), dimension] = length
        return fold_files.LatentSteps(dimension, step, offset)

    def _values(self, members: Index) -> Tensor:
        return self.values[torch.from_numpy(members).to(self.values.device)]

    def _errors(self, members: Index) -> Errors:
        """Return the model's error components of `members`, in their order."""
        parts = [
            self.model.errors(self.values[index])
            for index in torch.split(
                torch.from_numpy(members).to(self.values.device), SCORED_AT_ONCE
            )
        ]
        errors = {
            name: torch.cat([part[name] for part in parts]).cpu().numpy()
            for name in self.model.components
        }
        for name, values in errors.items():
            if not np.isfinite(values).all():
                raise NonFiniteError(f"{name} is not finite")
        return errors

    def _split_errors(self, members: Index) -> SplitErrors:
        return SplitErrors(label=self.samples.label[members], values=self._errors(members))

    def _seed(self, stream: str, *path: int) -> int:
        return stream_seed(self.config.seed, stream, self.number, *path)
