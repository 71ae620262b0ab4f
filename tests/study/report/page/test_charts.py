import html
import json
import re

import numpy as np

from study.report.page import charts
from study.report.page.inputs import thinned
from study.report.page.parts import Picture


def picture() -> Picture:
    with charts.page_style():
        figure, axes = charts.panel("time <s>", "0.12345 of it")
        axes.plot([0.0, 1.0], [0.00123456, 0.00234567], color=charts.ACCENT, label="a & b")
        axes.scatter([0.5], [0.0015], facecolor=charts.PAPER, edgecolor=charts.INK, label="dots")
        axes.hist([0.1, 0.2], [0, 1], color=charts.MUTED, alpha=0.5, label="bars")
        axes.plot([], [], "--", color=charts.INK, label="dashes")
        axes.set_ylim(0.00123, 0.00246)
        return charts.picture(figure, 'a "picture"')


def drawn() -> str:
    return str(picture().svg)


def test_colours_are_the_pages_and_letters_too() -> None:
    svg = drawn()
    assert "var(--accent)" in svg
    assert "var(--muted)" in svg
    assert not re.search(r"#0[1-5]0[1-5]0[1-5]", svg)
    assert "DejaVu" not in svg


def test_what_is_written_is_kept_and_only_places_are_rounded() -> None:
    svg = drawn()
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"0.12345 of it", "time &lt;s&gt;", "0.0014", "0.0020"} <= set(texts)
    places = re.findall(r'd="([^"]*)"', svg)
    assert not re.search(r"\.\d{3}", " ".join(places))


def test_it_says_what_it_is_to_who_cannot_see_it() -> None:
    assert 'role="img" aria-label="a &#34;picture&#34;"' in drawn()
    assert drawn() == drawn()


def test_a_legend_stands_beside_the_picture_in_the_pages_colours() -> None:
    keys = {key.label: str(key.svg) for key in picture().legend}
    assert "a & b" not in drawn()
    assert 'stroke="var(--accent)"' in keys["a & b"]
    assert 'stroke-dasharray="none"' in keys["a & b"]
    assert 'fill="var(--paper)" stroke="var(--ink)"' in keys["dots"]
    assert 'fill="var(--muted)" fill-opacity="0.5"' in keys["bars"]
    assert 'stroke-dasharray="5 2.5"' in keys["dashes"]


def test_scales_say_where_values_are() -> None:
    """The line's ends, as they are drawn, are where the scales put their values."""
    svg = drawn()
    scales = {
        name: json.loads(html.unescape(text))
        for name, text in re.findall(r' data-(\w)="(.*?)"', svg)
    }
    assert scales["x"]["label"] == "time <s>"
    line = next(path for path in re.findall(r'<path d="([^"]*)"[^>]*stroke: var\(--accent\)', svg))
    ends = np.array(re.findall(r"[\d.]+", line), dtype=float).reshape(-1, 2)
    for axis, name, values in ((0, "x", [0.0, 1.0]), (1, "y", [0.00123456, 0.00234567])):
        low, high = scales[name]["values"]
        from_, to = scales[name]["at"]
        expected = [from_ + (value - low) / (high - low) * (to - from_) for value in values]
        np.testing.assert_allclose(ends[:, axis], expected, atol=0.1)


def test_few_are_all_shown_and_many_evenly_with_both_ends() -> None:
    np.testing.assert_array_equal(thinned(4, 5), [0, 1, 2, 3])
    kept = thinned(1001, 11)
    np.testing.assert_array_equal(kept, np.arange(0, 1001, 100))
