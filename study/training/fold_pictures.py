"""What is pictured of a fold: reconstructed samples, z of others, and moves along its dimensions.

The samples that are pictured are drawn from the study's stream "pictures", named by the fold.
"""

import numpy as np
import numpy.typing as npt
import torch

from study.ledger import fold_contents, fold_files
from study.training.evaluation import FoldEvaluator, Index

PICTURED = 8
DIMENSIONS_MOVED = 8
STEPS_MOVED = 5
DEVIATIONS_MOVED = 3.0


def reconstruct(evaluator: FoldEvaluator, members: Index) -> npt.NDArray[np.float32] | None:
    """Return x̂ of `members`; None if the model reconstructs nothing."""
    reconstructed = evaluator.model.reconstruct(evaluator.take(members))
    return None if reconstructed is None else reconstructed.cpu().numpy()


def projected(evaluator: FoldEvaluator, most: int) -> tuple[Index, npt.NDArray[np.float32]] | None:
    """Return validation samples, evenly, and their z, `(n, latent)`; None without z."""
    members = evaluator.fold.validation[:: -(-len(evaluator.fold.validation) // most)]
    latents = evaluator.model.latents(evaluator.take(members))
    return None if latents is None else (members, latents.z.cpu().numpy())


def pictures(evaluator: FoldEvaluator, validation: fold_contents.Errors) -> dict[str, bytes]:
    """Return the ledger's files that pictures of x̂ and of the latent space are made from.

    Args:
        evaluator: has the fold's model and samples.
        validation: errors of the validation samples, in their order.
    """
    random = np.random.default_rng(evaluator.seed("pictures"))
    label = evaluator.samples.label[evaluator.fold.validation]
    members = np.concatenate(
        [random.permutation(evaluator.fold.validation[label == c])[:PICTURED] for c in (0, 1)]
    )
    files = {}
    reconstructed = reconstruct(evaluator, members)
    if reconstructed is not None:
        files[fold_files.RECONSTRUCTIONS] = fold_contents.reconstructions_file(
            evaluator.samples, members, reconstructed
        )
        extremes = _extremes(evaluator, validation["reconstruction_error"])
        reconstructed = reconstruct(evaluator, extremes)
        assert reconstructed is not None
        files[fold_files.EXTREMES] = fold_contents.reconstructions_file(
            evaluator.samples, extremes, reconstructed
        )
    latents = evaluator.model.latents(evaluator.take(members[:1]))
    if latents is not None:
        steps = _steps(evaluator)
        moved = latents.z + torch.from_numpy(steps.offset).to(latents.z)
        generated = evaluator.model.generate(moved)
        assert generated is not None
        files[fold_files.INTERPOLATION] = fold_contents.interpolation_file(
            steps, generated.cpu().numpy()
        )
    return files


def _extremes(evaluator: FoldEvaluator, error: npt.NDArray[np.float32]) -> Index:
    """Return the validation samples of smallest, median and largest error of each class."""
    label = evaluator.samples.label[evaluator.fold.validation]
    chosen = []
    for c in (0, 1):
        rising = np.flatnonzero(label == c)
        rising = rising[np.argsort(error[rising], kind="stable")]
        chosen.append(rising[[0, (len(rising) - 1) // 2, -1]] if len(rising) else rising)
    return evaluator.fold.validation[np.concatenate(chosen)]


def _steps(evaluator: FoldEvaluator) -> fold_contents.LatentSteps:
    """Return the moves along each of the first latent dimensions, in its deviations."""
    latents = evaluator.model.latents(evaluator.take(evaluator.fold.training))
    assert latents is not None
    deviation = latents.z.double().std(dim=0).cpu().numpy()
    size = len(deviation)
    moved = min(size, DIMENSIONS_MOVED)
    step = np.tile(np.arange(-STEPS_MOVED, STEPS_MOVED + 1), moved)
    dimension = np.repeat(np.arange(moved), 2 * STEPS_MOVED + 1)
    offset = np.zeros((len(step), size))
    length = step / STEPS_MOVED * DEVIATIONS_MOVED * deviation[dimension]
    offset[np.arange(len(step)), dimension] = length
    return fold_contents.LatentSteps(dimension, step, offset)
