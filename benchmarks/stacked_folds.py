"""One training step of beta-VAEGAN for several folds at once, as the benchmark of GPUs compares it.

Weights have a leading fold axis: convolutions are batched products, batch and spectral norms
are over each fold's own. The same mathematics as `models.beta_vaegan` with spectral norm, in
operations that PyTorch differentiates itself. In comments on shapes f is the number of folds,
and other letters are those of `models.networks.convolutions`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.bases.device_adabelief import DeviceAdaBelief
from models.networks.architecture import LEAKAGE

_NARROWING = range(4)


class StackedFolds:
    """The networks of equal models, one for each fold, trained together.

    Args:
        models: beta-VAEGANs of one architecture; their weights are copied.
        noise: draws of N(0, I) come from it.
    """

    def __init__(self, models: Sequence[Any], noise: torch.Generator) -> None:
        first = models[0]
        self.settings, self.training, self.dtype = first.settings, first.training, first.dtype
        self.folds, self.noise = len(models), noise
        states = [model.networks.state_dict() for model in models]
        stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        trained = {
            name: nn.Parameter(stacked[name]) for name, _ in first.networks.named_parameters()
        }
        self.weights: dict[str, Tensor] = {**stacked, **trained}
        optimizer = self.training.optimizer
        self.optimizers = {
            part: DeviceAdaBelief(
                [
                    weight
                    for name, weight in trained.items()
                    if name.startswith("discriminator") == (part == "discriminator")
                ],
                optimizer.learning_rate,
                optimizer.betas,
                optimizer.epsilon,
                rectify=optimizer.rectify,
            )
            for part in ("generator", "discriminator")
        }

    def training_step(self, x: Tensor) -> dict[str, Tensor]:
        """Update all folds on their batches, `(f, b, channels, length)`; return losses by fold."""
        mean, log_variance = self.encode(x.to(self.dtype))
        logits = self.decode(mean + (0.5 * log_variance).exp() * self.noise_like(mean))
        fake = logits.sigmoid().to(self.dtype)
        real = x.to(self.dtype)
        both = torch.cat([real, fake.detach()], dim=1)  # (f, b, ...) twice -> (f, 2b, ...)
        for _ in range(self.training.discriminator_updates):
            features = self.features(both, self.normed())
            scores = self.scores(features)
            halves = scores.chunk(2, dim=1)  # (f, 2b) -> (f, b), (f, b)
            # As 2 x BCE over both halves: the mean of each half, added.
            discriminator = (functional.softplus(-halves[0]) + functional.softplus(halves[1])).mean(
                dim=1
            )
            self._step("discriminator", discriminator)
        frozen = [each.detach() for each in self.normed()]
        with torch.no_grad():
            real_features = self.features(real, frozen).float()
        distances = (self.features(fake, frozen).float() - real_features).square()
        adversarial = distances.mean(dim=(1, 2))  # (f, length * b, 16 w) -> (f,)
        reconstruction = functional.binary_cross_entropy_with_logits(
            logits, x, reduction="none"
        ).mean(dim=(1, 2, 3))
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=2).mean(dim=1)
        generator = adversarial + self.settings.nu * reconstruction + self.settings.beta * kl
        self._step("generator", generator)
        return {"discriminator_loss": discriminator.detach(), "generator_loss": generator.detach()}

    def noise_like(self, template: Tensor) -> Tensor:
        """Draw standard normal noise."""
        return torch.randn(template.shape, generator=self.noise, device=template.device)

    def _step(self, name: str, losses: Tensor) -> None:
        optimizer = self.optimizers[name]
        optimizer.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log variance of `(f, b, channels, length)`, `(f, b, latent)` each."""
        hidden = halve(_time_first(x), self.weights["encoder.trunk.first.weight"], 1.0)
        for layer in _NARROWING:
            hidden = halve(hidden, self.weights[f"encoder.trunk.halvings.{layer}.weight"], LEAKAGE)
            hidden = self._batch_norm(hidden, f"encoder.trunk.norms.{layer}")
        hidden = functional.leaky_relu(hidden, LEAKAGE)
        return self._head(hidden, "encoder.mean"), self._head(hidden, "encoder.log_variance")

    def _head(self, hidden: Tensor, name: str) -> Tensor:
        folds, length, batch, _ = hidden.shape
        mixed = torch.bmm(
            hidden.flatten(1, 2), _cast(self.weights[f"{name}.mix.weight"], hidden).mT
        )
        mixed = mixed.view(folds, length, batch, -1)
        active = functional.leaky_relu(self._batch_norm(mixed, f"{name}.norm"), LEAKAGE)
        flat = active.permute(0, 2, 3, 1).flatten(2)  # (f, length, b, 16) -> (f, b, 16 * length)
        weight, bias = self.weights[f"{name}.linear.weight"], self.weights[f"{name}.linear.bias"]
        return torch.baddbmm(bias[:, None], flat.to(weight.dtype), weight.mT)

    def decode(self, z: Tensor) -> Tensor:
        """Return x̂ before its sigmoid, float32, of z `(f, b, latent)`."""
        z = z.to(self.dtype)
        expand = _cast(self.weights["decoder.expand.weight"], z)  # (f, length, latent, 16 w)
        hidden = torch.matmul(z[:, None], expand)  # -> (f, length, b, 16 w)
        for layer in range(len(_NARROWING) + 1):
            hidden = functional.relu(self._batch_norm(hidden, f"decoder.norms.{layer}"))
            hidden = double(hidden, self.weights[f"decoder.doublings.{layer}.weight"])
        return hidden.permute(0, 2, 3, 1).float()  # (f, l, b, c) -> (f, b, c, l)

    def normed(self) -> list[Tensor]:
        """Step the power iterations; return the discriminator's weights over their norms."""
        divided = [self.weights["discriminator.trunk.first.weight"]]
        for layer in _NARROWING:
            name = f"discriminator.trunk.halvings.{layer}.parametrizations.weight"
            weight = self.weights[f"{name}.original"]
            left, right = self.weights[f"{name}.0._u"], self.weights[f"{name}.0._v"]
            matrix = weight.flatten(2)  # (f, out, 4, c) -> (f, out, 4c)
            with torch.no_grad():
                left.copy_(functional.normalize((matrix @ right[..., None])[..., 0], dim=1))
                right.copy_(functional.normalize((matrix.mT @ left[..., None])[..., 0], dim=1))
            # Backward comes before the next step, which writes to the same vectors.
            sigma = (left[:, None] @ matrix @ right[..., None])[..., None]  # -> (f, 1, 1, 1)
            divided.append(weight / sigma)
        return divided

    def features(self, x: Tensor, weights: list[Tensor]) -> Tensor:
        """Return f(x), `(f, length / 32 * b, 16 w)`, of `(f, b, channels, length)`."""
        hidden = halve(_time_first(x), weights[0], 1.0)
        for weight in weights[1:]:
            hidden = halve(hidden, weight, LEAKAGE)
        return functional.leaky_relu(hidden, LEAKAGE).flatten(1, 2)

    def scores(self, features: Tensor) -> Tensor:
        """Return D's logits, `(f, b)` float32."""
        head = _cast(self.weights["discriminator.head.weight"], features)  # (f, length, 16 w, 1)
        by_time = features.view(self.folds, head.shape[1], -1, features.shape[-1])
        return torch.matmul(by_time, head).sum(dim=1)[..., 0].float()

    def _batch_norm(self, x: Tensor, name: str) -> Tensor:
        """Normalise `(f, length, b, c)` over length and batch; statistics are float32."""
        values = x.float()
        variance, mean = torch.var_mean(values, dim=(1, 2), correction=0, keepdim=True)
        with torch.no_grad():
            count = x.shape[1] * x.shape[2]
            seen = {"mean": mean, "var": variance * (count / (count - 1))}
            for moment, value in seen.items():
                self.weights[f"{name}.running_{moment}"].lerp_(value[:, 0, 0], 0.1)
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        normed = (values - mean) * (variance + 1e-5).rsqrt()
        return (normed * weight[:, None, None] + bias[:, None, None]).to(x.dtype)


