"""A training step: this project's beta-VAEGAN against its plain form.

`python -m benchmarks.training_step [--threads 1 2] [--quick]` prints a line per
measurement, on a CPU. The plain form is that of `tests.models.plain`: PyTorch's own
convolutions, and a generator that runs anew for every update.
"""

import argparse
import contextlib
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.measurement import Measurement, interleaved
from models import implementation
from models.beta_vaegan.settings import BetaVAEGANSettings
from models.interface import Seeds, Shape
from models.networks.architecture import HEAD_CHANNELS, REDUCTION, widths
from models.settings import TrainingSettings
from tests.models.plain import PlainBetaVAEGAN, in_plain_layout

SHAPE = Shape(channels=1, length=160)
SETTINGS = BetaVAEGANSettings(latent_size=6)
BATCH = 256
UPDATES = 3
PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
# Rows, inner size and columns of products as large as those of a training step.
PRODUCTS = ((2560, 1024, 512), (4096, 1024, 1024), (2560, 2048, 512))


@contextlib.contextmanager
def threads_set(threads: int) -> Iterator[None]:
    """Let PyTorch use that many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def step_operations(form: Literal["ours", "plain"]) -> float:
    """Return the operations of one training step, a multiplication and an addition as two.

    Those of convolutions and linear layers. A gradient by the input and one by the weight
    take as many as the layer itself; nothing takes the gradient by x. The plain form runs
    the generator before every update, and gives the discriminator's weights a gradient of
    the generator's loss.
    """
    times, channels = SHAPE.length // REDUCTION, widths(SETTINGS.width)
    halvings = [
        SHAPE.length // 2 ** (i + 1) * 4 * narrow * wide
        for i, (narrow, wide) in enumerate(pairwise((SHAPE.channels, *channels)))
    ]
    first, trunk = halvings[0], sum(halvings)
    latent = SETTINGS.latent_size
    head = times * HEAD_CHANNELS * (channels[-1] + latent)
    decoder = trunk + latent * times * channels[-1]
    generator = trunk + 2 * head + decoder
    discriminator = trunk + times * channels[-1]
    updates = 2 * UPDATES * (3 * discriminator - first)
    adversarial = 2 * trunk  # f(x) and f(x̂)
    if form == "ours":
        runs, adversarial = 1, adversarial + trunk
    else:
        runs, adversarial = UPDATES + 1, adversarial + 2 * trunk
    generated = (runs + 2) * generator - first
    multiplications: int = BATCH * (generated + updates + adversarial)
    return 2.0 * multiplications


def peak(threads: int, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """Return the most operations per second that a matrix product reaches here.

    Of PyTorch's product and, in float32, the same as a convolution of kernel 1, which
    goes to another library.

    Args:
        threads: threads it may use.
        dtype: of the matrices.
        seconds: how long each kind and size is tried.
    """
    best = 0.0
    with threads_set(threads), torch.inference_mode():
        for rows, inner, columns in PRODUCTS:
            first = torch.randn(rows, inner).to(dtype)
            second = torch.randn(columns, inner).to(dtype)
            for multiply in _products(first, second):
                shortest, end = float("inf"), time.perf_counter() + seconds
                while time.perf_counter() < end:
                    start = time.perf_counter()
                    multiply()
                    shortest = min(shortest, time.perf_counter() - start)
                best = max(best, 2.0 * rows * inner * columns / shortest)
    return best


def _products(first: Tensor, second: Tensor) -> list[Callable[[], Tensor]]:
    image = first.view(16, 1, -1, first.shape[1]).permute(0, 3, 1, 2)
    kernel = second[:, :, None, None]
    products: list[Callable[[], Tensor]] = [lambda: first @ second.t()]
    if first.dtype == torch.float32:
        products.append(lambda: functional.conv2d(image, kernel))
    return products


def our_model(precision: Literal["float32", "bfloat16"]) -> Any:
    """Return an untrained model with the paper's settings."""
    training = TrainingSettings(
        batch_size=BATCH, discriminator_updates=UPDATES, precision=precision
    )
    seeds = Seeds(weights=0, batches=1, noise=2, augmentation=3)
    model: Any = implementation("beta_vaegan")(
        SETTINGS, training, SHAPE, seeds, torch.device("cpu")
    )
    model.networks.train()
    return model


