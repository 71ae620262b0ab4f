"""A fold's model on its samples: errors, validation scores, and what is measured.

Scoring is deterministic. Draws from the posterior come from the model's own stream of
noise, which stands still; TSTR and MMD draw from the study's streams "tstr" and "mmd",
each named by the fold.
"""

import math
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import Tensor

from models.interface import Examination, Latents, Model
from study.config.trial_config import TrialConfig
from study.data.samples import Samples
from study.data.splits import Fold
from study.ledger import fold_contents, fold_files
from study.ledger.fold_contents import Evaluation
from study.randomness import stream_seed
from study.scores.components import FitErrors, SplitErrors
from study.scores.evaluation import fit_on_validation, needs_training
from study.scores.reference import Located, relative_errors
from study.scores.rules import applicable, find_composition
from study.scores.settings import REPORTED_SCORES
from study.training.measures.latents import measure_latents
from study.training.measures.mmd import maximum_mean_discrepancy
from study.training.measures.tstr import DEFINITIONS, Definition, measure_tstr
from study.training.setup import shared_tensor

TSTR_NAMES: dict[Definition, str] = {"all": "tstr", "normals": "tstr_normals"}
"""Columns of the history by the definition of TSTR."""

TIMED_SAMPLES, TIMED_TURNS = 256, 5
COMPARED_NORMALS = 1000

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

    def take(self, members: Index) -> Tensor:
        """Return the values of `members` on the model's device, `(n, channels, length)`."""
        return self.values[torch.from_numpy(members).to(self.values.device)]

    def seed(self, stream: str, *path: int) -> int:
        """Return the fold's own seed of one of the study's streams."""
        return stream_seed(self.config.seed, stream, self.number, *path)

    def evaluation(self) -> Evaluation:
        """Return the error components of all samples."""
        fold, draws = self.fold, self.config.measures.draws
        training = self._errors(fold.training)
        latents = self.model.latents(self.take(fold.training))
        if latents is not None and latents.kl is not None:
            training[fold_files.DRAWN_LATENT_NORM] = latents.drawn.norm(dim=1).cpu().numpy()
        scored = []
        for members in (fold.validation, fold.test):
            variances = self.model.error_variances(self.take(members), draws)
            named = {f"{name}_variance": v.cpu().numpy() for name, v in variances.items()}
            errors, by_channel = self._errors_and_channels(members)
            scored.append(errors | named | by_channel)
        return Evaluation(training, *scored)

    @cached_property
    def costs(self) -> dict[str, float]:
        """What scoring with the model costs, as far as the search improves it, by metric.

        It is the same after every epoch, and measured once by each process that trains the fold.
        """
        wanted, costs = self.config.metrics, {}
        if "microseconds" in wanted:
            costs["microseconds"] = self.score_microseconds()
        if "parameters" in wanted:
            costs["parameters"] = sum(each.numel() for each in self.model.weights().values())
        if "bytes" in wanted:
            costs["bytes"] = len(safetensors.torch.save(self.model.weights()))
        return costs

    def score_microseconds(self) -> float:
        """Return what a sample takes to score, in batches of up to 256, at its quickest."""
        batch = self.take(self.fold.validation[:TIMED_SAMPLES])
        seconds = []
        for _ in range(TIMED_TURNS):
            started = time.perf_counter()
            errors = self.model.errors(batch)
            float(next(iter(errors.values())).sum())  # a device has then come to its end
            seconds.append(time.perf_counter() - started)
        return 1e6 * min(seconds) / len(batch)

    def _errors_and_channels(self, members: Index) -> tuple[Errors, Errors]:
        """Return the error components, and where there are several channels those of each.

        The latter by `<component>.<channel>`. x̂ serves both: some models search for it.
        """
        names, values = self.samples.channel_names, self.take(members)
        if not names:
            return self._errors(members), {}
        examined, by_channel = self.model.examine(values), {}
        if examined.reconstruction is not None:
            by_channel = self.model.compare_channels(values, examined.reconstruction)
        return self._components(members, examined.errors), {
            f"{name}.{channel}": errors[:, c].cpu().numpy()
            for name, errors in by_channel.items()
            for c, channel in enumerate(names)
        }

    def validate(self, epoch: int, *, with_tstr: bool) -> dict[str, Any]:
        """Return the study's metric as `value`, and all that is measured at a validation.

        Raises:
            NonFiniteError: an error component, or the metric, is not finite.
        """
        fold, metric = self.fold, self.config.metric
        followed = [metric.composition, *self._tracked()]
        validation = self.model.examine(self.take(fold.validation))
        needed = self._compares_with_training or any(
            needs_training(name, self.config.scores, metric.latent_form) for name in followed
        )
        training = self.model.examine(self.take(fold.training)) if needed else None
        errors = self._fit_errors(validation, training)
        fits = {
            name: fit_on_validation(errors, name, self.config.scores, metric.latent_form)
            for name in dict.fromkeys(followed)
        }
        fit = fits[metric.composition]
        metrics = fit.metrics
        normals = errors.validation.normals().component(self.model.components[0])
        normal_error = float(normals.mean())
        # Larger is better, whatever the score.
        value = getattr(metrics, metric.score) if metric.reads_labels else -normal_error
        if not math.isfinite(value):
            why = f" ({fit.note})" if fit.note else ""
            raise NonFiniteError(
                f"validation {metric.score} of {metric.composition}{why} is {value}"
            )
        row: dict[str, Any] = {"value": value}
        row |= {name: getattr(metrics, name) for name in REPORTED_SCORES}
        row["normal_error"] = normal_error
        for name in self._tracked():
            row[f"{name}/f1_weighted"] = fits[name].metrics.f1_weighted
            entry = find_composition(name, self.config.scores)
            if len(entry.components) > 1 and entry.supervision == "threshold":
                row[f"{name}/lambda"] = fits[name].lambda_
        latents = training.latents if training else self.model.latents(self.take(fold.training))
        row |= self._latent(latents)
        return row | self._generation(epoch, validation.reconstruction, with_tstr=with_tstr)

    def _tracked(self) -> list[str]:
        """Return the compositions followed whose errors the model has."""
        components = {*self.model.components, *self.samples.components}
        possible = applicable(components, self.config.scores)
        return [name for name in self.config.measures.tracked if name in possible]

    @cached_property
    def _compares_with_training(self) -> bool:
        """Whether validation errors are relative to records that training samples are of."""
        record, fold = self.samples.record, self.fold
        if self.config.scores.reference == "none":
            return False
        return bool(np.isin(record[fold.validation], record[fold.training]).any())

    def _fit_errors(self, validation: Examination, training: Examination | None) -> FitErrors:
        """Return what compositions are fitted on while the fold trains."""
        scores, fold = self.config.scores, self.fold
        trained = self._located(fold.training, training) if training else None
        return FitErrors(
            relative_errors(self._located(fold.validation, validation), scores, trained),
            relative_errors(trained, scores, None) if trained else None,
            self.model.latent_size,
        )

    def _located(self, members: Index, examined: Examination) -> Located:
        values = self._components(members, examined.errors)
        errors = SplitErrors(label=self.samples.label[members], values=values)
        return Located(errors, fold_contents.sample_moments(self.samples, members))

    def _latent(self, latents: Latents | None) -> dict[str, Any]:
        """Measure z of training; of a posterior, draws are what follows the chi distribution."""
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

    def _generation(
        self, epoch: int, synthetic: Tensor | None, *, with_tstr: bool
    ) -> dict[str, float]:
        """Measure x̂ of the validation samples: MMD of normals, TSTR in both definitions.

        What takes two normals, or two samples of each class, is left out where there are fewer.
        """
        members, label = self.fold.validation, self.samples.label[self.fold.validation]
        normals, abnormal = np.flatnonzero(label == 0), int(np.count_nonzero(label))
        if synthetic is None or len(normals) < 2:
            return {}
        real = self.take(members)
        first, second = (
            each[torch.from_numpy(normals).to(each.device)].flatten(1).double().cpu().numpy()
            for each in (real, synthetic)
        )
        mmd = maximum_mean_discrepancy(first, second, self.seed("mmd"), COMPARED_NORMALS)
        measured = {"generation/mmd": mmd}
        for definition in DEFINITIONS if with_tstr and abnormal > 1 else ():
            tstr = measure_tstr(real, synthetic, label, self.seed("tstr", epoch), definition)
            name = f"generation/{TSTR_NAMES[definition]}"
            measured |= {
                name: tstr.synthetic_f1,
                f"{name}_real": tstr.real_f1,
                f"{name}_normalised": tstr.normalised,
            }
        return measured

    def _errors(self, members: Index) -> Errors:
        """Return the error components of `members`, in their order."""
        return self._components(members, self.model.errors(self.take(members)))

    def _components(self, members: Index, errors: dict[str, Tensor]) -> Errors:
        """Return the model's components, and those that come with the samples."""
        arrays = {name: errors[name].cpu().numpy() for name in self.model.components}
        arrays |= {name: values[members] for name, values in self.samples.components.items()}
        for name, values in arrays.items():
            if not np.isfinite(values).all():
                raise NonFiniteError(f"{name} is not finite")
        return arrays
