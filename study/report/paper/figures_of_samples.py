"""Figures of single samples: 1 (errors along a beat), 3, 9, 10 (reconstructions), 8 (latent)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from study.report.paper.names import BLACK, BLUE, CLASSES, GREY, VERMILION
from study.report.paper.pictures import SMALL, framed, legend_beside_title, plain

POSITION = "position in the sample (time steps)"
SIGNAL = "signal (scaled)"


def reconstruction_curves(reconstructions: pa.Table, length: int) -> pa.Table:
    """Return real and reconstructed samples, a row per sample, channel and position.

    Args:
        reconstructions: a fold's `reconstructions.parquet`.
        length: of a sample, in time steps.

    Returns:
        Columns sample, label, kind, channel, position, real, reconstruction,
        absolute_error; normal samples first.

    Raises:
        ValueError: a sample that is no whole number of channels long.
    """
    rows = sorted(reconstructions.to_pylist(), key=lambda row: int(row["label"]))
    curves = []
    for row in rows:
        real = _channels(row["values"], length)
        reconstruction = _channels(row["reconstruction"], length)
        error = np.abs(real - reconstruction)
        values = {"real": real, "reconstruction": reconstruction, "absolute_error": error}
        curves.append(_curve({name: row[name] for name in ("sample", "label", "kind")}, values))
    return pa.concat_tables(curves)


def error_curves(reconstructions: pa.Table, length: int) -> pa.Table | None:
    """Return the first normal and the first abnormal sample as `reconstruction_curves`.

    None if a class has no sample.
    """
    label = reconstructions["label"].to_numpy()
    if not {0, 1} <= set(label.tolist()):
        return None
    first = [int(np.flatnonzero(label == value)[0]) for value in (0, 1)]
    return reconstruction_curves(reconstructions.take(first), length)


def interpolation_curves(interpolation: pa.Table, length: int) -> pa.Table:
    """Return decoded samples along each latent dimension, a row per position of each.

    Args:
        interpolation: a fold's `interpolation.parquet`.
        length: of a sample, in time steps.

    Returns:
        Columns dimension, step, offset, channel, position, decoded.
    """
    return pa.concat_tables(
        _curve(
            {name: row[name] for name in ("dimension", "step", "offset")},
            {"decoded": _channels(row["values"], length)},
        )
        for row in interpolation.to_pylist()
    )


def draw_errors(data: pa.Table, title: str, footer: str) -> Figure:
    """Draw `error_curves`: |x - x̂| as colour along a normal and an abnormal sample."""
    figure = framed(title, footer, 9, 3.2)
    axes = figure.subplots(1, 2, sharey=True)
    curves = list(_groups(data, "label"))
    largest = max(float(curve["absolute_error"].max()) for _, curve in curves) or 1.0
    # From the line at 0 on, so that the colours fill the panel.
    low = min(0.0, *(float(curve[name].min()) for _, curve in curves for name in _CURVES))
    high = max(0.0, *(float(curve[name].max()) for _, curve in curves for name in _CURVES))
    room = 0.05 * (high - low or 1.0)
    for axis, (label, curve) in zip(axes, curves, strict=True):
        ends = (-0.5, len(curve["position"]) - 0.5, low - room, high + room)
        image = axis.imshow(
            curve["absolute_error"][None], aspect="auto", extent=ends, cmap="Oranges",
            vmin=0, vmax=largest, interpolation="nearest",
        )  # fmt: skip
        _draw_pair(axis, curve, (BLACK, BLUE))
        axis.set_title(_sample_label(label, str(curve["kind"][0])), fontsize=9)
        axis.set_xlabel(POSITION, fontsize=SMALL)
        plain(axis)
    axes[0].set_ylabel(SIGNAL, fontsize=SMALL)
    bar = figure.colorbar(image, ax=axes)
    bar.set_label("absolute error |x − x̂|", fontsize=SMALL)
    bar.ax.tick_params(labelsize=SMALL)
    legend_beside_title(figure, axes[0])
    return figure


def draw_reconstructions(data: pa.Table, title: str, footer: str) -> Figure:
    """Draw `reconstruction_curves`: normal samples on top, abnormal ones below."""
    samples = [list(_groups(part, "sample")) for part in _by_label(data)]
    across = max(len(row) for row in samples)
    figure = framed(title, footer, max(8.0, 1.7 * across), 0.5 + 1.7 * len(samples))
    axes = figure.subplots(len(samples), across, sharex=True, sharey=True, squeeze=False)
    for row, panels in zip(axes, samples, strict=True):
        for axis in row[len(panels) :]:
            axis.axis("off")
        for axis, (_, curve) in zip(row, panels, strict=False):
            _draw_pair(axis, curve, (BLUE, VERMILION))
            error = float(np.mean((curve["real"] - curve["reconstruction"]) ** 2))
            axis.set_title(f"{curve['kind'][0]}\nR = {error:.2g}", fontsize=SMALL)
            plain(axis)
        label = int(panels[0][1]["label"][0])
        row[0].set_ylabel(f"{CLASSES[label]}\n{SIGNAL}", fontsize=SMALL)
    for axis in axes[-1]:
        axis.set_xlabel("time steps", fontsize=SMALL)
    legend_beside_title(figure, axes[0][0])
    return figure


def draw_interpolation(data: pa.Table, title: str, footer: str) -> Figure:
    """Draw `interpolation_curves`: a row per latent dimension, the sample itself in the middle."""
    rows = [(number, list(_groups(part, "step"))) for number, part in _parts(data, "dimension")]
    across = max(len(panels) for _, panels in rows)
    figure = framed(title, footer, 0.6 + 1.05 * across, 0.4 + 0.9 * len(rows))
    axes = figure.subplots(len(rows), across, sharex=True, sharey=True, squeeze=False)
    for line, (dimension, panels) in zip(axes, rows, strict=True):
        for axis, (step, curve) in zip(line, panels, strict=False):
            colour = VERMILION if step == 0 else BLUE
            axis.plot(curve["position"], curve["decoded"], color=colour, linewidth=1)
            offset = f"{float(curve['offset'][0]):+.2g}".replace("-", "−")
            axis.set_title("x̂ (±0)" if step == 0 else offset, fontsize=SMALL, pad=2)
            axis.tick_params(labelsize=6)
        line[0].set_ylabel(f"z, dim. {dimension + 1}", fontsize=SMALL)
    for axis in axes[-1]:
        axis.set_xlabel("time steps", fontsize=7)
    return figure


_CURVES = ("real", "reconstruction")


def _channels(values: Any, length: int) -> Any:
    """Return `(C, length)` values; the file holds channels one after the other."""
    flat = np.asarray(values, dtype=np.float32)
    if not len(flat) or len(flat) % length:
        raise ValueError(f"a sample must hold channels of {length} values, found {len(flat)}")
    return flat.reshape(-1, length)


def _curve(shared: dict[str, Any], values: dict[str, Any]) -> pa.Table:
    """Return a row per channel and position of `values`, each with the `shared` columns."""
    channels, length = next(iter(values.values())).shape
    repeated = {name: [value] * (channels * length) for name, value in shared.items()}
    positions = {
        "channel": np.repeat(np.arange(channels), length),
        "position": np.tile(np.arange(length), channels),
    }
    columns = {name: array.ravel() for name, array in values.items()}
    return pa.table({**repeated, **positions, **columns})


def _groups(data: pa.Table, column: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the first channel of each value of `column`, in order, as arrays by name."""
    first = data.filter(pc.equal(data["channel"], 0))
    for value, part in _parts(first, column):
        yield value, {n: part[n].to_numpy(zero_copy_only=False) for n in part.column_names}


def _parts(data: pa.Table, column: str) -> Iterator[tuple[int, pa.Table]]:
    for value in pc.unique(data[column]).to_pylist():
        yield int(value), data.filter(pc.equal(data[column], value))


def _by_label(data: pa.Table) -> list[pa.Table]:
    return [part for _, part in sorted(_parts(data, "label"), key=lambda part: part[0])]


def _sample_label(label: int, kind: str) -> str:
    """Return a sample's class, with its kind where that is another word."""
    return CLASSES[label] if kind == CLASSES[label] else f"{CLASSES[label]} ({kind})"


def _draw_pair(axis: Axes, curve: dict[str, Any], colours: tuple[str, str]) -> None:
    position, real, reconstruction = (curve[n] for n in ("position", "real", "reconstruction"))
    axis.plot(position, real, color=colours[0], linewidth=1.2, label="x (real)")
    axis.plot(position, reconstruction, color=colours[1], linewidth=1.0, label="x̂ (reconstructed)")
    axis.axhline(0, color=GREY, linewidth=0.3, zorder=0)
