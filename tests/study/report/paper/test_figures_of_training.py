from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from study.report.paper.figures_of_training import (
    draw_extremes,
    draw_lambda,
    draw_spectral_norm,
    latent_extremes,
    optimal_lambda,
    spectral_norm_scores,
)
from tests.study.report.paper.conftest import MadeStudy
from tests.study.report.paper.overlap import overlapping

FOOTER = "what it rests on."


@pytest.fixture
def epochs(made: Callable[..., MadeStudy]) -> pa.Table:
    return made(folds=3, epochs=9).tables.epochs


def test_lambda_is_that_of_two_folds_where_it_was_validated(epochs: pa.Table) -> None:
    data = optimal_lambda(epochs, "vaegan_2")
    assert data is not None
    frame = epochs.to_pandas()
    rows = frame[(frame["system"] == "vaegan_2") & (frame["fold"] < 2)]
    rows = rows[rows["epoch"].isin([2, 4, 6, 8, 9])]
    np.testing.assert_array_equal(data["lambda"], rows["lambda_grid/lambda"])
    figure = draw_lambda(data, "Fig. 5", FOOTER)
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.get_lines()] == ["fold 0", "fold 1"]
    for fold, line in enumerate(axes.get_lines()):
        own = rows[rows["fold"] == fold]
        np.testing.assert_array_equal(line.get_xdata(), own["epoch"])
        np.testing.assert_array_equal(line.get_ydata(), own["lambda_grid/lambda"])
    assert axes.get_xlabel() == "epoch"
    assert overlapping(figure) == []


def test_scores_with_and_without_spectral_norm_are_means_over_folds(epochs: pa.Table) -> None:
    data = spectral_norm_scores(epochs)
    assert data is not None
    frame = epochs.to_pandas()
    found = data.to_pandas().set_index(["composition", "system", "epoch"])
    assert len(found) == 2 * 2 * 5
    for (composition, system, epoch), row in found.iterrows():  # type: ignore[misc]
        own = frame[(frame["system"] == system) & (frame["epoch"] == epoch)]
        values = own[f"{composition}/f1_weighted"]
        assert row["mean"] == pytest.approx(sum(values) / 3)
        assert row["std"] == pytest.approx(np.std(values, ddof=1))
        assert row["folds"] == 3
    figure = draw_spectral_norm(data, "Fig. 6", FOOTER)
    assert [axis.get_title()[:3] for axis in figure.axes] == ["(a)", "(b)"]
    for axis in figure.axes:
        assert (len(axis.get_lines()), len(axis.collections)) == (2, 2)
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["spectral norm", "batch norm instead"]
    assert overlapping(figure) == []


def test_one_fold_has_a_line_without_a_band(made: Callable[..., MadeStudy]) -> None:
    data = spectral_norm_scores(made(folds=1, epochs=4).tables.epochs)
    assert data is not None
    assert data["std"].null_count == data.num_rows
    figure = draw_spectral_norm(data, "Fig. 6", FOOTER)
    for band in figure.axes[0].collections:
        height = np.ptp(band.get_paths()[0].vertices[:, 1])
        means = data.to_pandas().query("composition == 'discrimination'")["mean"]
        assert height <= np.ptp(means) + 1e-12


def test_a_score_that_was_not_followed_has_no_panel(epochs: pa.Table) -> None:
    data = spectral_norm_scores(epochs.drop_columns(["svm_gamma/f1_weighted"]))
    assert data is not None
    assert len(draw_spectral_norm(data, "Fig. 6", FOOTER).axes) == 1


def test_latent_extremes_are_means_over_folds(epochs: pa.Table) -> None:
    data = latent_extremes(epochs)
    assert data is not None
    frame = epochs.to_pandas()
    for row in data.to_pylist():
        own = frame[(frame["system"] == row["system"]) & (frame["epoch"] == row["epoch"])]
        assert row["minimum"] == pytest.approx(own["latent/minimum"].mean())
        assert row["maximum"] == pytest.approx(own["latent/maximum"].mean())
        assert row["folds"] == 3
    systems = ["beatgan", "beatgan_plus", "vaegan_1", "vaegan_2"]
    assert sorted(set(data["system"].to_pylist())) == systems
    figure = draw_extremes(data, "Fig. 7", FOOTER)
    (legend,) = figure.legends
    assert len(legend.get_texts()) == 4
    pairs = [line.get_color() for line in figure.axes[0].get_lines()[:8]]
    assert pairs[::2] == pairs[1::2]
    assert len(set(pairs)) == 4
    assert overlapping(figure) == []


def test_epochs_are_whole(made: Callable[..., MadeStudy]) -> None:
    tables = made(folds=1, epochs=3).tables
    data = latent_extremes(tables.epochs)
    assert data is not None
    places = draw_extremes(data, "Fig. 7", FOOTER).axes[0].get_xticks()
    assert all(place == int(place) for place in places)


def test_what_was_not_measured_has_no_figure(epochs: pa.Table) -> None:
    nothing = pa.table({})
    none_known = epochs.to_pandas().assign(
        **{"lambda_grid/lambda": np.nan, "latent/minimum": np.nan}
    )
    for table in (nothing, pa.Table.from_pandas(none_known)):
        assert optimal_lambda(table, "vaegan_2") is None
        assert latent_extremes(table) is None
    assert optimal_lambda(epochs, "anogan") is None
    one = epochs.filter(pa.compute.not_equal(epochs["system"], "beatgan_plus_batch_norm"))
    assert spectral_norm_scores(one) is None
    assert spectral_norm_scores(nothing) is None


def test_many_epochs_are_a_line_and_few_are_points() -> None:
    def table(count: int) -> pa.Table:
        rows = {"system": "vaegan_2", "fold": 0, "epoch": np.arange(count)}
        return pa.Table.from_pandas(pd.DataFrame(rows | {"lambda_grid/lambda": 0.5}))

    for count, marker in ((1, "o"), (100, "")):
        data = optimal_lambda(table(count), "vaegan_2")
        assert data is not None
        (line,) = draw_lambda(data, "Fig. 5", FOOTER).axes[0].get_lines()
        assert line.get_marker() == marker
