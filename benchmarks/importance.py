"""Which way of measuring importance finds the setting that matters, of few trials.

`python -m benchmarks.importance --trials 8,20,40 --searches 24` plays searches by Optuna's TPE
whose metric is known: it falls where beta is above 0.01, as on Wafer, rises a little with the
latent size, and depends on nothing else but epochs and chance; two thirds of the trials are
stopped. It prints how often each way names beta first, and how much of the shares it gives to the
wrong settings: ours (`study.report.marginals`), and Optuna's on the best values reached.
"""

import argparse
import math
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
import pyarrow as pa

from study.config.schema import Study
from study.config.study_file import check_study
from study.config.trial_config import TrialConfig
from study.report import marginals
from study.search.proposals import frozen_trial
from study.search.trial import State, Trial, TrialRecord

SPACE: dict[str, Any] = {
    "model.beta": {"loguniform": [1e-6, 0.1]},
    "model.latent_size": {"int": [2, 16]},
    "training.discriminator_updates": {"int": [1, 5]},
}
BESIDE: dict[str, Any] = {
    "training.optimizer.learning_rate": {"loguniform": [1e-4, 1e-2]},
    "training.average": {"uniform": [0.9, 0.999]},
    "training.batch_size": {"choice": [32, 64, 128]},
}
"""Further settings, on which the metric does not depend."""
EPOCHS, STOPPED_AT, STOPPED_SHARE = 12, 3, 2 / 3
PRICE_OF_BETA = 0.1
"""Of a tenfold beta above 0.01."""
WORTH_OF_SIZE, WORTH_OF_EPOCHS = 0.03, 0.02
"""Of the largest latent size, and of the epochs that a stopped trial lacks."""
DEVIATION = 0.01
"""Of chance."""
OPTUNA_EVALUATORS: Mapping[str, Callable[[int], Any]] = {
    "PED-ANOVA, best tenth": lambda trials: optuna.importance.PedAnovaImportanceEvaluator(),
    "PED-ANOVA, best 5 or tenth": lambda trials: optuna.importance.PedAnovaImportanceEvaluator(
        target_quantile=max(0.1, 5 / trials)
    ),
    "fANOVA": lambda trials: optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=0),
    "mean decrease in impurity": lambda trials: (
        optuna.importance.MeanDecreaseImpurityImportanceEvaluator(n_trees=32, seed=0)
    ),
}


def worth(parameters: Mapping[str, Any]) -> float:
    """Return what a whole trial has, but for chance."""
    above = max(0.0, math.log10(parameters["model.beta"]) + 2)
    size = int(parameters["model.latent_size"])
    return 0.97 - PRICE_OF_BETA * above + WORTH_OF_SIZE * (size - 2) / 14


def true_share() -> float:
    """Return beta's share of the variance over the whole space."""
    beta = [worth({"model.beta": 10.0**at, "model.latent_size": 2}) for at in np.linspace(-6, -1)]
    sizes = [worth({"model.beta": 1e-4, "model.latent_size": size}) for size in range(2, 17)]
    return float(np.var(beta) / (np.var(beta) + np.var(sizes)))


def searched(study: Study, trials: int, seed: int) -> list[TrialRecord]:
    """Return the trials of a search."""
    random = np.random.default_rng(seed)
    forms = {key: form.to_optuna() for key, form in study.search.space.items()}
    optunas = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
    )
    records = []
    for number in range(trials):
        asked = optunas.ask(forms)
        is_stopped = random.random() < STOPPED_SHARE
        value = worth(asked.params) - WORTH_OF_EPOCHS * is_stopped + DEVIATION * random.normal()
        optunas.tell(asked, value)
        config = TrialConfig.of(study).with_parameters(asked.params)
        values = [(STOPPED_AT if is_stopped else EPOCHS, value)]
        state: State = "pruned" if is_stopped else "completed"
        records.append(TrialRecord(Trial(number, config, asked.params), state, values=values))
    return records


def shares(study: Study, records: Sequence[TrialRecord]) -> Iterator[tuple[str, dict[str, float]]]:
    """Yield each way's name and shares."""
    scores = pa.Table.from_pylist(
        [
            {"trial": r.name, "fold": 0, "epoch_rule": "best_validation", "of_metric": True,
             "num_samples": 1, "num_training": 1, "f1_weighted": r.best_value}
            for r in records
        ]
    )  # fmt: skip
    rows = marginals.learned_tables(study, records, scores)["importance"].to_pylist()
    yield "ours", {row["setting"]: row["share"] for row in rows}
    forms = {key: form.to_optuna() for key, form in study.search.space.items()}
    optunas = optuna.create_study(direction="maximize")
    for record in records:
        trial = frozen_trial(record, forms)
        trial.state, trial.values = optuna.trial.TrialState.COMPLETE, [record.best_value]
        optunas.add_trial(trial)
    for name, evaluator in OPTUNA_EVALUATORS.items():
        yield (
            name,
            optuna.importance.get_param_importances(optunas, evaluator=evaluator(len(records))),
        )


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.importance", description=__doc__)
    parser.add_argument("--trials", default="8,20,40", help="of a search, numbers with commas")
    parser.add_argument("--searches", type=int, default=24)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")
    marginals.LEARNED_FROM = 2  # to measure searches that are too short for it
    share = true_share()
    for space in (SPACE, {**SPACE, **BESIDE}):
        search = {"space": space, "trials": 100, "metric": {"composition": "reconstruction"}}
        content = {"name": "s", "dataset": {"name": "synthetic"}, "search": search}
        study = check_study({**content, "model": {"name": "beta_vaegan"}}, "importance")
        for trials in map(int, options.trials.split(",")):
            ranked: defaultdict[str, list[tuple[bool, float]]] = defaultdict(list)
            for seed in range(options.searches):
                for name, each in shares(study, searched(study, trials, seed)):
                    beta, size = each["model.beta"], each["model.latent_size"]
                    wrong = max(0.0, share - beta) + max(0.0, 1 - share - size)
                    ranked[name].append((beta == max(each.values()), wrong))
            for name, results in ranked.items():
                first, wrong = np.mean(results, axis=0)
                print(
                    f"{len(space)} settings, {trials} trials, {name}: beta first in {first:.0%},"
                    f" {wrong:.2f} of the shares elsewhere",
                    flush=True,
                )


if __name__ == "__main__":
    main()