def halve(x: Tensor, weight: Tensor, leakage: float) -> Tensor:
    """Convolve leaky ReLU of `(f, 2p, b, c)` with `(f, out, 4, c)` to `(f, p, b, out)`."""
    folds, length, batch, channels = x.shape
    active = functional.leaky_relu(x, leakage) if leakage != 1 else x
    padded = functional.pad(active, (0, 0, 0, 0, 1, 1))  # (f, 2p, ...) -> (f, 2p + 2, ...)
    times = padded.view(folds, -1, 2, batch, channels)  # -> (f, p + 1, 2, b, c)
    pairs = times.transpose(2, 3).flatten(3)  # (f, p + 1, 2, b, c) -> (f, p + 1, b, 2c)
    early, late = _taps(weight, x)
    rows = torch.bmm(pairs[:, :-1].flatten(1, 2), early.mT)  # (f, p * b, 2c) -> (f, p * b, out)
    rows = torch.baddbmm(rows, pairs[:, 1:].flatten(1, 2), late.mT)
    return rows.view(folds, length // 2, batch, -1)  # (f, p * b, out) -> (f, p, b, out)


def double(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve `(f, p, b, out)` transposed with `(f, out, 4, c)` to `(f, 2p, b, c)`."""
    folds, length, batch, _ = x.shape
    early, late = _taps(weight, x)
    rows = x.flatten(1, 2)  # (f, p, b, out) -> (f, p * b, out)
    first = torch.bmm(rows, early).view(folds, length, batch, -1)
    second = torch.bmm(rows, late).view(folds, length, batch, -1)
    pairs = functional.pad(first, (0, 0, 0, 0, 0, 1)) + functional.pad(second, (0, 0, 0, 0, 1, 0))
    times = pairs.view(folds, length + 1, batch, 2, -1)  # -> (f, p + 1, b, 2, c)
    times = times.transpose(2, 3)  # (f, p + 1, b, 2, c) -> (f, p + 1, 2, b, c)
    return times.flatten(1, 2)[:, 1:-1]  # (f, p + 1, 2, b, c) -> (f, 2p, b, c)


def _taps(weight: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights of the earlier and the later pair, `(f, out, 2c)` each."""
    pairs = weight.view(*weight.shape[:2], 2, -1)  # (f, out, 4, c) -> (f, out, 2, 2c)
    by_pair = _cast(pairs, like)
    early, late = by_pair.unbind(2)  # (f, out, 2, 2c) -> (f, out, 2c), (f, out, 2c)
    return early, late


def _cast(weight: Tensor, like: Tensor) -> Tensor:
    return weight.to(like.dtype)


def _time_first(x: Tensor) -> Tensor:
    """Return `(f, b, channels, length)` as `(f, length, b, channels)`, contiguous."""
    return x.permute(0, 3, 1, 2).contiguous()  # (f, b, c, l) -> (f, l, b, c)
