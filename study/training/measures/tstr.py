"""Train on synthetic, test on real (Esteban et al. 2017; section IV.A, appendix D).

A classifier that learned to separate normal from abnormal on reconstructions is tested on
real samples. As the paper says, this measures less how alike the two are than whether
the classes stay separable in the same way.

There are two definitions. `all` reconstructs every sample that a classifier learns from.
`normals` is that of the paper's reference code, and of its numbers: normals alone are
reconstructed, abnormal samples stay real, and classes are balanced. Its classifier learns
the abnormal class from what it is tested with the likes of, and has the higher F1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from study.randomness import stream_seed
from study.scores.metrics import predicted_f1

WIDTHS = (16, 32, 64)
KERNEL = 7
POSITIONS = 4
"""Points of time that the last layer distinguishes; heartbeats and wafers begin alike."""

UPDATES = 600
"""Updates of every classifier, so that its cost does not grow with the samples."""

SMALLEST_BATCH, LARGEST_BATCH = 32, 128
PEAK_LEARNING_RATE = 0.005
_CLASSIFIED_AT_ONCE = 1024

Index = npt.NDArray[np.int64]
Definition = Literal["all", "normals"]
DEFINITIONS: tuple[Definition, ...] = get_args(Definition)


@dataclass(frozen=True)
class Tstr:
    """Two classifiers, tested on the same real samples that neither has seen.

    Attributes:
        synthetic_f1: weighted F1 of the one trained on reconstructions ("TSTR"), in [0, 1].
        real_f1: weighted F1 of the one trained on real samples, in [0, 1].
    """

    synthetic_f1: float
    real_f1: float

    @property
    def normalised(self) -> float:
        """TSTR_N, `synthetic_f1` over `real_f1`; nan if the latter is 0."""
        return self.synthetic_f1 / self.real_f1 if self.real_f1 else float("nan")


def measure_tstr(
    real: Tensor,
    synthetic: Tensor,
    label: npt.NDArray[np.int8],
    seed: int,
    definition: Definition = "all",
) -> Tstr:
    """Measure TSTR and what normalises it.

    Both classifiers train on the first of two halves, one on its reconstructions and one on
    its real samples, from the same weights and in the same order, and are tested on the
    real samples of the second (decision 8). The global random state stays as it was.
    On a CPU, one seed gives one result at one number of threads.

    By `normals` the reconstructions of abnormal samples are replaced by these samples, and of
    each half's larger class as many are left out as the smaller one lacks. The reference code
    tests on abnormal samples that it has trained on as well; here no half shares any.

    Args:
        real: `(n, channels, length)` float32 of about [0, 1], all validation samples.
        synthetic: its reconstructions, same shape, order and device.
        label: `(n,)` 0 normal, 1 abnormal.
        seed: draws the halves, the weights and the batches; every measurement has its own.
        definition: which of the two.

    Raises:
        ValueError: shapes that differ, values that are not finite, labels other than 0 and 1,
            or a class of fewer than two samples.
    """
    _require_measurable(real, synthetic, label)
    training, testing = draw_halves(label, stream_seed(seed, "halves"))
    if definition == "normals":
        is_abnormal = torch.from_numpy(label == 1).to(real.device)
        synthetic = torch.where(is_abnormal[:, None, None], real, synthetic)
        random = np.random.default_rng(stream_seed(seed, "balance"))
        training, testing = (_balanced(half, label, random) for half in (training, testing))
    learned, asked = (torch.from_numpy(half).to(real.device) for half in (training, testing))
    target = torch.from_numpy(label[training].astype(np.int64)).to(real.device)

    def tested_f1(samples: Tensor) -> float:
        classifier = _train(samples[learned], target, seed)
        return predicted_f1(label[testing], _classify(classifier, real[asked]))

    return Tstr(synthetic_f1=tested_f1(synthetic), real_f1=tested_f1(real))


def draw_halves(label: npt.NDArray[np.int8], seed: int) -> tuple[Index, Index]:
    """Draw two disjoint halves of all samples, stratified by label.

    Of a class with an odd count the first half has one more.

    Args:
        label: `(n,)` 0 or 1.
        seed: another one draws other halves.

    Returns:
        Sample indices of each half, sorted.
    """
    random = np.random.default_rng(seed)
    halves = [
        np.array_split(random.permutation(np.flatnonzero(label == kind)), 2) for kind in (0, 1)
    ]
    first, second = (np.sort(np.concatenate(half)) for half in zip(*halves, strict=True))
    return first, second


def _balanced(half: Index, label: npt.NDArray[np.int8], random: np.random.Generator) -> Index:
    """Return as many samples of either class, sorted: all of the smaller, some of the larger."""
    classes = [random.permutation(half[label[half] == kind]) for kind in (0, 1)]
    size = min(len(members) for members in classes)
    return np.sort(np.concatenate([members[:size] for members in classes]))


def _require_measurable(real: Tensor, synthetic: Tensor, label: npt.NDArray[np.int8]) -> None:
    if real.ndim != 3 or real.shape != synthetic.shape or label.shape != real.shape[:1]:
        raise ValueError(
            "real and synthetic must both be (n, channels, length) and label (n,), have"
            f" {tuple(real.shape)}, {tuple(synthetic.shape)} and {label.shape}"
        )
    if not (real.isfinite().all() and synthetic.isfinite().all()):
        raise ValueError("real and synthetic must be finite, found values that are not")
    if not np.isin(label, (0, 1)).all():
        raise ValueError("labels must be 0 or 1")
    abnormal = int(np.count_nonzero(label))
    if min(abnormal, len(label) - abnormal) < 2:
        raise ValueError(
            f"TSTR needs two samples of each class, found {len(label) - abnormal} normal and"
            f" {abnormal} abnormal"
        )


def _train(samples: Tensor, target: Tensor, seed: int) -> nn.Module:
    """Return a classifier after `UPDATES` updates of Adam, its step size rising and falling."""
    classifier = _build_classifier(samples.shape[1], seed).to(samples.device).train()
    optimizer = torch.optim.Adam(classifier.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LEARNING_RATE, total_steps=UPDATES
    )
    for members in _batches(len(samples), seed):
        chosen = members.to(samples.device)
        loss = functional.cross_entropy(classifier(samples[chosen]), target[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return classifier.eval()


def _build_classifier(channels: int, seed: int) -> nn.Module:
    """Return the untrained CNN.

    It has no batch norm: its statistics would be those of reconstructions, which are
    smoother than what they reconstruct, and real samples would then be separated by
    that alone. With it TSTR stays near 0.5 on Wafer for models whose reconstructions
    otherwise lose next to nothing.
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the GPUs too, which nobody puts back.
        torch.default_generator.manual_seed(stream_seed(seed, "weights"))
        layers: list[nn.Module] = []
        for width in WIDTHS:
            layers += [
                nn.Conv1d(channels, width, KERNEL, stride=2, padding=KERNEL // 2),
                nn.ReLU(inplace=True),
            ]
            channels = width
        last = nn.Linear(channels * POSITIONS, 2)
        return nn.Sequential(*layers, nn.AdaptiveMaxPool1d(POSITIONS), nn.Flatten(), last)


def _batches(count: int, seed: int) -> Iterator[Tensor]:
    """Yield the members of each batch: one order of all samples after the other, cut evenly."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "batches"))
    size = max(SMALLEST_BATCH, min(LARGEST_BATCH, count // 16))
    orders = [
        torch.randperm(count, generator=generator) for _ in range(-(-UPDATES * size // count))
    ]
    yield from torch.split(torch.cat(orders)[: UPDATES * size], size)


@torch.no_grad()
def _classify(classifier: nn.Module, samples: Tensor) -> npt.NDArray[np.int64]:
    """Return 1 for every sample that is called abnormal, `(n,)`."""
    parts = [classifier(part).argmax(dim=1) for part in torch.split(samples, _CLASSIFIED_AT_ONCE)]
    called: npt.NDArray[np.int64] = torch.cat(parts).cpu().numpy()
    return called
