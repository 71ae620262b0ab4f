"""The best trials of searches: tables and pictures."""

import numpy as np

from benchmarks.incumbents import Incumbent, best_at, draw, seconds_until, table


def test_the_table_says_when_random_searchs_end_was_reached() -> None:
    random = [Incumbent(10, 1, 0.9, 0.8), Incumbent(50, 4, 0.95, 0.85)]
    quick = [Incumbent(20, 1, 0.94, 0.8), Incumbent(30, 2, 0.96, 0.9)]
    assert seconds_until(quick, random[-1].validation) == 30
    assert seconds_until(random[:1], 0.95) is None
    lines = table({0: {"study": quick, "random": random}}).splitlines()
    assert lines[2:] == ["| study | 0.9600 | 0.9000 | 30 |", "| random | 0.9500 | 0.8500 | 50 |"]
    assert table({0: {"study": quick}}).splitlines()[2] == "| study | 0.9600 | 0.9000 | - |"


def test_of_many_seeds_the_table_has_the_median() -> None:
    random, never = [Incumbent(50, 4, 0.95, 0.85)], [Incumbent(10, 1, 0.9, 0.85)]
    results = {
        seed: {"study": [Incumbent(10.0 * seed, 1, 0.96, 0.9)] if seed < 5 else never,
               "random": random}
        for seed in range(7)
    }  # fmt: skip
    assert table(results).splitlines()[2].endswith("| median 30, reached with 5 of 7 seeds |")


def test_the_picture_has_means_from_where_all_seeds_have_a_trial() -> None:
    quick = [Incumbent(100, 1, 0.8, 0.7), Incumbent(300, 5, 0.9, 0.85)]
    slow = [Incumbent(200, 2, 0.7, 0.6)]
    at = np.array([0.0, 100.0, 299.0, 300.0, 400.0])
    np.testing.assert_array_equal(best_at(quick, "test", at), [np.nan, 0.7, 0.7, 0.85, 0.85])
    figure = draw({0: {"study": quick}, 1: {"study": slow}}, 600)
    for axes, before, after in zip(figure.axes, (0.75, 0.65), (0.8, 0.725), strict=True):
        (line,) = axes.lines
        where, values = line.get_data()
        expected = np.where(where < 200, np.nan, np.where(where < 300, before, after))
        np.testing.assert_allclose(values, expected)
