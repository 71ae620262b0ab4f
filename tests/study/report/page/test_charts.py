import re

import numpy as np

from study.report.page import charts


def drawn() -> str:
    with charts.page_style():
        figure, axes = charts.panel("time <s>", "0.12345 of it")
        axes.plot([0.0, 1.0], [0.00123456, 0.00234567], color=charts.ACCENT, label="a & b")
        axes.set_yticks([0.0015, 0.002])
        charts.legend(axes)
        return str(charts.picture(figure, 'a "picture"').svg)


def test_colours_are_the_pages_and_letters_too() -> None:
    svg = drawn()
    assert "var(--accent)" in svg
    assert "var(--muted)" in svg
    assert not re.search(r"#0[1-5]0[1-5]0[1-5]", svg)
    assert "DejaVu" not in svg


def test_what_is_written_is_kept_and_only_places_are_rounded() -> None:
    svg = drawn()
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    assert {"0.12345 of it", "time &lt;s&gt;", "a &amp; b", "0.0015", "0.0020"} <= set(texts)
    places = re.findall(r'd="([^"]*)"', svg)
    assert not re.search(r"\.\d{3}", " ".join(places))


def test_it_says_what_it_is_to_who_cannot_see_it() -> None:
    assert 'role="img" aria-label="a &#34;picture&#34;"' in drawn()
    assert drawn() == drawn()


def test_few_are_all_shown_and_many_evenly_with_both_ends() -> None:
    np.testing.assert_array_equal(charts.thinned(4, 5), [0, 1, 2, 3])
    kept = charts.thinned(1001, 11)
    np.testing.assert_array_equal(kept, np.arange(0, 1001, 100))
