"""The score of one sample, as a user of `study.load_detector` has it, and of many.

`python -m benchmarks.single_sample [--threads 1 2] [--json FILE]` prints a line per
measurement, on a CPU. `Detector.score` checks a sample, scales it, takes it through encoder,
decoder and discriminator of beta-VAEGAN, and decides by a fitted composition.
"""

import argparse
import copy
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks.measurement import Measurement, interleaved
from benchmarks.training_step import PRECISIONS, beats, our_model, threads_set
from models.interface import Model
from study.config.study_file import check_study
from study.config.trial_config import TrialConfig
from study.detectors.detector import Detector
from study.detectors.row_form import RowForm
from study.detectors.trained import TrainedFold
from study.scores.components import FitErrors, Limits, SplitErrors
from study.scores.compositions import COMPOSITIONS, FittedComposition
from study.scores.settings import ScoreSettings
from study.training.scaling import Scaling

VALIDATION = 1000
SCORED_AT_ONCE = 1024
IN_A_ROW = 25


def scoring(threads: int, repeats: int = 200) -> list[Measurement]:
    """Measure the score of one sample, and the errors of many.

    One sample's reference are the networks as they are trained; its floor is reading all
    weights once.

    Args:
        threads: threads that PyTorch and NumPy may use.
        repeats: timed scores of one sample.
    """
    with threads_set(threads), threadpool_limits(threads):
        return [
            measured
            for precision in PRECISIONS
            for measured in _scoring(our_model(precision), precision, threads, repeats)
        ]


def _scoring(model: Model, precision: str, threads: int, repeats: int) -> list[Measurement]:
    many, one = beats(SCORED_AT_ONCE), beats(1)
    values = one.numpy()
    frozen: Any = copy.deepcopy(model)
    frozen.freeze()
    weights = torch.cat([parameter.flatten() for parameter in frozen.networks.parameters()])
    detectors = {
        name: detector(model, name, fitted) for name, fitted in fitted_compositions(model).items()
    }
    functions: dict[str, Callable[[], object]] = {
        "floor": weights.max,
        "trained": lambda: model.errors(one),
        "frozen": lambda: frozen.errors(one),
    }
    for name, each in detectors.items():
        functions[name] = partial(each.score, values)
    rows = {name: _in_a_row(function) for name, function in functions.items()}
    taken = interleaved(rows, 1 + repeats // IN_A_ROW)
    seconds = {name: value / IN_A_ROW for name, value in taken.items()}
    batched = interleaved({"batch": lambda: model.errors(many)}, 1 + repeats // 40)["batch"]
    alone = [
        Measurement(
            name=f"score of one sample by {name}, {precision}",
            seconds=seconds[name],
            threads=threads,
            reference="errors by the networks as they are trained",
            reference_seconds=seconds["trained"],
            floor_seconds=seconds["floor"],
            floor="reading all weights once",
            note=f"errors by PyTorch's frozen networks {1000 * seconds['frozen']:.2f} ms",
        )
        for name in detectors
    ]
    together = Measurement(
        name=f"errors of {SCORED_AT_ONCE} samples, {precision}",
        seconds=batched,
        threads=threads,
        note=f"{SCORED_AT_ONCE / batched:.0f} samples per second",
    )
    return [*alone, together]


def _in_a_row(function: Callable[[], object]) -> Callable[[], None]:
    """Return what calls a function as a stream of samples would: weights stay in caches."""

    def call() -> None:
        for _ in range(IN_A_ROW):
            function()

    return call


def detector(model: Model, composition: str, fitted: FittedComposition) -> Detector:
    """Return what `study.load_detector` returns of a fold with this model."""
    content = {"name": "one", "dataset": {"name": "wafer"}, "model": {"name": "beta_vaegan"}}
    config = TrialConfig.of(check_study(content, "benchmark"))
    scaling = Scaling((Limits(0.0, 1.0),))
    rows = RowForm(config.dataset, model.shape, None)
    fold = TrainedFold(
        "benchmark", config, model, rows, scaling, composition, "", fitted, deviation=1.0
    )
    return Detector((fold,))


def fitted_compositions(model: Model) -> dict[str, FittedComposition]:
    """Fit `lambda_grid` and `svm_lambda` on the model's errors of waves, a quarter spoiled."""
    samples = beats(VALIDATION, seed=1)
    label = (np.arange(VALIDATION) % 4 == 0).astype(np.int8)
    noise = torch.rand(samples.shape, generator=torch.Generator().manual_seed(2))
    spoiled = torch.where(torch.from_numpy(label == 1)[:, None, None], noise, samples)
    errors = {name: values.numpy() for name, values in model.errors(spoiled).items()}
    validation = FitErrors(SplitErrors(label, errors))
    return {
        name: COMPOSITIONS[name].fit(validation, ScoreSettings())
        for name in ("lambda_grid", "svm_lambda")
    }


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="threads to use")
    parser.add_argument("--json", type=Path, help="where to write the measurements")
    options = parser.parse_args()
    measured = [row for threads in options.threads for row in scoring(threads)]
    for row in measured:
        against = f"{row.ratio:.1f} times {row.reference}; " if row.reference else ""
        floor = f"floor {1000 * row.floor_seconds:.2f} ms, {row.floor}; " if row.floor else ""
        shown = f"{1000 * row.seconds:.2f} ms"
        print(f"{row.name}, threads {row.threads}: {shown}; {against}{floor}{row.note}")
    if options.json:
        rows = [{k: None if v != v else v for k, v in asdict(row).items()} for row in measured]
        options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
