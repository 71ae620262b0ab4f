import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.config.schema import StoppingSettings
from study.search.rungs import rungs


@pytest.mark.parametrize(
    ("grace", "reduction", "epochs", "expected"),
    [
        (10, 3, 500, (10, 30, 90, 270)),
        (1, 2, 8, (1, 2, 4)),
        (1, 2, 9, (1, 2, 4, 8)),
        (6, 2, 12, (6,)),
        (12, 2, 12, ()),
        (40, 4, 12, ()),
    ],
)
def test_rungs_are_multiples_of_grace_below_the_last_epoch(
    grace: int, reduction: int, epochs: int, expected: tuple[int, ...]
) -> None:
    assert rungs(StoppingSettings(grace_epochs=grace, reduction=reduction), epochs) == expected


@given(st.integers(1, 10**6))
def test_without_early_stops_there_are_no_rungs(epochs: int) -> None:
    assert rungs(None, epochs) == ()
