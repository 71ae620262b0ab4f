"""Finding texts that lie on one another."""

import itertools
from collections.abc import Iterator

from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Return pairs of texts, or of a text and the picture's edge, that share room."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = [text for text in _texts(figure) if text.get_visible() and text.get_text().strip()]
    texts = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in drawn]
    pairs = [
        (first, second)
        for (first, one), (second, other) in itertools.combinations(texts, 2)
        if _share(one, other)
    ]
    edge = figure.bbox
    room = Bbox.from_extents(edge.x0 - 1, edge.y0 - 1, edge.x1 + 1, edge.y1 + 1)
    return pairs + [
        (text, "edge")
        for text, box in texts
        if not (room.contains(box.x0, box.y0) and room.contains(box.x1, box.y1))
    ]


def _texts(figure: Figure) -> Iterator[Text]:
    """Yield all texts; of ticks only those that are within the range of their axis."""
    every = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    of_ticks = {id(text) for axis in every for text in _of_ticks(axis)}
    yield from (text for text in figure.findobj(Text) if id(text) not in of_ticks)
    for axis in every:
        low, high = sorted(axis.get_view_interval())
        # Where labels are hidden, as between panels that share an axis, there are none.
        labels = axis.get_majorticklabels()
        for place, label in zip(axis.get_majorticklocs(), labels, strict=False):
            if axis.axes.axison and low <= place <= high:
                yield label


def _of_ticks(axis: Axis) -> Iterator[Text]:
    for tick in (*axis.majorTicks, *axis.minorTicks):
        yield from (tick.label1, tick.label2)


def _share(one: Bbox, other: Bbox) -> bool:
    """Tell whether boxes share more than a pixel."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return bool(width > 1 and height > 1)
