import numpy as np
import pytest
from scipy import stats

from study.report.paper.figures_of_norms import (
    chi_histograms,
    draw_chi,
    draw_norms,
    norm_histograms,
)
from tests.study.report.paper.overlap import overlapping

FOOTER = "what it rests on."


def test_densities_integrate_to_one_beside_chis() -> None:
    random = np.random.default_rng(0)
    norms = {
        name: np.linalg.norm(random.normal(0, scale, (5000, 4)), axis=1)
        for name, scale in (("vaegan_1", 3.0), ("vaegan_beta_1e-1", 1.0), ("beatgan", 1.0))
    }
    norms["vaegan_1"][:2] = np.nan, np.inf
    data = chi_histograms(norms, dict.fromkeys(norms, 4))
    assert data is not None
    frame = data.to_pandas()
    assert frame["system"].unique().tolist() == ["vaegan_beta_1e-1", "vaegan_1"]
    for system, part in frame.groupby("system"):
        width = part["high"] - part["low"]
        assert (part["density"] * width).sum() == pytest.approx(1)
        finite = norms[str(system)][np.isfinite(norms[str(system)])]
        inside = (finite >= part["low"].iloc[0]) & (finite < part["high"].iloc[0])
        share = part["density"].iloc[0] * width.iloc[0]
        assert share == pytest.approx(inside.mean())
        squared = ((part["low"] + part["high"]) / 2) ** 2
        # The density of ||z|| from that of ||z||², by the derivative of the square.
        density = stats.chi2(4).pdf(squared) * 2 * np.sqrt(squared)
        np.testing.assert_allclose(part["chi_density"], density)
        assert part["norms"].iloc[0] == len(finite)


def test_a_few_norms_far_away_are_counted_and_do_not_squeeze_the_others() -> None:
    near = np.linalg.norm(np.random.default_rng(0).normal(size=(997, 4)), axis=1)
    norms = {"vaegan_1": np.append(near, [20.0, 100.0, 4e30])}
    data = chi_histograms(norms, {"vaegan_1": 4})
    assert data is not None
    part = data.to_pandas()
    assert part["high"].max() == pytest.approx(near.max())
    assert set(part["norms"]) == {1000}
    assert set(part["beyond"]) == {3}
    assert (part["density"] * (part["high"] - part["low"])).sum() == pytest.approx(0.997)
    figure = draw_chi(data, "Fig. 4", FOOTER)
    assert figure.axes[0].get_title().endswith("; 3 samples lie beyond")
    assert overlapping(figure) == []


def test_norms_that_are_all_the_same_are_drawn() -> None:
    for value in (0.0, 3.0):
        data = chi_histograms({"vaegan_2": np.full(9, value)}, {"vaegan_2": 2})
        assert data is not None
        assert np.isfinite(data["density"].to_numpy()).all()
        draw_chi(data, "Fig. 4", FOOTER)


def test_without_systems_or_norms_there_is_no_figure() -> None:
    assert chi_histograms({}, {}) is None
    assert chi_histograms({"vaegan_2": np.full(3, np.nan)}, {"vaegan_2": 2}) is None
    label = np.array([0, 1])
    assert norm_histograms(np.empty(0), np.ones(2), label) is None
    assert norm_histograms(np.ones(2), np.full(2, np.nan), label) is None


def test_figure_4_has_a_panel_per_beta_with_statistic_and_density() -> None:
    random = np.random.default_rng(0)
    norms = {
        name: np.linalg.norm(random.normal(0, scale, (900, 6)), axis=1)
        for name, scale in (("vaegan_1", 3.0), ("vaegan_2", 1.5), ("vaegan_beta_1e-1", 1.0))
    }
    data = chi_histograms(norms, dict.fromkeys(norms, 6))
    assert data is not None
    figure = draw_chi(data, "Fig. 4", FOOTER)
    for axis, (system, beta) in zip(
        figure.axes,
        (("vaegan_beta_1e-1", "0.1"), ("vaegan_2", "0.0001"), ("vaegan_1", "0")),
        strict=True,
    ):
        found = stats.kstest(norms[system], "chi", args=(6,))
        assert axis.get_title().startswith(f"β = {beta}: KS {found.statistic:.4f}, p ")
        (line,) = axis.get_lines()
        peak = line.get_xdata()[np.argmax(line.get_ydata())]
        assert peak == pytest.approx(np.sqrt(5), abs=0.05)  # the mode, equation 5
    assert "the paper: KS 0.0029, p 0.89" in figure.axes[0].get_title()
    assert "paper" not in figure.axes[1].get_title() + figure.axes[2].get_title()
    assert overlapping(figure) == []


def test_figure_11_counts_every_sample_in_the_same_bins() -> None:
    random = np.random.default_rng(0)
    training, validation = random.gamma(3, size=500), random.gamma(4, size=200)
    label = np.arange(200) % 4 == 0
    data = norm_histograms(training, validation, label.astype(np.int8))
    assert data is not None
    frame = data.to_pandas()
    parts = dict(tuple(frame.groupby("part")))
    assert {str(name): part["count"].sum() for name, part in parts.items()} == {
        "training": 500,
        "validation, normal": 150,
        "validation, abnormal": 50,
    }
    edges = {tuple(part["low"]) for part in parts.values()}
    assert len(edges) == 1
    part = parts["validation, abnormal"]
    middle = part.iloc[len(part) // 2]
    chosen = validation[label]
    inside = (chosen >= middle["low"]) & (chosen < middle["high"])
    assert middle["count"] == inside.sum()
    figure = draw_norms(data, "Fig. 11", FOOTER)
    assert [axis.get_title() for axis in figure.axes] == ["training", "validation"]
    assert [len(axis.patches) for axis in figure.axes] == [1, 2]
    assert overlapping(figure) == []
