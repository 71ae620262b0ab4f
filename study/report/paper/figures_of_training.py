"""Figures over epochs: 5 (lambda), 6 (spectral normalisation), 7 (latent extremes)."""

import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.report.paper.names import BLUE, COLOURS, VERMILION, in_paper_order, system_label
from study.report.paper.pictures import SMALL, framed, legend_beside_title, over_epochs

LAMBDA = "lambda_grid/lambda"
SPECTRAL = ("beatgan_plus", "beatgan_plus_batch_norm")
SPECTRAL_LABELS = dict(zip(SPECTRAL, ("spectral norm", "batch norm instead"), strict=True))
SPECTRAL_PANELS = {
    "discrimination": "(a) D(x) alone",
    "svm_gamma": "(b) SVM γ on R, D and L",
}
EXTREMES = ("latent/minimum", "latent/maximum")
EXTREMES_SYSTEMS = ("beatgan", "beatgan_plus", "vaegan_1", "vaegan_2")

_FEW = 30  # points up to which each has a marker


def optimal_lambda(epochs: pa.Table, system: str) -> pa.Table | None:
    """Return figure 5: the grid's lambda on validation over epochs, in two folds.

    Args:
        epochs: `epochs.parquet` of one protocol.
        system: the system that is drawn.

    Returns:
        Columns system, fold, epoch, lambda. None without any.
    """
    frame = _rows_with_values(epochs, (system,), (LAMBDA,))
    if frame is None:
        return None
    frame = frame[frame["fold"].isin(sorted(frame["fold"].unique())[:2])]
    columns = {"system": frame["system"], "fold": frame["fold"], "epoch": frame["epoch"]}
    return pa.Table.from_pydict(columns | {"lambda": frame[LAMBDA]})


def spectral_norm_scores(epochs: pa.Table) -> pa.Table | None:
    """Return figure 6: validation F1 of BeatGAN with latent size 6, by its normalisation.

    Args:
        epochs: `epochs.parquet` of one protocol.

    Returns:
        Columns composition, system, epoch, mean, std (n - 1, null for one fold), folds.
        None unless there are scores of both systems.
    """
    parts = []
    for composition in SPECTRAL_PANELS:
        column = f"{composition}/f1_weighted"
        frame = _rows_with_values(epochs, SPECTRAL, (column,))
        if frame is None or frame["system"].nunique() < len(SPECTRAL):
            continue
        statistics = frame.groupby(["system", "epoch"])[column].agg(["mean", "std", "count"])
        part = statistics.reset_index().rename(columns={"count": "folds"})
        part.insert(0, "composition", composition)
        parts.append(part)
    return _as_table(pd.concat(parts)) if parts else None


def latent_extremes(epochs: pa.Table) -> pa.Table | None:
    """Return figure 7: largest and smallest latent coordinate over epochs.

    Args:
        epochs: `epochs.parquet` of one protocol.

    Returns:
        Columns system, epoch, minimum, maximum (means over folds), folds. None without any.
    """
    frame = _rows_with_values(epochs, EXTREMES_SYSTEMS, EXTREMES)
    if frame is None:
        return None
    grouped = frame.groupby(["system", "epoch"])
    means = grouped[list(EXTREMES)].mean().set_axis(["minimum", "maximum"], axis=1)
    return _as_table(means.assign(folds=grouped.size()).reset_index())


def draw_lambda(data: pa.Table, title: str, footer: str) -> Figure:
    """Draw `optimal_lambda`."""
    figure = framed(title, footer, 8, 3.2)
    axes = figure.add_subplot()
    frame = data.to_pandas()
    for (fold, part), colour in zip(frame.groupby("fold"), (BLUE, VERMILION), strict=False):
        _line(axes, part["epoch"], part["lambda"], colour, f"fold {fold}")
    axes.set_ylim(-0.03, 1.03)
    _finish(figure, axes, "optimal λ (0: R alone, 1: D alone)")
    return figure


def draw_spectral_norm(data: pa.Table, title: str, footer: str) -> Figure:
    """Draw `spectral_norm_scores`: a panel per composition, bands of one deviation."""
    frame = data.to_pandas()
    panels = [name for name in SPECTRAL_PANELS if (frame["composition"] == name).any()]
    figure = framed(title, footer, 1.5 + 4.0 * len(panels), 3.4)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, composition in zip(axes, panels, strict=True):
        for system in SPECTRAL:
            rows = (frame["composition"] == composition) & (frame["system"] == system)
            part, colour = frame[rows], COLOURS[system]
            _line(axis, part["epoch"], part["mean"], colour, SPECTRAL_LABELS[system])
            low, high = (part["mean"] + sign * part["std"].fillna(0) for sign in (-1, 1))
            axis.fill_between(part["epoch"], low, high, color=colour, alpha=0.25, linewidth=0)
        axis.set_title(SPECTRAL_PANELS[composition], fontsize=9)
        over_epochs(axis)
    axes[0].set_ylabel("weighted F₁ on validation", fontsize=SMALL)
    legend_beside_title(figure, axes[0])
    return figure


def draw_extremes(data: pa.Table, title: str, footer: str) -> Figure:
    """Draw `latent_extremes`: a line up and a line down per system."""
    figure = framed(title, footer, 8, 3.6)
    axes = figure.add_subplot()
    frame = data.to_pandas()
    for system in in_paper_order(frame["system"]):
        part, colour = frame[frame["system"] == system], COLOURS[system]
        _line(axes, part["epoch"], part["maximum"], colour, system_label(system))
        _line(axes, part["epoch"], part["minimum"], colour, None, "--")
    axes.axhline(0, color="black", linewidth=0.5)
    _finish(figure, axes, "largest (—) and smallest (- -) coordinate of z")
    return figure


def _rows_with_values(
    epochs: pa.Table, systems: tuple[str, ...], columns: tuple[str, ...]
) -> pd.DataFrame | None:
    """Return rows of `systems` with values in all `columns`, in order; None without any."""
    if not {"system", *columns} <= set(epochs.column_names):
        return None
    frame = epochs.select(["system", "fold", "epoch", *columns]).to_pandas()
    frame = frame[frame["system"].isin(systems)].dropna(subset=list(columns))
    return None if frame.empty else frame.sort_values(["system", "fold", "epoch"])


def _as_table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def _line(
    axes: Axes,
    epoch: pd.Series,
    values: pd.Series,
    colour: str,
    label: str | None,
    style: str = "-",
) -> None:
    marker = "o" if len(epoch) <= _FEW else ""
    axes.plot(
        epoch, values, style, color=colour, label=label, linewidth=1.3, marker=marker, markersize=3
    )


def _finish(figure: Figure, axes: Axes, label: str) -> None:
    axes.set_ylabel(label, fontsize=SMALL)
    over_epochs(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right center", fontsize=SMALL)
