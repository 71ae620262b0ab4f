import io
import xml.etree.ElementTree as ElementTree

from matplotlib.figure import Figure
from PIL import Image

from study.report.paper.pictures import framed, legend_beside_title, rendered
from tests.study.report.paper.overlap import overlapping


def drawn() -> Figure:
    figure = framed("a title", "a footer " * 40, 6, 3)
    axes = figure.add_subplot()
    axes.imshow([[0.0, 1.0]], extent=(0, 1, 0, 1), aspect="auto")
    axes.plot([0, 1], label="a line")
    axes.fill_between([0, 1], [0, 0], [1, 1])
    legend_beside_title(figure, axes)
    return figure


def test_the_same_picture_is_the_same_bytes() -> None:
    assert rendered(drawn()) == rendered(drawn())


def test_pictures_say_nothing_of_when_and_by_what_they_were_made() -> None:
    found = rendered(drawn())
    image = Image.open(io.BytesIO(found["png"]))
    assert image.format == "PNG"
    assert set(image.info) <= {"dpi"}
    root = ElementTree.fromstring(found["svg"])
    assert root.tag.endswith("svg")
    assert b"date" not in found["svg"]
    assert b"<text" not in found["svg"]


def test_the_footer_is_broken_into_lines_that_have_room() -> None:
    figure = drawn()
    width, height = figure.get_size_inches()
    assert width == 6
    assert height > framed("a title", "short", 6, 3).get_size_inches()[1]
    assert figure.get_supxlabel().replace("\n", " ") == ("a footer " * 40).strip()
    rendered(figure)
    assert overlapping(figure) == []


def test_texts_on_one_another_are_found() -> None:
    figure = framed("a title " * 12, "short", 6, 3)
    axes = figure.add_subplot()
    axes.plot([0, 1], label="a line")
    legend_beside_title(figure, axes)
    assert any(set(pair) == {"a line", "a title " * 12} for pair in overlapping(figure))
