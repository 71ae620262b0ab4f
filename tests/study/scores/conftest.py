import numpy as np
import numpy.typing as npt
import pytest

from study.scores.components import FoldErrors, SplitErrors


def random_split(rng: np.random.Generator, normal: int, abnormal: int) -> SplitErrors:
    """Errors of which each separates the classes somewhat, on scales far apart."""
    label = rng.permutation(np.repeat([0, 1], [normal, abnormal])).astype(np.int8)
    n = len(label)
    return SplitErrors(
        label,
        {
            "reconstruction_error": (rng.gamma(2.0, 0.01, n) + 0.02 * label).astype(np.float32),
            "discrimination_error": (rng.gamma(3.0, 5.0, n) + 12.0 * label).astype(np.float32),
            "latent_norm": (rng.chisquare(6, n) ** 0.5 + label).astype(np.float32),
            "outlier_score": rng.normal(0.0, 1.0, n) - 3.0 + label,
        },
    )


def random_fold(seed: int = 0) -> FoldErrors:
    rng = np.random.default_rng(seed)
    return FoldErrors(
        training=random_split(rng, 200, 0),
        validation=random_split(rng, 120, 60),
        test=random_split(rng, 110, 70),
        latent_size=6,
    )


def with_label(split: SplitErrors, label: npt.ArrayLike) -> SplitErrors:
    return SplitErrors(np.asarray(label, np.int8), split.values)


@pytest.fixture
def fold() -> FoldErrors:
    return random_fold()
