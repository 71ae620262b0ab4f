"""`python -m study.report.columns`: the meaning of every column of the tables, as Markdown.

Meanings stand in the docstrings of the classes that are rows; here are only those of
columns that no class holds. `docs/columns.md` is the output.
"""

import inspect
import re
import sys
from collections.abc import Iterator, Mapping

from study.data.leakage import Leakage
from study.report import protocols
from study.report.confirmation import ConfirmedRow
from study.report.false_alarms import PatientAlarms
from study.report.front import FRONT_COLUMNS
from study.report.marginals import ImportanceRow, MarginalRow
from study.report.paired_tests import PairedTest
from study.report.patients import PATIENT_METRICS
from study.report.search_history import RungRow, TrialRow
from study.report.summary import STATISTICS, SUMMARY_KEYS
from study.scores.clinical import ClinicalRow
from study.scores.evaluation import ScoreRow
from study.scores.prevalence import PrevalenceRow
from study.scores.series import SERIES_METRICS, SeriesMetrics
from study.scores.settings import METRIC_NAMES, REPORTED_SCORES
from study.scores.strata import StratumRow
from study.training.measures.latents import LatentMeasures

KEYS = {
    "study": "the study's name",
    "dataset": "the dataset's name",
    "protocol": "how samples were divided: `paper`, `kfold`, `inter_patient` or `given`; recordings"
    " by `time` or `series`",
    "split_hash": "sha256 of the folds' index lists in `splits.parquet`",
    "model": "the model's name",
    "system": 'the system of a study of systems; "" in a search',
    "trial": "the trial's name, which is that of its folder in the ledger",
    "config_hash": "sha256 of the settings that decide the result",
    "state": "`completed`, or `pruned`: stopped early, scored as it was then",
    "fold": "the fold's number, from 0",
    "seed": "the study's seed",
    "epoch_rule": "weights of the best validation epoch, `best_validation`, or of the `last`",
    "epoch": "the epoch whose weights these are",
}
NAMES = {
    "composition": "how errors become a score",
    "latent_form": 'form of L: `implicit`, `chi_mode` or `empirical_mode`; "" without L',
}
LABELS_CHOSE = (
    "what validation labels chose of the row, of `trial`, `epoch`, `weights` and `threshold`; "
    '"" for nothing'
)
ONE_CLASS = "whether labels chose nothing of the row"
OF_METRIC = "whether the composition is that of the trial's metric: what the trial is reported by"
NORMAL_ERROR = (
    "mean of the model's first error component over the normal samples of the fold's validation: "
    "what can be chosen by without labels"
)
SCORES = {
    "num_training": "normal samples that trained",
    "beta_unscaled": "beta times length times channels; null without beta",
    "normal_error": NORMAL_ERROR,
}
SUMMARY = {
    "folds": "number of folds",
    "mean": f"mean over the folds that have it; metrics are {', '.join(METRIC_NAMES)}; "
    f"of series {', '.join(SERIES_METRICS)}, too",
    "std": "deviation over these folds (n - 1)",
    "low": "lower end of a 95 % interval inside the metric's range (Nadeau and Bengio 2003, on the "
    "logit scale, of rates without an upper end the logarithmic); nan for one fold",
    "high": "its upper end",
}
TIMINGS = {
    "epochs": "epochs trained",
    "train_seconds": "seconds of training and validation",
    "evaluate_seconds": "seconds of scoring all samples at the end",
    "host": "the machine's name",
    "device": "the processor or GPU",
    "threads": "threads of its arithmetic",
}
EPOCHS = {
    "value": "the study's metric on validation; null where an epoch was not validated, "
    "as for all that follow but losses",
    "f1_weighted, phi, auroc": "of the metric's composition, on validation",
    "normal_error": NORMAL_ERROR,
    "<composition>/f1_weighted, <composition>/lambda": "of tracked compositions, on validation",
    "latent/<measure>": "of training samples; see `measures.parquet`",
    "generation/mmd, generation/tstr, generation/tstr_real, generation/tstr_normalised": "of "
    "reconstructions of validation samples; single measurements",
    ", ".join(f"generation/tstr_normals{end}" for end in ("", "_real", "_normalised")): "of "
    "reconstructions of validation normals and of real abnormal samples; single measurements",
    "<loss>": "the model's own losses, means over the epoch's batches",
}
MEASURES = {
    "mmd": "squared maximum mean discrepancy of reconstructed and real normals, an unbiased "
    "estimate: of equal ones it is 0 in the mean, and as often below",
    "tstr": "F1 of a classifier trained on reconstructions and tested on real samples",
    "tstr_real": "the same trained on real samples",
    "tstr_normalised": "`tstr` over `tstr_real`",
    "tstr_measurements": "measurements, up to five, that all of these are means of",
    "tstr_normals": "`tstr` as the paper's reference code defines it: normals are reconstructed, "
    "abnormal samples stay real, classes are balanced",
    "tstr_normals_real": "the same trained on real normals, too",
    "tstr_normals_normalised": "`tstr_normals` over `tstr_normals_real`",
}
CHOICES = {
    "choice": "`epoch`: of a fold; `trial`: of a search, means over folds",
    "rule": "`best_validation`, by labels; `last`, the last epoch; `lowest_normal_error`, the "
    "smallest `normal_error` (of a trial: at its last epoch); `at_random`, the mean over all "
    "trials at their last epochs",
    "labels_chose": "what labels chose, of `trial` and `epoch`, and `trial` also where they "
    'proposed or stopped those that there were; "" for nothing',
    "epoch": "the epoch chosen; null for trials",
    "value": "the study's metric on validation there",
    "regret": "the metric of the choice by labels less this one",
    "test_value": "the same metric on test; null at an epoch whose errors are not stored",
    "test_regret": "that of the choice by labels less this one; may be negative",
}
COMPARED = {
    "family": "the question: one of the study's `comparisons`",
    "metric": f"one of {', '.join(REPORTED_SCORES)}",
    "first_<key>, second_<key>": "trial, system, composition and latent form of the two",
    "folds": "folds that have both",
    "difference": "mean over these folds of first minus second",
    "std": "deviation (n - 1) of the folds' differences",
    "unit": "what the bootstrap draws: `patient`, or `sample` where no patient is known",
    "units": "how many there are",
}
GROUPED = {
    "metric": COMPARED["metric"],
    "mean": "of the metric over folds, on test, with the composition of the system's own metric",
    "groups": "letters; two systems that share one cannot be told apart (5 %, corrected after Holm "
    "over all pairs)",
}
SEARCHED = {"param.<key>": "every setting that differs between trials by the search, by its key"}
PARAMETERS = {"param.<key>": "every setting of the study file, fixed or searched, by its key"}


