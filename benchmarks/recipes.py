"""How far a recipe of training comes in how many epochs and seconds.

`python -m benchmarks.recipes run STUDY --data DATA --to FILE [--folds 0 1] [--seeds 0 1]
[--name NAME] [--device cuda] [--set KEY=VALUE ...]` trains folds one after the other with one
thread and appends a line of JSON for each epoch that is validated: seconds, of the CPU and of the
clock, and the test metrics of compositions fitted on validation. A search's space is left out.
`python -m benchmarks.recipes table FILE ...` prints the means as Markdown, and `python -m
benchmarks.recipes draw FILE ... --to PICTURE` draws them over epochs and over CPU seconds.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.figure import Figure

from models.interface import Model
from study.config.study_file import load_study
from study.config.trial_config import TrialConfig
from study.data import load
from study.data.samples import Samples
from study.data.splits import Fold, make_splits
from study.scores.components import FoldErrors, SplitErrors
from study.scores.evaluation import evaluate_fold
from study.training.setup import build_model, fit_scaling, scale, shared_tensor

COMPOSITIONS = ("reconstruction", "lambda_grid", "svm_lambda", "svm_gamma")
NOTHING_SEARCHED = (
    "search.space={}",
    "search.enqueue=[]",
    "search.confirm=0",
    "search.stopping=null",
)
METRICS = ("f1_weighted", "phi", "auroc")


def curve(
    config: TrialConfig, samples: Samples, fold: Fold, number: int, device: torch.device
) -> Iterator[dict[str, Any]]:
    """Train a fold; yield epoch, seconds of training and test metrics where it validates."""
    model = build_model(config, samples, number, device)
    values = shared_tensor(samples.values).to(device)
    members = torch.from_numpy(fold.training).to(device)
    seconds = elapsed = 0.0
    training = config.training
    for epoch in range(1, training.epochs + 1):
        started, began = time.process_time(), time.perf_counter()
        model.train_epoch(values, members)
        seconds += time.process_time() - started
        elapsed += time.perf_counter() - began
        if epoch % training.validation_interval == 0 or epoch == training.epochs:
            spent = {"cpu_seconds": seconds, "seconds": elapsed}
            yield {"epoch": epoch, **spent, **_scores(config, model, samples, fold)}


def _scores(
    config: TrialConfig, model: Model, samples: Samples, fold: Fold
) -> dict[str, dict[str, float]]:
    def split(members: Any) -> SplitErrors:
        errors = model.errors(torch.from_numpy(samples.values[members]).to(model.device))
        arrays = {name: each.double().cpu().numpy() for name, each in errors.items()}
        return SplitErrors(samples.label[members], arrays)

    errors = FoldErrors(
        training=split(fold.training),
        validation=split(fold.validation),
        test=split(fold.test),
        latent_size=model.latent_size,
    )
    rows = evaluate_fold(errors, config.scores, COMPOSITIONS)
    return {
        row.composition: {metric: getattr(row, metric) for metric in METRICS}
        for row in rows
        if row.latent_form in ("", "implicit")
    }


def run(options: argparse.Namespace) -> None:
    """Train what the command line names, and append the lines."""
    torch.set_num_threads(1)
    device = torch.device(options.device)
    for seed in options.seeds:
        request = [f"seed={seed}", *NOTHING_SEARCHED, *options.set]
        config = TrialConfig.of(load_study(options.study, request))
        raw = load(config.dataset, options.data, seed)
        folds = make_splits(raw, config.split, seed).folds
        for number in options.folds:
            limits = fit_scaling(config, raw, folds[number])
            samples = raw if limits is None else scale(raw, limits)
            for point in curve(config, samples, folds[number], number, device):
                line = {
                    "study": config.study,
                    "name": options.name or config.training.recipe,
                    "set": options.set,
                    "seed": seed,
                    "fold": number,
                    "device": options.device,
                    **point,
                }
                with options.to.open("a") as file:
                    file.write(json.dumps(line) + "\n")


def table(lines: list[dict[str, Any]]) -> str:
    """Return means over folds and seeds, by study, name and epoch, as Markdown."""
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        groups[line["study"], line["name"], line["epoch"]].append(line)
    head = ["study", "recipe", "epochs", "runs", "CPU seconds", *COMPOSITIONS]
    rows = [head, ["---"] * len(head)]
    for (study, name, epoch), members in groups.items():
        seconds = statistics.mean(line["cpu_seconds"] for line in members)
        scores = [
            " / ".join(
                f"{statistics.mean(line[composition][metric] for line in members):.4f}"
                for metric in ("f1_weighted", "phi")
            )
            for composition in COMPOSITIONS
        ]
        rows.append([study, name, str(epoch), str(len(members)), f"{seconds:.0f}", *scores])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@dataclass(frozen=True)
class Curve:
    """F1 of one recipe, of as many folds for each seed.

    Attributes:
        epochs: which were validated, `(e,)`.
        cpu_seconds: mean seconds of training a fold until then, `(e,)`.
        f1: mean weighted F1 over the folds of each seed, `(seeds, e)`.
    """

    epochs: list[int]
    cpu_seconds: list[float]
    f1: npt.NDArray[np.float64]


def curve_of(lines: list[dict[str, Any]], composition: str) -> Curve:
    """Return the curve of one recipe's lines.

    Raises:
        ValueError: a fold of a seed lacks an epoch that another has.
    """
    epochs = sorted({line["epoch"] for line in lines})
    seeds = sorted({line["seed"] for line in lines})
    cells: dict[tuple[int, int], list[float]] = defaultdict(list)
    for line in lines:
        cells[line["seed"], line["epoch"]].append(line[composition]["f1_weighted"])
    if len({len(cells[seed, epoch]) for seed in seeds for epoch in epochs}) != 1:
        raise ValueError(f"folds of {lines[0]['name']} have not ended: name fewer --folds")
    seconds = [
        statistics.mean(line["cpu_seconds"] for line in lines if line["epoch"] == epoch)
        for epoch in epochs
    ]
    f1 = [[statistics.mean(cells[seed, epoch]) for epoch in epochs] for seed in seeds]
    return Curve(epochs, seconds, np.array(f1))


def draw(lines: list[dict[str, Any]], composition: str, published: float | None) -> Figure:
    """Return a picture of each recipe's F1: the mean over seeds, and from the least to the most."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    by_epoch, by_second = figure.subplots(1, 2, sharey=True)
    for name in dict.fromkeys(line["name"] for line in lines):
        curve = curve_of([line for line in lines if line["name"] == name], composition)
        for axes, where in ((by_epoch, curve.epochs), (by_second, curve.cpu_seconds)):
            (drawn,) = axes.plot(where, curve.f1.mean(axis=0), marker="o", label=name)
            axes.fill_between(
                where,
                curve.f1.min(axis=0),
                curve.f1.max(axis=0),
                color=drawn.get_color(),
                alpha=0.2,
                linewidth=0,
            )
    for axes, label in ((by_epoch, "epochs"), (by_second, "CPU seconds of a fold")):
        axes.set_xlabel(label)
        axes.grid(alpha=0.3)
        if published is not None:
            axes.axhline(published, color="black", linestyle="--", label="the paper, 500 epochs")
    by_epoch.set_ylabel(f"test F1 (weighted) of {composition}")
    by_epoch.legend()
    return figure


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("run", help="train folds")
    training.add_argument("study", help="a shipped study, or a YAML file")
    training.add_argument("--data", type=Path, required=True, help="data folder")
    training.add_argument("--to", type=Path, required=True, help="file that lines are appended to")
    training.add_argument("--folds", type=int, nargs="+", default=[0])
    training.add_argument("--seeds", type=int, nargs="+", default=[0])
    training.add_argument("--name", help="of what is run, in the table; the recipe's by default")
    training.add_argument("--device", default="cpu", help="cpu or cuda")
    training.add_argument("--set", action="append", default=[], help="key.path=value")
    training.set_defaults(run=run)
    shown = commands.add_parser("table", help="print means of what was run")
    shown.set_defaults(run=show)
    drawn = commands.add_parser("draw", help="draw F1 over epochs and over CPU seconds")
    drawn.add_argument("--to", type=Path, required=True, help="a picture: .svg, .png, .pdf")
    drawn.add_argument("--composition", choices=COMPOSITIONS, default="svm_gamma")
    drawn.add_argument("--published", type=float, help="the paper's F1, a line across")
    drawn.set_defaults(run=save)
    for command in (shown, drawn):
        command.add_argument("files", type=Path, nargs="+")
        command.add_argument("--folds", type=int, nargs="+", help="only these")
        command.add_argument("--epochs", type=int, nargs="+", help="only these")
    options = parser.parse_args()
    options.run(options)


def show(options: argparse.Namespace) -> None:
    """Print the table of files."""
    print(table(chosen_lines(options)))


def save(options: argparse.Namespace) -> None:
    """Write the picture of files."""
    draw(chosen_lines(options), options.composition, options.published).savefig(options.to)


def chosen_lines(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the lines of files that are asked for."""
    lines = [json.loads(each) for path in options.files for each in path.open()]
    asked = (("fold", options.folds), ("epoch", options.epochs))
    return [x for x in lines if all(not only or x[key] in only for key, only in asked)]


if __name__ == "__main__":
    main()