def plain_model(model: Any) -> PlainBetaVAEGAN:
    """Return the plain form of `model`, with the same weights and settings."""
    plain = PlainBetaVAEGAN(SETTINGS, model.training, SHAPE.channels, SHAPE.length)
    plain.networks.load_state_dict(in_plain_layout(model.weights()))
    plain.networks.train()
    return plain


def beats(count: int, seed: int = 0) -> Tensor:
    """Return noisy waves in [0, 1], `(count, channels, length)`."""
    generator = torch.Generator().manual_seed(seed)
    shape = (count, SHAPE.channels, SHAPE.length)
    phase = torch.rand((count, SHAPE.channels, 1), generator=generator)
    wave = torch.sin(2 * torch.pi * (torch.linspace(0, 1, SHAPE.length) + phase))
    return 0.5 + 0.4 * wave + 0.1 * torch.rand(shape, generator=generator) - 0.05


def training_step(threads: int, repeats: int = 7) -> list[Measurement]:
    """Measure a step in both precisions, each against the plain float32 step.

    A step's floor is its operations at this machine's peak in its precision. The peak
    is taken before and after, and the higher is used.

    Args:
        threads: threads that all may use.
        repeats: timed steps of each.
    """
    x = beats(BATCH)
    models = {precision: our_model(precision) for precision in PRECISIONS}
    plain = plain_model(models["float32"])
    autocast = plain_model(models["bfloat16"])

    def draw() -> Tensor:
        return torch.randn(BATCH, SETTINGS.latent_size)

    tries = 0.5 if repeats > 1 else 0.02
    before = {precision: peak(threads, getattr(torch, precision), tries) for precision in models}
    with threads_set(threads):
        seconds = interleaved(
            {
                "plain": lambda: plain.training_step(x, draw),
                "plain under autocast": lambda: autocast.training_step(x, draw),
                "float32": lambda: models["float32"].training_step(x),
                "bfloat16": lambda: models["bfloat16"].training_step(x),
            },
            repeats,
        )
    measured = []
    for precision in PRECISIONS:
        reached = max(before[precision], peak(threads, getattr(torch, precision), tries))
        operations = step_operations("ours")
        measured.append(
            Measurement(
                name=f"training step, {precision}, batch {BATCH}, length {SHAPE.length}, "
                f"{UPDATES} discriminator updates",
                seconds=seconds[precision],
                threads=threads,
                reference="plain PyTorch step, float32",
                reference_seconds=seconds["plain"],
                floor_seconds=operations / reached,
                floor="the step's operations at the peak of a matrix product",
                note=f"{operations / 1e9:.0f} GFLOP, plain {step_operations('plain') / 1e9:.0f}; "
                f"peak {reached / 1e9:.0f} GFLOP/s; "
                f"plain step under autocast {seconds['plain under autocast']:.3f} s",
            )
        )
    return measured


def measure(threads: int, quick: bool) -> list[Measurement]:
    """Measure all; `quick` only sees that everything runs."""
    if quick:
        return training_step(threads, repeats=1)
    return training_step(threads)


def main() -> None:
    """Print the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="threads to use")
    parser.add_argument("--quick", action="store_true", help="few repeats")
    options = parser.parse_args()
    for threads in options.threads:
        for row in measure(threads, options.quick):
            against = f"{row.ratio:.1f} times {row.reference}; " if row.reference else ""
            floor = f"floor {row.floor_seconds:.5f} s, {row.floor}; " if row.floor else ""
            print(f"{row.name}, threads {threads}: {row.seconds:.5f} s; {against}{floor}{row.note}")


if __name__ == "__main__":
    main()
