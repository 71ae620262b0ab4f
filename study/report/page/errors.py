"""Sections of one fold: errors with fitted boundaries, latent norms, and curves over tau."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from study.ledger.fold_errors import needs_all_folds, read_fold_errors
from study.ledger.fold_files import DRAWN_LATENT_NORM, TRAINING_COMPONENTS
from study.report.drawn_fold import DRAWN_FOLD
from study.report.page import charts
from study.report.page.charts import ACCENT, INK, MUTED
from study.report.page.inputs import Entry, PageInputs, thinned
from study.report.page.parts import Picture, Section
from study.report.paper.basis import BEST
from study.report.paper.figures_of_norms import near_norms
from study.report.paper.names import CLASSES, composition_label
from study.scores.components import CompositionError, FoldErrors, SplitErrors
from study.scores.compositions import D, FittedComposition, L, R
from study.scores.rules import find_composition
from study.scores.settings import LatentForm
from study.search.trial import FoldAddress
from study.training.measures.latents import chi_distance

MOST_SAMPLES = 400
"""Samples of each class in a cloud."""
GRID = 160
CURVE_POINTS = 200
CURVES = ("reconstruction", "discrimination", "lambda_grid", "svm_lambda", "outlier_score")
BOUNDARIES = {"lambda_grid": "-", "svm_lambda": "--"}

Float = npt.NDArray[np.float64]


@dataclass(frozen=True)
class FittedEntry:
    """The drawn fold of an entry, with compositions fitted on its validation samples.

    Attributes:
        entry: the entry.
        errors: of the weights of the best validation epoch.
        compositions: fitted ones by name and latent form, the entry's own last if it has a fit.
    """

    entry: Entry
    errors: FoldErrors
    compositions: dict[tuple[str, str], FittedComposition]


def error_sections(inputs: PageInputs) -> list[Section]:
    """Return the sections that are drawn from the stored errors of one fold."""
    fitted = [_fit(inputs, entry) for entry in inputs.drawn]
    note = (
        f"Fold {DRAWN_FOLD} with the weights of the best validation epoch; of more than "
        f"{MOST_SAMPLES} samples of a class, as many are drawn, evenly by their order."
    )
    errors = [_cloud(fit) for fit in fitted if {R, D} <= fit.errors.test.values.keys()]
    norms = [picture for fit in fitted for picture in _norms(inputs, fit)]
    curves = [picture for fit in fitted for picture in _curves(fit)]
    sections = [
        Section(
            "errors", "Errors and boundaries",
            "A dot is a test sample, by its reconstruction error R and its discrimination error "
            "D, both logarithmic. Lines are where decisions turn, fitted on validation: the grid’s "
            "λ and τ (solid) and the SVM (dashed). Normal samples should lie on one side of "
            "them; where clouds overlap, no boundary of R and D helps.",
            columns=2, pictures=errors,
            notes=[note] if errors else ["Nothing here has both errors."],
        ),
        Section(
            "norms", "Latent norms",
            "First the norms of training samples and the density of the χ distribution, "
            "nothing fitted: under a Gaussian posterior as wide as the prior they are one "
            "(Kolmogorov-Smirnov distance, 0 is equal). Beside them the norms of test samples: "
            "only where the classes differ can L(x) add to the score.",
            columns=2, pictures=norms, notes=[] if norms else ["Nothing here has a latent norm."],
        ),
        Section(
            "curves", "ROC and precision-recall",
            "Every point of a curve is a threshold; a ring is the one that was fitted on "
            "validation. A ring far from the curve’s best corner means that the threshold, not "
            "the score, is at fault. Precision depends on the share of abnormal samples, "
            "which is drawn as a level line.",
            columns=2, pictures=curves,
            notes=[f"Fold {DRAWN_FOLD}, its test samples."] if curves else [],
        ),
    ]  # fmt: skip
    return [section for section in sections if section.pictures or section.notes]


def _fit(inputs: PageInputs, entry: Entry) -> FittedEntry:
    scores = entry.config.scores
    addresses = entry.record.folds if needs_all_folds(scores) else ()
    all_folds = [fold for address in addresses if (fold := inputs.ledger.fold(address))]
    manifest = inputs.ledger.fold(FoldAddress(entry.name, DRAWN_FOLD))
    assert manifest is not None
    errors = read_fold_errors(inputs.ledger, manifest, entry.config, all_folds)[BEST]
    own = (entry.composition, entry.latent_form)
    keys = [(name, "") for name in CURVES if (name, "") != own]
    if entry.composition:
        keys.append(own)
    compositions = {}
    for name, form in keys:
        composition = find_composition(name, scores)
        if set(composition.components) <= set(errors.validation.values):
            try:
                compositions[name, form] = composition.fit(
                    errors.for_fitting(), scores, cast(LatentForm | Literal[""], form)
                )
            except CompositionError:
                continue  # these errors allow no fit; the table's `note` is the reason
    return FittedEntry(entry, errors, compositions)


def _cloud(fitted: FittedEntry) -> Picture:
    """Draw R against D of test samples, with the boundaries."""
    test = fitted.errors.test
    figure, axes = charts.panel("R(x)", "D(x)")
    values = {name: _positive(np.asarray(test.values[name], dtype=np.float64)) for name in (R, D)}
    for label, colour in enumerate((MUTED, ACCENT)):
        members = np.flatnonzero(test.label == label)
        shown = members[thinned(len(members), MOST_SAMPLES)]
        axes.scatter(values[R][shown], values[D][shown], s=9, color=colour, alpha=0.55,
                     linewidth=0, label=CLASSES[label])  # fmt: skip
    x, y = (_span(values[name]) for name in (R, D))
    grid = SplitErrors(
        label=np.zeros(GRID * GRID, dtype=np.int8),
        values={R: np.tile(x, GRID), D: np.repeat(y, GRID)},
    )
    for name, dashes in BOUNDARIES.items():
        composition = fitted.compositions.get((name, ""))
        if composition is None:
            continue
        level = composition.score(grid).reshape(GRID, GRID) - composition.tau
        if np.isfinite(level).all() and level.min() < 0 < level.max():
            axes.contour(x, y, level, levels=[0.0], colors=[INK], linewidths=1.2,
                         linestyles=[dashes])  # fmt: skip
            axes.plot([], [], dashes, color=INK, linewidth=1.2, label=composition_label(name))
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    charts.logarithmic(axes, "x", "y")
    return charts.picture(figure, f"{fitted.entry.label}: errors of test samples")


def _norms(inputs: PageInputs, fitted: FittedEntry) -> Iterator[Picture]:
    """Draw norms of training beside the chi density, and of test by class."""
    size = fitted.errors.latent_size
    if L not in fitted.errors.test.values or size is None:
        return
    trained, kind_of_norm = _training_norms(inputs, fitted.entry)
    fit = chi_distance(trained, size)
    figure, axes = charts.panel("latent norm", "density")
    bins = np.histogram_bin_edges(near_norms(trained), bins=50)
    axes.hist(trained, bins.tolist(), density=True, color=MUTED, alpha=0.5, histtype="stepfilled",
              label=f"training, {kind_of_norm}")  # fmt: skip
    from scipy import stats

    chi = stats.chi(size)
    fine = np.linspace(0, max(bins[-1], float(chi.ppf(0.999))), 200)
    axes.plot(fine, chi.pdf(fine), color=ACCENT, label=f"χ, {size} degrees; KS {fit.statistic:.3f}")
    yield charts.picture(figure, f"{fitted.entry.label}: training and χ")

    test = fitted.errors.test
    figure, axes = charts.panel("latent norm", "density")
    bins = np.histogram_bin_edges(_middle(np.asarray(test.values[L], dtype=np.float64)), bins=50)
    for label, colour in enumerate((MUTED, ACCENT)):
        values = test.values[L][test.label == label]
        if len(values):
            axes.hist(
                values, bins.tolist(), density=True, color=colour, alpha=0.5, label=CLASSES[label],
                histtype="stepfilled",
            )  # fmt: skip
    yield charts.picture(figure, f"{fitted.entry.label}: test")


def _training_norms(inputs: PageInputs, entry: Entry) -> tuple[Float, str]:
    """Return `(n,)` norms of the drawn fold's training samples, and of which z they are."""
    table = inputs.read(entry, TRAINING_COMPONENTS)
    assert table is not None
    frame = table.to_pandas()
    frame = frame[frame["epoch_rule"] == BEST]
    if DRAWN_LATENT_NORM in frame and frame[DRAWN_LATENT_NORM].notna().all():
        return frame[DRAWN_LATENT_NORM].to_numpy(dtype=np.float64), "z drawn"
    return frame[L].to_numpy(dtype=np.float64), "z as scored"


