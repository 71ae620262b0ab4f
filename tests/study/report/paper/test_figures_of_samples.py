from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from matplotlib.figure import Figure

from study.report.paper.figures_of_samples import (
    draw_errors,
    draw_interpolation,
    draw_reconstructions,
    error_curves,
    interpolation_curves,
    reconstruction_curves,
)
from tests.study.report.paper.conftest import LENGTH, interpolation, reconstructions
from tests.study.report.paper.overlap import overlapping

pytestmark = pytest.mark.slow

FOOTER = "what it rests on."


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(5)


def lines(figure: Figure, axes: int) -> list[Any]:
    return [np.asarray(line.get_ydata()) for line in figure.axes[axes].get_lines()]


def test_curves_are_the_stored_values_by_channel_and_normal_first(
    random: np.random.Generator,
) -> None:
    stored = reconstructions(random, each=2, channels=3)
    curves = reconstruction_curves(stored, LENGTH).to_pandas()
    assert curves["label"].is_monotonic_increasing
    assert len(curves) == 4 * 3 * LENGTH
    for row in stored.to_pylist():
        part = curves[curves["sample"] == row["sample"]]
        np.testing.assert_array_equal(part["real"], np.float32(row["values"]))
        np.testing.assert_array_equal(part["reconstruction"], np.float32(row["reconstruction"]))
        for channel in range(3):
            places = part[part["channel"] == channel]["position"]
            np.testing.assert_array_equal(places, np.arange(LENGTH))
    found = np.abs(curves["real"] - curves["reconstruction"])
    np.testing.assert_allclose(curves["absolute_error"], found)


def test_a_sample_of_another_length_is_an_error(random: np.random.Generator) -> None:
    with pytest.raises(ValueError, match=f"channels of {LENGTH + 1} values, found {LENGTH}"):
        reconstruction_curves(reconstructions(random), LENGTH + 1)


def test_figure_1_has_the_first_sample_of_each_class(random: np.random.Generator) -> None:
    stored = reconstructions(random)
    curves = error_curves(stored, LENGTH)
    assert curves is not None
    rows = stored.to_pylist()
    first = [next(r["sample"] for r in rows if r["label"] == label) for label in (0, 1)]
    assert curves["sample"].unique().to_pylist() == first
    one_class = stored.filter(pa.compute.equal(stored["label"], 0))
    assert error_curves(one_class, LENGTH) is None


def test_a_kind_that_is_its_class_is_not_said_twice(random: np.random.Generator) -> None:
    stored = reconstructions(random, each=1)
    named = stored.set_column(2, "kind", pa.array(["supraventricular", "normal"]))
    curves = error_curves(named, LENGTH)
    assert curves is not None
    figure = draw_errors(curves, "Fig. 1", FOOTER)
    titles = [axis.get_title() for axis in figure.axes[:2]]
    assert titles == ["normal", "abnormal (supraventricular)"]


def test_figure_1_shows_the_error_as_colour_on_one_scale(random: np.random.Generator) -> None:
    curves = error_curves(reconstructions(random), LENGTH)
    assert curves is not None
    figure = draw_errors(curves, "Fig. 1", FOOTER)
    frame = curves.to_pandas()
    for label in (0, 1):
        part = frame[frame["label"] == label]
        (image,) = figure.axes[label].get_images()
        np.testing.assert_allclose(image.get_array(), [part["absolute_error"]])
        assert image.get_clim() == (0, pytest.approx(frame["absolute_error"].max()))
        low, high = figure.axes[label].get_ylim()
        assert image.get_extent()[2:] == pytest.approx([low, high])  # colours fill the panel
        np.testing.assert_array_equal(lines(figure, label)[0], part["real"])
    assert [axis.get_title() for axis in figure.axes[:2]] == ["normal (N)", "abnormal (V)"]
    assert "|x" in figure.axes[2].get_ylabel()
    assert figure.get_supxlabel() == FOOTER
    assert overlapping(figure) == []


def test_reconstructions_are_drawn_normal_above_abnormal(random: np.random.Generator) -> None:
    stored = reconstructions(random)
    figure = draw_reconstructions(reconstruction_curves(stored, LENGTH), "Fig. 3", FOOTER)
    assert len(figure.axes) == 16
    rows = sorted(stored.to_pylist(), key=lambda row: row["label"])
    for number, row in enumerate(rows):
        real, found = lines(figure, number)[:2]
        np.testing.assert_array_equal(real, np.float32(row["values"]))
        np.testing.assert_array_equal(found, np.float32(row["reconstruction"]))
        error = np.mean((real.astype(float) - found) ** 2)
        name, said = figure.axes[number].get_title().split("\n")
        assert name == row["kind"]
        assert float(said.removeprefix("R = ")) == pytest.approx(error, rel=0.05)
    classes = [figure.axes[number].get_ylabel().split("\n")[0] for number in (0, 8)]
    assert classes == ["normal", "abnormal"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["x (real)", "x̂ (reconstructed)"]
    assert overlapping(figure) == []


def test_fewer_samples_of_a_class_leave_panels_empty(random: np.random.Generator) -> None:
    stored = reconstructions(random, each=3).slice(0, 5)
    figure = draw_reconstructions(reconstruction_curves(stored, LENGTH), "Fig. 3", FOOTER)
    drawn = [axis for axis in figure.axes if axis.get_lines()]
    assert (len(figure.axes), len(drawn)) == (6, 5)
    assert overlapping(figure) == []


def test_interpolations_have_a_row_per_dimension_and_the_sample_in_the_middle(
    random: np.random.Generator,
) -> None:
    stored = interpolation(random, dimensions=2)
    figure = draw_interpolation(interpolation_curves(stored, LENGTH), "Fig. 8", FOOTER)
    assert len(figure.axes) == 22
    for axis, row in zip(figure.axes, stored.to_pylist(), strict=True):
        (line,) = axis.get_lines()
        np.testing.assert_array_equal(line.get_ydata(), np.float32(row["values"]))
        if row["step"]:
            assert float(axis.get_title().replace("−", "-")) == pytest.approx(row["offset"])
        else:
            assert "x̂" in axis.get_title()
    colours = {axis.get_lines()[0].get_color() for axis in figure.axes[5::11]}
    assert len(colours) == 1
    assert colours.isdisjoint(axis.get_lines()[0].get_color() for axis in figure.axes[:5])
    names = [figure.axes[11 * row].get_ylabel() for row in range(2)]
    assert names == [f"z, dim. {number}" for number in (1, 2)]
    assert overlapping(figure) == []
