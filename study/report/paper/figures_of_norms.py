"""Figures of latent norms: 4 (the chi distribution), 11 (BeatGAN's, by split and label)."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure
from scipy import stats

from study.report.paper.names import BETAS, BLUE, COLOURS, GREY, VERMILION, in_paper_order
from study.report.paper.pictures import SMALL, framed, plain
from study.report.paper.published import PublishedKey, published_numbers
from study.training.measures.latents import chi_distance

MOST_BINS = 80
FAR = 2  # times the 95th percentile of norms: what lies beyond is counted, not drawn
NORM = "latent norm ‖z‖₂ (no unit)"
TRAINING, NORMAL, ABNORMAL = "training", "validation, normal", "validation, abnormal"

Float = npt.NDArray[np.float64]


def near_norms(norms: Float) -> Float:
    """Return the norms that a histogram is drawn of, those not far beyond nearly all others.

    With beta 0 nothing bounds the posterior's variance: a few draws would squeeze all other
    norms into one bin. Of the chi distribution all are near.
    """
    return norms[norms <= FAR * np.quantile(norms, 0.95)]


def chi_histograms(norms: Mapping[str, Float], latent_sizes: Mapping[str, int]) -> pa.Table | None:
    """Return figure 4: histograms of training norms beside the chi density.

    Args:
        norms: `(n,)` latent norms of a fold's training samples, by system; those that
            are not finite are left out.
        latent_sizes: dimensions of z, by system.

    Returns:
        A row per system of `BETAS` and bin: system, low, high (the bin's ends), density,
        chi_density (at its middle), and of all the system's norms latent_size, chi_ks,
        chi_p, norms, and how many lie beyond the bins (see `near_norms`). None if there is
        no such system.
    """
    parts = []
    for system in BETAS:
        values = _finite(norms.get(system))
        if not len(values):
            continue
        size = latent_sizes[system]
        near = near_norms(values)
        edges = _edges(near)
        density = np.histogram(near, edges)[0] / (len(values) * np.diff(edges))
        fit = chi_distance(values, size)
        middles = (edges[:-1] + edges[1:]) / 2
        same = {"system": system, "latent_size": size, "chi_ks": fit.statistic, "chi_p": fit.p}
        columns = _bins(edges) | {"density": density, "chi_density": stats.chi(size).pdf(middles)}
        counts = {"norms": len(values), "beyond": len(values) - len(near)}
        parts.append(_rows(same | counts, columns))
    return pa.concat_tables(parts) if parts else None


def norm_histograms(
    training: Float, validation: Float, label: npt.NDArray[np.integer]
) -> pa.Table | None:
    """Return figure 11: histograms of latent norms by split and label, in the same bins.

    Args:
        training: `(n,)` of the training samples.
        validation: `(m,)` of the validation samples.
        label: `(m,)` 0 normal, 1 abnormal.

    Returns:
        A row per part and bin: part, low, high, count. None without norms.
    """
    parts = {TRAINING: training, NORMAL: validation[label == 0], ABNORMAL: validation[label == 1]}
    finite = {name: _finite(values) for name, values in parts.items()}
    all_norms = np.concatenate(list(finite.values()))
    if not len(finite[TRAINING]) or not len(all_norms) - len(finite[TRAINING]):
        return None
    edges = _edges(all_norms)
    return pa.concat_tables(
        _rows({"part": name}, _bins(edges) | {"count": np.histogram(values, bins=edges)[0]})
        for name, values in finite.items()
    )


def draw_chi(data: pa.Table, title: str, footer: str) -> Figure:
    """Draw `chi_histograms`: a panel per beta, the chi density drawn over."""
    systems = [name for name in BETAS if name in data["system"].to_pylist()]
    figure = framed(title, footer, 7.5, 0.2 + 2.0 * len(systems))
    axes = figure.subplots(len(systems), 1, squeeze=False)[:, 0]
    for axis, system in zip(axes, systems, strict=True):
        part = data.filter(pc.equal(data["system"], system))
        low, high = part["low"].to_numpy(), part["high"].to_numpy()
        size = part["latent_size"][0].as_py()
        axis.stairs(
            part["density"].to_numpy(), [*low, high[-1]], fill=True, color=COLOURS[system],
            alpha=0.7, label="training samples",
        )  # fmt: skip
        fine = np.linspace(0.0, max(high[-1], stats.chi(size).ppf(0.999)), 400)
        density = stats.chi(size).pdf(fine)
        axis.plot(
            fine, density, color="black", linewidth=1.2, label=f"χ, {size} degrees of freedom"
        )
        ks, p = part["chi_ks"][0].as_py(), part["chi_p"][0].as_py()
        beyond = part["beyond"][0].as_py()
        more = f"; {beyond} samples lie beyond" if beyond else ""
        panel_title = f"β = {BETAS[system]}: KS {ks:.4f}, {_p(p)}{_published_fit(system)}{more}"
        axis.set_title(panel_title, fontsize=9)
        axis.set_ylabel("density", fontsize=SMALL)
        axis.legend(fontsize=SMALL, frameon=False)
        plain(axis)
    axes[-1].set_xlabel(NORM, fontsize=SMALL)
    return figure


def draw_norms(data: pa.Table, title: str, footer: str) -> Figure:
    """Draw `norm_histograms`: training on the left, validation by label on the right."""
    figure = framed(title, footer, 9, 3.2)
    axes = figure.subplots(1, 2, sharex=True)
    shown = ((0, TRAINING, GREY), (1, NORMAL, BLUE), (1, ABNORMAL, VERMILION))
    for panel, name, colour in shown:
        part = data.filter(pc.equal(data["part"], name))
        edges = [*part["low"].to_pylist(), part["high"][-1].as_py()]
        label = name.rpartition(", ")[2] if panel else "normal"
        counts = part["count"].to_numpy()
        axes[panel].stairs(counts, edges, fill=True, color=colour, alpha=0.6, label=label)
    for axis, name in zip(axes, ("training", "validation"), strict=True):
        axis.set_title(name, fontsize=9)
        axis.set_xlabel(NORM, fontsize=SMALL)
        axis.set_ylabel("samples", fontsize=SMALL)
        axis.legend(fontsize=SMALL, frameon=False)
        plain(axis)
    return figure


def chi_systems(systems: Iterable[str]) -> list[str]:
    """Return the systems of figure 4 among `systems`."""
    return in_paper_order(set(systems) & set(BETAS))


def _finite(values: Float | None) -> Float:
    if values is None:
        return np.empty(0)
    return values[np.isfinite(values)].astype(np.float64)


def _edges(values: Float) -> Float:
    """Return the edges of equal bins over all values, fewer where there are few values."""
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-6 * high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, int(np.clip(np.sqrt(len(values)), 10, MOST_BINS)) + 1)


def _bins(edges: Float) -> dict[str, Any]:
    return {"low": edges[:-1], "high": edges[1:]}


def _rows(same: dict[str, Any], columns: dict[str, Any]) -> pa.Table:
    return pa.table({name: [value] * len(columns["low"]) for name, value in same.items()} | columns)


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p {p:.2g}"


def _published_fit(system: str) -> str:
    numbers = published_numbers()
    ks, p = (
        numbers.get(PublishedKey("Fig. 4", "mitbih", system, "", metric))
        for metric in ("chi_ks", "chi_p")
    )
    return "" if ks is None or p is None else f" (the paper: KS {ks.mean}, p {p.mean})"
