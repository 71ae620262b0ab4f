"""Validation and test of a fold as halves, of kinds that are rare and of others."""

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from study.config.schema import SplitSettings
from study.data.assembly import build_samples
from study.data.samples import Samples
from study.data.splits import make_splits
from study.errors import RequestError
from study.randomness import stream_seed


def of_kinds(normal: tuple[int, ...], abnormal: tuple[int, ...]) -> Samples:
    """Samples of several normal and abnormal kinds, by their numbers."""
    counts = [*((0, n) for n in normal), *((1, n) for n in abnormal)]
    label = np.repeat([value for value, _ in counts], [count for _, count in counts])
    kind = np.repeat([f"k{i}" for i in range(len(counts))], [count for _, count in counts])
    return build_samples(np.zeros((len(label), 32)), label, kind, kind)


@pytest.mark.parametrize("protocol", ["paper", "kfold"])
@pytest.mark.parametrize(
    ("normal", "abnormal"),
    [
        ((160,), (39, 1)),  # one kind with a single sample,
        ((160,), (1, 1)),  # two of them alone,
        ((160,), (10, 1, 1, 1)),  # three beside another,
        ((150, 10), (40,)),  # and a normal one that training leaves little of
    ],
)
@pytest.mark.parametrize("seed", range(8))
def test_a_rare_kind_is_halved_with_others_of_its_label(
    protocol: str, normal: tuple[int, ...], abnormal: tuple[int, ...], seed: int
) -> None:
    samples = of_kinds(normal, abnormal)
    splits = make_splits(samples, SplitSettings(protocol=protocol, folds=5), seed)
    for fold in splits.folds:
        tested, validated = (samples.label[each].sum() for each in (fold.test, fold.validation))
        assert tested + validated == sum(abnormal)
        assert abs(int(tested) - int(validated)) <= 1
        counts = [
            [(samples.kind[part] == kind).sum() for part in (fold.validation, fold.test)]
            for kind in np.unique(samples.kind[samples.label == 1])
        ]
        assert max(abs(int(one) - int(other)) for one, other in counts) <= 2


@pytest.mark.parametrize(
    ("abnormal", "drawn_as"),
    [
        ((6, 9), "k1 k2"),
        ((3, 9, 1), "k1 k2 k2"),  # with the most frequent kind
        ((2, 2, 9), "k1 k2 k3"),  # two samples can be halved
        ((1, 4, 1), "k1 k2 k1"),
    ],
)
def test_folds_are_drawn_by_the_names_of_kinds_those_of_rare_ones_taken_together(
    abnormal: tuple[int, ...], drawn_as: str
) -> None:
    samples = of_kinds((100,), abnormal)
    random = np.random.default_rng(stream_seed(stream_seed(3, "splits"), "kfold"))
    random.permutation(100)
    _, tested = train_test_split(
        np.arange(100, len(samples)),
        test_size=0.5,
        stratify=np.repeat(drawn_as.split(), abnormal),
        random_state=int(random.integers(2**32)),
    )
    fold = make_splits(samples, SplitSettings(protocol="kfold", folds=2), 3).folds[0]
    assert sorted(tested) == fold.test[samples.label[fold.test] == 1].tolist()


def test_a_single_abnormal_sample_cannot_be_halved() -> None:
    with pytest.raises(RequestError, match="fewer than two samples of one label"):
        make_splits(of_kinds((100,), (1,)), SplitSettings(protocol="paper", folds=2), 0)