def documented_columns() -> dict[str, dict[str, str]]:
    """Return the meaning of every column, by table and column, in the tables' order.

    A name with `<...>` stands for several columns.
    """
    score, latent = attributes(ScoreRow), attributes(LatentMeasures)
    leaks = {f"test_{name}": meaning for name, meaning in attributes(Leakage).items()}
    trial = _keys("study", "dataset", "protocol", "model", "system", "trial")
    composition = _keys("epoch_rule") | NAMES
    statistics = {f"<metric>_{name}": SUMMARY[name] for name in STATISTICS}
    points = {n: f"of series: {meaning}" for n, meaning in attributes(SeriesMetrics).items()}
    scores = _with_whole_rows(KEYS | score | NAMES) | SCORES | points | leaks | PARAMETERS
    summary = {name: scores[name] for name in SUMMARY_KEYS} | {"folds": SUMMARY["folds"]}
    return {
        "scores": scores,
        "summary": summary | statistics | PARAMETERS,
        "timings": _keys("trial", "fold", "state") | TIMINGS,
        "trials": attributes(TrialRow) | SEARCHED,
        "rungs": attributes(RungRow),
        "epochs": trial | _keys("fold") | {"epoch": "the epoch, from 1"} | EPOCHS,
        "measures": trial
        | _keys("fold", "epoch_rule", "epoch")
        | {f"latent_{name}": meaning for name, meaning in latent.items()}
        | MEASURES,
        "choices": _keys("protocol", "system", "trial", "fold") | CHOICES,
        "confirmed": attributes(ConfirmedRow),
        "front": FRONT_COLUMNS,
        "importance": attributes(ImportanceRow),
        "marginals": attributes(MarginalRow),
        "strata": trial | _keys("fold") | composition | attributes(StratumRow),
        "prevalence": trial | _keys("fold") | composition | attributes(PrevalenceRow),
        "clinical": trial | _keys("fold") | composition | attributes(ClinicalRow),
        "comparisons": COMPARED
        | _keys("protocol", "epoch_rule")
        | {f"fold_{name}": f"over folds: {m}" for name, m in attributes(PairedTest).items()}
        | {f"unit_{name}": f"over units: {m}" for name, m in attributes(PairedTest).items()},
        "groups": _keys("protocol", "epoch_rule", "trial", "system") | NAMES | GROUPED,
        "patients": _keys("trial")
        | composition
        | {
            f"{', '.join(PATIENT_METRICS)}": "means over folds",
            "<metric>_patient_low, <metric>_patient_high": "ends of a 95 % interval over patients, "
            "drawn whole",
            "patients": "test patients",
            "draws": "draws of the bootstrap",
        },
        "protocols": trial
        | {"trial_inter_patient": "the same system's trial under `inter_patient`"}
        | composition
        | {
            f"{', '.join(protocols.COMPARED_METRICS)}": "means over folds under `protocol`",
            "<metric>_inter_patient": "under `inter_patient`",
            "<metric>_difference": "the first minus the second",
        },
        "false_alarms": trial | _keys("fold") | composition | attributes(PatientAlarms),
    }


def attributes(kind: type) -> dict[str, str]:
    """Return the meanings of a class's fields, in order, from its docstring and its bases'."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        _, _, listed = inspect.cleandoc(base.__doc__ or "").partition("Attributes:\n")
        listed = re.split(r"\n(?=\S)", listed)[0]
        for name, meaning in re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", listed, re.MULTILINE):
            meanings[name] = " ".join(meaning.split()).rstrip(".")
    return {name: meanings[name] for name in getattr(kind, "__dataclass_fields__", {})}


def to_markdown(tables: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield the lines of `docs/columns.md`."""
    yield "# Columns of a study's tables\n"
    yield "Made from the code by `python -m study.report.columns`; a test holds the two together."
    yield "Metrics are larger where better; `nan` is undefined, `null` does not apply."
    for table, columns in tables.items():
        yield f"\n## {table}.parquet\n"
        yield "| column | holds |\n| --- | --- |"
        for name, meaning in columns.items():
            names = ", ".join(f"`{part}`" for part in name.split(", "))
            yield f"| {names} | {meaning.replace('|', chr(92) + '|')} |"


def _with_whole_rows(columns: Mapping[str, str]) -> dict[str, str]:
    """Return columns with what is known of whole rows after what labels chose."""
    meanings: dict[str, str] = {}
    for name, meaning in columns.items():
        meanings[name] = meaning
        if name == "labels_chose":
            meanings |= {name: LABELS_CHOSE, "one_class": ONE_CLASS, "of_metric": OF_METRIC}
    return meanings


def _keys(*names: str) -> dict[str, str]:
    return {name: KEYS[name] for name in names}


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in to_markdown(documented_columns()))
