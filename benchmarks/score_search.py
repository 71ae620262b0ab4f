"""Weights, thresholds and support vector machines: this project's against the paper's.

`python -m benchmarks.score_search [--quick]` prints a line per measurement. Everything
runs on one thread and on generated error components of overlapping classes.
"""

import argparse
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

from benchmarks.measurement import Measurement, interleaved
from study.scores.components import Float, FoldErrors, Label, Limits, SplitErrors
from study.scores.compositions import COMPOSITIONS, FittedComposition
from study.scores.evaluation import evaluate_fold
from study.scores.settings import LatentForm, ScoreSettings
from study.scores.thresholds import best_threshold
from study.scores.weights import best_weights, lambda_weights, simplex_weights, weighted_sum

MITBIH_SAMPLES = 109_446
LATENT_SIZE = 6
# The paper's grid (appendix, search for lambda and tau): values of tau, and of lambda.
TAUS, LAMBDAS = 50, 100
EXACT = ScoreSettings()
FAST = ScoreSettings(svm_solver="nystroem")
MACHINES: dict[str, LatentForm | Literal[""]] = {
    "svm_lambda": "",
    "svm_gamma": "chi_mode",
    "svm_linear": "",
}


@dataclass(frozen=True)
class PaperGrid:
    """What the paper's grid finds: the best pair and its weighted F1."""

    lambda_: float
    tau: float
    f1_weighted: float


def paper_grid(columns: list[Float], label: Label) -> PaperGrid:
    """Try 50 values of tau for each of 100 of lambda, an F1 for each pair.

    Args:
        columns: R and D scaled to [0, 1], each `(n,)`.
        label: `(n,)` 0 or 1.
    """
    best = PaperGrid(np.nan, np.nan, -1.0)
    r, d = columns
    for lambda_ in np.linspace(0.0, 1.0, LAMBDAS):
        score = (1 - lambda_) * r + lambda_ * d
        for tau in np.linspace(0.0, 1.0, TAUS):
            f1 = float(f1_score(label, score > tau, average="weighted", zero_division=0))
            if f1 > best.f1_weighted:
                best = PaperGrid(float(lambda_), float(tau), f1)
    return best


def generated_split(rng: np.random.Generator, count: int, prevalence: float) -> SplitErrors:
    """Return errors of `count` samples: R and D like gamma, norms like chi, overlapping."""
    label = (rng.random(count) < prevalence).astype(np.int8)
    r = rng.gamma(3.0, 0.01, count) * (1 + rng.random(count) * label)
    d = 60 * r + rng.gamma(2.0, 2.0, count) + 0.6 * rng.gamma(2.0, 1.0, count) * label
    norm = np.sqrt(rng.chisquare(LATENT_SIZE, count)) * (1 + 0.2 * rng.normal(size=count) * label)
    errors = {"reconstruction_error": r, "discrimination_error": d, "latent_norm": np.abs(norm)}
    return SplitErrors(label, {name: e.astype(np.float32) for name, e in errors.items()})


def generated_fold(count: int, seed: int = 0) -> FoldErrors:
    """Return a fold with `count` samples in each split, a quarter of them abnormal."""
    rng = np.random.default_rng(seed)
    return FoldErrors(
        training=generated_split(rng, count, 0.0),
        validation=generated_split(rng, count, 0.25),
        test=generated_split(rng, count, 0.25),
        latent_size=LATENT_SIZE,
    )


def scaled_columns(split: SplitErrors) -> list[Float]:
    """Return R, D and ||z|| scaled to [0, 1]."""
    values = [split.component(name) for name in split.values]
    return [Limits.fit(column).apply(column) for column in values]


def measure(quick: bool) -> list[Measurement]:
    """Measure all; `quick` takes few samples, to see that everything runs.

    Full measurements take about ten minutes, most of them the references'.
    """
    middle, large = (400, 800) if quick else (16_000, MITBIH_SAMPLES)
    with threadpool_limits(1):
        return [
            measure_lambda(middle, repeats=3),
            measure_lambda(large, repeats=1),
            measure_gamma(large, repeats=3),
            *(measure_machine(name, middle, repeats=3) for name in MACHINES),
            *(measure_fast_machine(name, large, repeats=3) for name in MACHINES),
            measure_fold(200 if quick else 1000, repeats=5),
        ]