def _curves(fitted: FittedEntry) -> Iterator[Picture]:
    """Draw ROC and precision-recall of every fitted composition, the entry's own in colour."""
    from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

    test = fitted.errors.test
    if not test.has_both_classes or not fitted.compositions:
        return
    roc, roc_axes = charts.panel("false alarms, share of normal", "hits, share of abnormal")
    recalls, recall_axes = charts.panel("recall", "precision")
    share = float(np.mean(test.label))
    recall_axes.axhline(share, color=MUTED, linewidth=0.8, linestyle=":")
    dashes = itertools.cycle(("-", "--", "-.", ":"))
    own = (fitted.entry.composition, fitted.entry.latent_form)
    for (name, form), composition in fitted.compositions.items():
        score = composition.score(test)
        is_own = (name, form) == own
        drawn: dict[str, Any] = {"color": ACCENT if is_own else MUTED}
        drawn |= {"linewidth": 1.8 if is_own else 1.1}
        drawn |= {"linestyle": "-" if is_own else next(dashes), "zorder": 3 if is_own else 2}
        false, true, _ = roc_curve(test.label, score)
        at = thinned(len(false), CURVE_POINTS)
        label = f"{composition_label(name, form)}  {roc_auc_score(test.label, score):.3f}"
        roc_axes.plot(false[at], true[at], label=label, **drawn)
        precision, recall, _ = precision_recall_curve(test.label, score)
        at = thinned(len(recall) - 1, CURVE_POINTS)
        recall_axes.plot(recall[at], precision[at], **drawn)
        predicted = composition.predict(score) == 1
        hits = float(predicted[test.label == 1].mean())
        if predicted.any():
            false_alarms = predicted[test.label == 0].mean()
            precise = test.label[predicted].mean()
            thresholds = ((roc_axes, false_alarms, hits), (recall_axes, hits, precise))
            for axes, x, y in thresholds:
                axes.scatter(x, y, s=30, facecolor="none", edgecolor=drawn["color"], zorder=4)
    for axes in (roc_axes, recall_axes):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    yield charts.picture(roc, f"{fitted.entry.label}: ROC", legend="AUROC")
    yield charts.picture(recalls, f"{fitted.entry.label}: precision and recall")


def _positive(values: Float) -> Float:
    """Return values that a logarithmic axis can show: zeros become the least above them."""
    above = values[values > 0]
    return np.maximum(values, above.min() if len(above) else 1e-12)


def _span(values: Float) -> Float:
    """Return `(GRID,)` points of a logarithmic axis that span all but stray values."""
    low, high = np.quantile(values, (0.001, 0.999))
    margin = (high / low) ** 0.15
    return np.asarray(np.geomspace(low / margin, high * margin, GRID))


def _middle(values: Float) -> Float:
    """Return values without the few that would make bins too wide to show a shape."""
    low, high = np.quantile(values, (0.001, 0.999))
    return np.asarray(values[(values >= low) & (values <= high)])
