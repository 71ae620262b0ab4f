"""What faster arithmetic costs in accuracy: weighted F1 on Wafer, by seed.

`python -m benchmarks.parity --data FOLDER` trains beta-VAEGAN on one fold of each seed
as the paper describes it, in plain PyTorch, and as `models` does in both precisions,
from the same weights with the same batches, and prints the test F1 of each.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from models.beta_vaegan.model import BetaVAEGAN
from models.beta_vaegan.settings import BetaVAEGANSettings
from study.config.study_file import load_study
from study.config.trial_config import TrialConfig
from study.data import load
from study.data.samples import Samples
from study.data.splits import Fold, make_splits
from study.scores.components import FoldErrors, SplitErrors
from study.scores.evaluation import evaluate_fold
from study.training.setup import build_model, fit_scaling, scale
from tests.models.plain import PlainBetaVAEGAN, PlainDiscriminator, copy_weights

COMPOSITIONS = ("reconstruction", "lambda_grid", "svm_lambda", "svm_gamma")
VARIANTS = ("plain", "float32", "bfloat16")

Errors = Callable[[Tensor], Mapping[str, Tensor]]


def trained(config: TrialConfig, samples: Samples, fold: Fold, *, plain: bool) -> Errors:
    """Train fold 0 and return what scores samples."""
    model = cast(BetaVAEGAN, build_model(config, samples, 0, torch.device("cpu")))
    values = torch.from_numpy(samples.values)
    members = torch.from_numpy(fold.training)
    if not plain:
        for _ in range(config.training.epochs):
            model.train_epoch(values, members)
        return model.errors
    return _trained_plainly(config, model, values, members)


def _trained_plainly(
    config: TrialConfig, model: BetaVAEGAN, values: Tensor, members: Tensor
) -> Errors:
    settings, shape = model.settings, model.shape
    plain = PlainBetaVAEGAN(settings, config.training, shape.channels, shape.length)
    for name, network in model.networks.items():
        copy_weights(network, plain.networks[name])
    for _ in range(config.training.epochs):
        for index in model.shuffled_batches(members):
            like = torch.empty(len(index), settings.latent_size)
            plain.training_step(values[index], lambda like=like: model.noise_like(like))  # type: ignore[misc]
    plain.networks.eval()

    def errors(x: Tensor) -> dict[str, Tensor]:
        with torch.inference_mode():
            z, _ = plain.networks["encoder"](x)
            again = plain.networks["decoder"](z).sigmoid()
            discriminator = cast(PlainDiscriminator, plain.networks["discriminator"])
            distance = discriminator.features(x) - discriminator.features(again)
            return {
                "reconstruction_error": (x - again).square().mean(dim=(1, 2)),
                "discrimination_error": distance.square().mean(dim=(1, 2)),
                "latent_norm": z.norm(dim=1),
            }

    return errors


def scores(config: TrialConfig, samples: Samples, fold: Fold, errors: Errors) -> dict[str, float]:
    """Return the weighted F1 on test by composition; L in its implicit form."""
    values = torch.from_numpy(samples.values)

    def split(members: Any) -> SplitErrors:
        parts = [errors(part) for part in torch.split(values[torch.from_numpy(members)], 1024)]
        return SplitErrors(
            label=samples.label[members],
            values={n: torch.cat([p[n] for p in parts]).double().numpy() for n in parts[0]},
        )

    assert isinstance(config.model, BetaVAEGANSettings)
    fold_errors = FoldErrors(
        training=split(fold.training),
        validation=split(fold.validation),
        test=split(fold.test),
        latent_size=config.model.latent_size,
    )
    rows = evaluate_fold(fold_errors, config.scores, COMPOSITIONS)
    return {r.composition: r.f1_weighted for r in rows if r.latent_form in ("", "implicit")}


def measure(data: Path, seeds: int, epochs: int) -> list[dict[str, Any]]:
    """Return a row for each seed and variant."""
    rows = []
    for seed in range(seeds):
        for variant in VARIANTS:
            precision = "bfloat16" if variant == "bfloat16" else "float32"
            overrides = (f"training.epochs={epochs}", f"training.precision={precision}")
            config = TrialConfig.of(load_study("wafer", overrides, seed))
            raw = load(config.dataset, data, seed)
            fold = make_splits(raw, config.split, seed).folds[0]
            limits = fit_scaling(config, raw, fold)
            samples = raw if limits is None else scale(raw, limits)
            errors = trained(config, samples, fold, plain=variant == "plain")
            rows.append({"seed": seed, "variant": variant, **scores(config, samples, fold, errors)})
            print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="data folder")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--json", type=Path, help="where to write the rows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(arguments.data, arguments.seeds, arguments.epochs)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
