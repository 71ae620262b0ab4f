"""How far a recipe of training comes in how many epochs and seconds.

`python -m benchmarks.recipes run STUDY --data DATA --to FILE [--folds 0 1] [--seeds 0 1]
[--name NAME] [--device cuda] [--set KEY=VALUE ...]` trains folds one after the other with one
thread and appends a line of JSON for each epoch that is validated: seconds, of the CPU and of the
clock, and the test metrics of compositions fitted on validation. A search's space is left out.
`python -m benchmarks.recipes table FILE ...` prints the means as Markdown.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

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
    shown.add_argument("files", type=Path, nargs="+")
    shown.add_argument("--folds", type=int, nargs="+", help="only these")
    shown.add_argument("--epochs", type=int, nargs="+", help="only these")
    shown.set_defaults(run=show)
    options = parser.parse_args()
    options.run(options)


def show(options: argparse.Namespace) -> None:
    """Print the table of files."""
    lines = [json.loads(each) for path in options.files for each in path.open()]
    asked = (("fold", options.folds), ("epoch", options.epochs))
    print(table([x for x in lines if all(not only or x[key] in only for key, only in asked)]))


if __name__ == "__main__":
    main()
