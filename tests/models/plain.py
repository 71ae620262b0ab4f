"""The networks and the training step of beta-VAEGAN as the paper describes them, plainly.

Layers are PyTorch's own, samples come first, `(batch, channels, length)`, every update
computes all that it needs anew, and the optimiser is that of AdaBelief's authors. It
shares nothing with `models` but the settings: tests compare with it, and benchmarks
hold times against it.
"""

import contextlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import cast

import torch
from adabelief_pytorch import AdaBelief
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import cached
from torch.optim import Optimizer

from models.beta_vaegan.settings import BetaVAEGANSettings
from models.settings import OptimizerSettings, TrainingSettings


def channels_after(width: int) -> list[int]:
    """Channels after each convolution, of which the first has `width`."""
    return [width, 2 * width, 4 * width, 8 * width, 16 * width]


def halving(channels_in: int, channels_out: int) -> nn.Conv1d:
    return nn.Conv1d(channels_in, channels_out, 4, stride=2, padding=1, bias=False)


def doubling(channels_in: int, channels_out: int) -> nn.ConvTranspose1d:
    return nn.ConvTranspose1d(channels_in, channels_out, 4, stride=2, padding=1, bias=False)


class PlainTrunk(nn.Module):
    """Five convolutions; batch norm, or spectral norm on the weights, from the second on."""

    def __init__(self, channels: int, width: int, *, spectral: bool) -> None:
        super().__init__()
        wider = channels_after(width)
        layers: list[nn.Module] = [halving(a, b) for a, b in pairwise((channels, *wider))]
        if spectral:
            layers = [layers[0], *(spectral_norm(layer) for layer in layers[1:])]
        self.convolutions = nn.ModuleList(layers)
        self.norms = nn.ModuleList(
            nn.Identity() if spectral else nn.BatchNorm1d(each) for each in wider[1:]
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(batch, channels, length)` to `(batch, 16 * width, length / 32)`."""
        h = functional.leaky_relu(self.convolutions[0](x), 0.2)
        for convolution, norm in zip(self.convolutions[1:], self.norms, strict=True):
            h = functional.leaky_relu(norm(convolution(h)), 0.2)
        return h


class PlainEncoder(nn.Module):
    def __init__(self, channels: int, length: int, latent_size: int, width: int) -> None:
        super().__init__()
        self.trunk = PlainTrunk(channels, width, spectral=False)
        self.head = nn.Conv1d(16 * width, latent_size, length // 32, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        z: Tensor = self.head(self.trunk(x)).squeeze(2)
        return z


class PlainHead(nn.Module):
    """1 x 1 convolution to 16 channels, batch norm, leaky ReLU, flatten, linear."""

    def __init__(self, channels: int, length: int, latent_size: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(channels, 16, 1, bias=False)
        self.norm = nn.BatchNorm1d(16)
        self.linear = nn.Linear(16 * length, latent_size)

    def forward(self, h: Tensor) -> Tensor:
        active = functional.leaky_relu(self.norm(self.mix(h)), 0.2)
        result: Tensor = self.linear(active.flatten(1))
        return result


class PlainGaussianEncoder(nn.Module):
    def __init__(self, channels: int, length: int, latent_size: int, width: int) -> None:
        super().__init__()
        self.trunk = PlainTrunk(channels, width, spectral=False)
        self.mean = PlainHead(16 * width, length // 32, latent_size)
        self.log_variance = PlainHead(16 * width, length // 32, latent_size)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.trunk(x)
        return self.mean(h), self.log_variance(h)


class PlainDecoder(nn.Module):
    def __init__(self, channels: int, length: int, latent_size: int, width: int) -> None:
        super().__init__()
        self.expand = nn.ConvTranspose1d(latent_size, 16 * width, length // 32, bias=False)
        narrower = channels_after(width)[::-1]
        self.norms = nn.ModuleList(map(nn.BatchNorm1d, narrower))
        self.doublings = nn.ModuleList(doubling(a, b) for a, b in pairwise((*narrower, channels)))

    def forward(self, z: Tensor) -> Tensor:
        """Return x̂ before its sigmoid."""
        h: Tensor = self.expand(z[:, :, None])
        for norm, layer in zip(self.norms, self.doublings, strict=True):
            h = layer(functional.relu(norm(h)))
        return h


class PlainDiscriminator(nn.Module):
    def __init__(self, channels: int, length: int, width: int, *, spectral: bool) -> None:
        super().__init__()
        self.trunk = PlainTrunk(channels, width, spectral=spectral)
        self.head = nn.Conv1d(16 * width, 1, length // 32, bias=False)

    def features(self, x: Tensor) -> Tensor:
        features: Tensor = self.trunk(x)
        return features

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x))
        return logits[:, 0, 0]


# --- Weights from one layout to the other -------------------------------------------------


def taps_last(value: Tensor) -> Tensor:
    """`(a, 4, b)` as `(a, b, 4)`."""
    return value.transpose(1, 2)


def times_last(value: Tensor) -> Tensor:
    """`(length, in, out)` as `(out, in, length)`."""
    return value.permute(2, 1, 0)


def expanding(value: Tensor) -> Tensor:
    """`(length, in, out)` as `(in, out, length)`."""
    return value.permute(1, 2, 0)


def taps_fastest(value: Tensor) -> Tensor:
    """The right singular vector of `(out, 4 * in)` as that of `(out, in * 4)`."""
    return value.view(4, -1).t().flatten()


def unchanged(value: Tensor) -> Tensor:
    return value


def following(match: re.Match[str]) -> str:
    return f"trunk.convolutions.{int(match[1]) + 1}.{match[2]}"


# A name in `models.networks`, the name here, and the weight's layout here.
LAYOUTS: list[tuple[str, str | Callable[[re.Match[str]], str], Callable[[Tensor], Tensor]]] = [
    (r"trunk\.first\.weight$", "trunk.convolutions.0.weight", taps_last),
    (r"trunk\.halvings\.(\d)\.(weight)$", following, taps_last),
    (r"trunk\.halvings\.(\d)\.(parametrizations\.weight\.original)$", following, taps_last),
    (r"trunk\.halvings\.(\d)\.(parametrizations\.weight\.0\._u)$", following, unchanged),
    (r"trunk\.halvings\.(\d)\.(parametrizations\.weight\.0\._v)$", following, taps_fastest),
    (r"head\.weight$", "head.weight", times_last),
    (r"mix\.weight$", "mix.weight", lambda value: value[:, :, None]),
    (r"linear\.(weight|bias)$", r"linear.\1", unchanged),
    (r"expand\.weight$", "expand.weight", expanding),
    (r"doublings\.(\d)\.weight$", r"doublings.\1.weight", taps_last),
    (r"(norms\.\d|norm)\.(\w+)$", r"\1.\2", unchanged),
]


def in_plain_layout(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of `models.networks`, or their gradients, as this file has them."""
    plain: dict[str, Tensor] = {}
    for name, value in values.items():
        for pattern, replacement, layout in LAYOUTS:
            if re.search(pattern, name):
                plain[re.sub(pattern, replacement, name)] = layout(value).contiguous()
                break
        else:
            raise KeyError(name)
    return plain


def copy_weights(network: nn.Module, plain: nn.Module) -> None:
    """Carry all weights, statistics and spectral vectors of a network over to a plain one."""
    values = {name: value.detach().clone() for name, value in network.state_dict().items()}
    plain.load_state_dict(in_plain_layout(values))


# --- Training ----------------------------------------------------------------------------


def plain_adabelief(parameters: list[nn.Parameter], settings: OptimizerSettings) -> Optimizer:
    """Return the authors' optimiser, which prints what it is set to."""
    with contextlib.redirect_stdout(io.StringIO()):
        return cast(
            Optimizer,
            AdaBelief(
                parameters,
                lr=settings.learning_rate,
                betas=settings.betas,
                eps=settings.epsilon,
                rectify=settings.rectify,
                print_change_log=False,
            ),
        )


class PlainBetaVAEGAN:
    """beta-VAEGAN of equations 2 to 4 with the paper's three steps on every batch.

    Args:
        settings: latent size, nu and beta; output and reconstruction loss are the paper's.
        training: updates, optimiser; with `bfloat16` networks run under autocast.
        channels: of a sample.
        length: of a sample.
    """

    def __init__(
        self,
        settings: BetaVAEGANSettings,
        training: TrainingSettings,
        channels: int,
        length: int,
    ) -> None:
        self.settings = settings
        self.training = training
        width = settings.width
        self.networks = nn.ModuleDict(
            {
                "encoder": PlainGaussianEncoder(channels, length, settings.latent_size, width),
                "decoder": PlainDecoder(channels, length, settings.latent_size, width),
                "discriminator": PlainDiscriminator(
                    channels, length, width, spectral=settings.spectral_norm
                ),
            }
        )
        generator = [*self.networks["encoder"].parameters(), *self.networks["decoder"].parameters()]
        self.generator = plain_adabelief(generator, training.optimizer)
        self.discriminator = plain_adabelief(
            list(self.networks["discriminator"].parameters()), training.optimizer
        )

    @contextlib.contextmanager
    def _networks_run(self) -> Iterator[None]:
        """The precision of the settings; one power iteration for all calls within."""
        half = self.training.precision == "bfloat16"
        with torch.autocast("cpu", torch.bfloat16, enabled=half), cached():
            yield

    def generate(self, x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return x̂ before its sigmoid, and the posterior's mean and log variance."""
        with self._networks_run():
            mean, log_variance = self.networks["encoder"](x)
            z = mean.float() + noise * (log_variance.float() / 2).exp()
            logits = self.networks["decoder"](z)
        return logits.float(), mean.float(), log_variance.float()

    def training_step(self, x: Tensor, draw: Callable[[], Tensor]) -> dict[str, float]:
        """Train on one batch, and return the losses by the names that `models` uses.

        Args:
            x: `(batch, channels, length)`.
            draw: gives the noise of the posterior, `(batch, latent)`, for every run of
                the generator.
        """
        for _ in range(self.training.discriminator_updates):
            discriminator_loss = self.update_discriminator(x, draw())
        losses = self.update_generator(x, draw())
        return losses | {"discriminator_loss": discriminator_loss}

    def update_discriminator(self, x: Tensor, noise: Tensor) -> float:
        """Equation 3, one step."""
        logits, _, _ = self.generate(x, noise)
        with self._networks_run():
            real = self.networks["discriminator"](x)
            fake = self.networks["discriminator"](logits.sigmoid().detach())
        loss = functional.softplus(-real.float()).mean() + functional.softplus(fake.float()).mean()
        self.discriminator.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.discriminator.step()
        return loss.item()

    def update_generator(self, x: Tensor, noise: Tensor) -> dict[str, float]:
        """Equation 4, one step; what the discriminator's weights get of it is not used."""
        logits, mean, log_variance = self.generate(x, noise)
        with self._networks_run():
            real = cast(PlainDiscriminator, self.networks["discriminator"]).features(x)
            fake = cast(PlainDiscriminator, self.networks["discriminator"]).features(
                logits.sigmoid()
            )
        adversarial = (fake.float() - real.float().detach()).square().mean()
        reconstruction = functional.binary_cross_entropy_with_logits(logits, x)
        divergence = (mean**2 + log_variance.exp() - log_variance - 1).sum(dim=1).mean() / 2
        loss = adversarial + self.settings.nu * reconstruction + self.settings.beta * divergence
        self.generator.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.generator.step()
        return {
            "generator_loss": loss.item(),
            "adversarial_loss": adversarial.item(),
            "reconstruction_loss": reconstruction.item(),
            "kl_divergence": divergence.item(),
        }