def measure_lambda(count: int, repeats: int) -> Measurement:
    """Measure the exact sweep over tau for 100 lambdas against the paper's grid.

    Raises:
        RuntimeError: the grid found a better F1.
    """
    validation = generated_fold(count).validation
    columns, label = scaled_columns(validation)[:2], validation.label
    rows = lambda_weights(LAMBDAS)
    reached: dict[str, float] = {}

    def exact() -> None:
        reached["exact"] = best_weights(columns, label, rows).threshold.f1_weighted

    def paper() -> None:
        reached["paper"] = paper_grid(columns, label).f1_weighted

    exact()
    seconds = interleaved({"exact": exact, "paper": paper}, repeats)
    if reached["exact"] < reached["paper"] - 1e-12:
        raise RuntimeError(f"the exact F1 must be at least the grid's, found {reached}")
    return Measurement(
        name=f"lambda_grid, n={count}, {LAMBDAS} lambda",
        seconds=seconds["exact"],
        threads=1,
        reference=f"the paper's grid, {TAUS} tau x {LAMBDAS} lambda",
        reference_seconds=seconds["paper"],
        note=f"validation F1 {reached['exact']:.5f}, grid {reached['paper']:.5f}",
    )


def measure_gamma(count: int, repeats: int) -> Measurement:
    """Measure equation 7's search against sorting the scores of every pair of weights."""
    validation = generated_fold(count).validation
    columns, label = scaled_columns(validation), validation.label
    rows = simplex_weights(EXACT.gamma_steps)
    reached: dict[str, float] = {}

    def search() -> None:
        reached["search"] = best_weights(columns, label, rows).threshold.f1_weighted

    def sort_all() -> None:
        scores = (weighted_sum(row, columns) for row in rows)
        reached["sort"] = max(best_threshold(score, label).f1_weighted for score in scores)

    taken = interleaved({"search": search}, repeats)["search"]
    reference = interleaved({"sort": sort_all}, 1)["sort"]
    if reached["search"] != reached["sort"]:
        raise RuntimeError(f"both must reach the same F1, found {reached}")
    return Measurement(
        name=f"gamma_grid, n={count}, {len(rows)} pairs",
        seconds=taken,
        threads=1,
        reference="sorting the scores of every pair",
        reference_seconds=reference,
        floor_seconds=interleaved({"sort": lambda: np.sort(columns[0])}, 5)["sort"],
        floor="sorting one column once",
        note=f"validation F1 {reached['search']:.5f}, both",
    )


def measure_machine(name: str, count: int, repeats: int) -> Measurement:
    """Measure fitting a support vector machine on landmarks against scikit-learn's SVC."""
    fold = generated_fold(count)
    fitted: dict[str, FittedComposition] = {}
    seconds = interleaved(
        {
            "nystroem": lambda: fitted.update(nystroem=_fit(name, fold, FAST)),
            "exact": lambda: fitted.update(exact=_fit(name, fold, EXACT)),
        },
        repeats,
    )
    f1 = {solver: _test_f1(machine, fold) for solver, machine in fitted.items()}
    return Measurement(
        name=f"{name} by nystroem, n={count}",
        seconds=seconds["nystroem"],
        threads=1,
        reference="scikit-learn's SVC",
        reference_seconds=seconds["exact"],
        note=f"test F1 {f1['nystroem']:.5f}, exact {f1['exact']:.5f}",
    )


def measure_fast_machine(name: str, count: int, repeats: int) -> Measurement:
    """Measure fitting on landmarks alone, where SVC takes many minutes."""
    fold = generated_fold(count)
    fitted: list[FittedComposition] = []
    seconds = interleaved({"fit": lambda: fitted.append(_fit(name, fold, FAST))}, repeats)
    return Measurement(
        name=f"{name} by nystroem, n={count}",
        seconds=seconds["fit"],
        threads=1,
        note=f"test F1 {_test_f1(fitted[-1], fold):.5f}",
    )


def measure_fold(count: int, repeats: int) -> Measurement:
    """Measure all rows of a fold, as the report makes them, machines exact."""
    fold = generated_fold(count)
    rows = len(evaluate_fold(fold, EXACT))
    seconds = interleaved(
        {
            "fold": lambda: evaluate_fold(fold, EXACT),
            "machines": lambda: evaluate_fold(fold, EXACT, list(MACHINES)),
        },
        repeats,
    )
    return Measurement(
        name=f"evaluate_fold, {count} validation and {count} test samples, {rows} rows",
        seconds=seconds["fold"],
        threads=1,
        note=f"of which {seconds['machines']:.3f} s for exact support vector machines",
    )


def _fit(name: str, fold: FoldErrors, settings: ScoreSettings) -> FittedComposition:
    return COMPOSITIONS[name].fit(fold.for_fitting(), settings, MACHINES[name])


def _test_f1(fitted: FittedComposition, fold: FoldErrors) -> float:
    prediction = fitted.predict(fitted.score(fold.test))
    return float(f1_score(fold.test.label, prediction, average="weighted"))


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="few samples")
    for row in measure(parser.parse_args().quick):
        against = f"{row.ratio:.1f} times {row.reference}" if row.reference else ""
        print(f"{row.name}: {row.seconds:.4f} s; {against}; {row.note}")


if __name__ == "__main__":
    main()
