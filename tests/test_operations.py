"""What a training step dispatches does not grow unnoticed."""

import pytest

from benchmarks.operations import operations_of_a_step

AT_MOST = 1293
"""Operations of a step of beta-VAEGAN in bfloat16 with three discriminator updates."""


@pytest.mark.slow
def test_a_step_dispatches_no_more_operations_than_it_did() -> None:
    assert operations_of_a_step().total() <= AT_MOST
