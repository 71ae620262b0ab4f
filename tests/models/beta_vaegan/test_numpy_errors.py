"""R, D and ||z|| of a trained model once more, in NumPy and float64."""

import numpy as np
import pytest
import torch

from tests.models.trained import Build, Waves


def halved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Convolution of kernel 4, stride 2, padding 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    steps = x.shape[2] // 2
    out = np.zeros((len(x), len(weight), steps))
    for step in range(steps):
        out[:, :, step] = np.einsum("bck,okc->bo", padded[:, :, 2 * step : 2 * step + 4], weight)
    return out


def doubled(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Transposed convolution of kernel 4, stride 2, padding 1."""
    out = np.zeros((len(x), weight.shape[2], 2 * x.shape[2] + 2))
    for step in range(x.shape[2]):
        out[:, :, 2 * step : 2 * step + 4] += np.einsum("bc,cko->bok", x[:, :, step], weight)
    return out[:, :, 1:-1]


def batch_normed(x: np.ndarray, weights: dict[str, np.ndarray], at: str) -> np.ndarray:
    def wide(name: str) -> np.ndarray:
        return weights[f"{at}.{name}"][:, None]

    scaled = (x - wide("running_mean")) / np.sqrt(wide("running_var") + 1e-5)
    return scaled * wide("weight") + wide("bias")


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def encoded(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    h = leaky(halved(x, weights["encoder.trunk.first.weight"]))
    for at in range(4):
        h = halved(h, weights[f"encoder.trunk.halvings.{at}.weight"])
        h = leaky(batch_normed(h, weights, f"encoder.trunk.norms.{at}"))
    h = np.einsum("bcl,oc->bol", h, weights["encoder.mean.mix.weight"])
    h = leaky(batch_normed(h, weights, "encoder.mean.norm")).reshape(len(x), -1)
    return h @ weights["encoder.mean.linear.weight"].T + weights["encoder.mean.linear.bias"]


def decoded(z: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    h = np.einsum("bc,kco->bok", z, weights["decoder.expand.weight"])
    for at in range(5):
        h = np.maximum(batch_normed(h, weights, f"decoder.norms.{at}"), 0)
        h = doubled(h, weights[f"decoder.doublings.{at}.weight"])
    return 1 / (1 + np.exp(-h))


def featured(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    h = leaky(halved(x, weights["discriminator.trunk.first.weight"]))
    for at in range(4):
        prefix = f"discriminator.trunk.halvings.{at}.parametrizations.weight"
        weight = weights[f"{prefix}.original"]
        u, v = weights[f"{prefix}.0._u"], weights[f"{prefix}.0._v"]
        sigma = u @ weight.reshape(len(weight), -1) @ v
        h = leaky(halved(h, weight / sigma))
    return h


@pytest.mark.parametrize(("channels", "length"), [(1, 32), (2, 64)])
def test_errors_are_those_of_numpy(channels: int, length: int, build: Build, waves: Waves) -> None:
    x = waves(16, channels, length)
    model = build("beta_vaegan", (channels, length))
    for _ in range(2):
        model.train_epoch(x, torch.arange(16))
    weights = {name: value.double().numpy() for name, value in model.weights().items()}
    probe = x[:4].double().numpy()
    z = encoded(probe, weights)
    reconstructed = decoded(z, weights)
    difference = featured(probe, weights) - featured(reconstructed, weights)
    expected = {
        "reconstruction_error": ((probe - reconstructed) ** 2).mean(axis=(1, 2)),
        "discrimination_error": (difference**2).mean(axis=(1, 2)),
        "latent_norm": np.sqrt((z**2).sum(axis=1)),
    }
    errors = model.errors(x[:4])
    for name, values in expected.items():
        np.testing.assert_allclose(errors[name].numpy(), values, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(model.reconstruct(x[:4]).numpy(), reconstructed, rtol=1e-5)
