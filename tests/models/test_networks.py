import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.interface import Model
from models.networks import Decoder, Discriminator, Encoder, GaussianEncoder

CHANNELS = [32, 64, 128, 256, 512]


def parameters(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in network.named_parameters()}


def convolutions(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)]


@pytest.mark.parametrize("length", range(32, 193, 32))
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_fit_each_other_at_every_length(channels: int, length: int) -> None:
    x, latent = torch.rand(2, channels, length), 5
    with torch.no_grad():
        assert Encoder(channels, length, latent)(x).shape == (2, latent)
        mean, log_variance = GaussianEncoder(channels, length, latent)(x)
        assert mean.shape == log_variance.shape == (2, latent)
        assert Decoder(channels, length, latent)(mean).shape == x.shape
        discriminator = Discriminator(channels, length, spectral=True)
        assert discriminator.features(x).shape == (2, 512, length // 32)
        assert discriminator(x).shape == (2,)


@pytest.mark.parametrize(
    "network",
    [
        Encoder(2, 64, 5),
        GaussianEncoder(2, 64, 5),
        Decoder(2, 64, 5),
        Discriminator(2, 64, spectral=True),
        Discriminator(2, 64, spectral=False),
    ],
    ids=["encoder", "gaussian_encoder", "decoder", "spectral", "batch_norm"],
)
def test_no_convolution_has_a_bias(network: nn.Module) -> None:
    assert convolutions(network)
    assert all(c.bias is None for c in convolutions(network))


@pytest.mark.parametrize("network", [Encoder, GaussianEncoder])
def test_the_encoder_halves_five_times_with_batch_norm_from_the_second_on(
    network: type[nn.Module],
) -> None:
    trunk = list(network(2, 96, 5).trunk)
    halvings = [m for m in trunk if isinstance(m, nn.Conv1d)]
    assert [(h.in_channels, h.out_channels) for h in halvings] == list(pairwise([2, *CHANNELS]))
    for halving in halvings:
        assert (halving.kernel_size, halving.stride, halving.padding) == ((4,), (2,), (1,))
    kinds = [type(m).__name__ for m in trunk]
    assert kinds == ["Conv1d", "LeakyReLU"] + ["Conv1d", "BatchNorm1d", "LeakyReLU"] * 4
    assert {m.negative_slope for m in trunk if isinstance(m, nn.LeakyReLU)} == {0.2}
    norms = [m.num_features for m in trunk if isinstance(m, nn.BatchNorm1d)]
    assert norms == CHANNELS[1:]


def test_the_posterior_heads_go_through_sixteen_channels() -> None:
    network = GaussianEncoder(1, 96, 7)
    for head in (network.mean, network.log_variance):
        assert [type(m).__name__ for m in head] == [
            "Conv1d",
            "BatchNorm1d",
            "LeakyReLU",
            "Flatten",
            "Linear",
        ]
        assert parameters(head) == {
            "0.weight": (16, 512, 1),
            "1.weight": (16,),
            "1.bias": (16,),
            "4.weight": (7, 48),
            "4.bias": (7,),
        }
    assert not set(map(id, network.mean.parameters())) & set(
        map(id, network.log_variance.parameters())
    )


def test_the_decoder_mirrors_the_encoder() -> None:
    layers = list(Decoder(3, 96, 7).layers)
    kinds = [type(m).__name__ for m in layers]
    assert kinds == ["ConvTranspose1d", "BatchNorm1d", "ReLU"] * 5 + ["ConvTranspose1d"]
    turned = [m for m in layers if isinstance(m, nn.ConvTranspose1d)]
    shapes = [tuple(m.weight.shape) for m in turned]
    widths = CHANNELS[::-1]
    assert shapes == [(7, 512, 3)] + [(a, b, 4) for a, b in pairwise([*widths, 3])]
    for doubling in turned[1:]:
        assert (doubling.stride, doubling.padding) == ((2,), (1,))
    assert [m.num_features for m in layers if isinstance(m, nn.BatchNorm1d)] == widths


def test_spectral_norm_is_on_convolutions_two_to_five_and_nowhere_else() -> None:
    network = Discriminator(2, 96, spectral=True)
    normed = [hasattr(c, "parametrizations") for c in convolutions(network)]
    assert normed == [False, True, True, True, True, False]
    assert not any(isinstance(m, nn.BatchNorm1d) for m in network.modules())
    plain = Discriminator(2, 96, spectral=False)
    assert not any(hasattr(c, "parametrizations") for c in convolutions(plain))
    norms = [m.num_features for m in plain.modules() if isinstance(m, nn.BatchNorm1d)]
    assert norms == CHANNELS[1:]
    assert tuple(network.head.weight.shape) == tuple(plain.head.weight.shape) == (1, 512, 3)


def test_only_the_discriminator_of_a_model_is_spectrally_normed(
    build: Callable[..., Model],
) -> None:
    model = build("beta_vaegan")
    owners = {name.split(".")[0] for name in model.weights() if "parametrizations" in name}
    assert owners == {"discriminator"}
    assert not any("parametrizations" in name for name in build("beatgan").weights())


def test_logits_are_the_last_convolution_of_the_features() -> None:
    network = Discriminator(1, 64, spectral=True).eval()
    x = torch.rand(3, 1, 64)
    with torch.no_grad():
        expected = np.einsum(
            "bcl,cl->b", network.features(x).numpy(), network.head.weight[0].numpy()
        )
        np.testing.assert_allclose(network(x).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_weights_are_glorot_normal_and_biases_zero() -> None:
    torch.manual_seed(0)
    networks = nn.ModuleDict(
        {
            "encoder": GaussianEncoder(1, 96, 50),
            "decoder": Decoder(1, 96, 50),
            "discriminator": Discriminator(1, 96, spectral=True),
        }
    )
    checked = 0
    for name, value in networks.named_parameters():
        weight = value.detach().double()
        if weight.ndim == 1:
            if name.endswith("4.bias"):
                assert (weight == 0).all()
            continue
        field = weight[0, 0].numel() if weight.ndim == 3 else 1
        expected = math.sqrt(2 / ((weight.shape[0] + weight.shape[1]) * field))
        n = weight.numel()
        # Four and a half standard errors of a normal sample's deviation and mean.
        assert weight.std().item() == pytest.approx(expected, rel=4.5 / math.sqrt(2 * n)), name
        assert abs(weight.mean().item()) < 4.5 * expected / math.sqrt(n), name
        if n > 10_000:  # a uniform or truncated draw has other tails
            beyond = (weight.abs() > 2 * expected).double().mean().item()
            assert beyond == pytest.approx(0.0455, abs=0.01), name
            checked += 1
    assert checked >= 10


def test_a_new_spectrally_normed_layer_has_spectral_norm_one(build: Callable[..., Model]) -> None:
    model = build("beta_vaegan")
    discriminator = model.networks["discriminator"].eval()  # type: ignore[attr-defined]
    for layer in convolutions(discriminator)[1:5]:
        largest = np.linalg.norm(layer.weight.detach().flatten(1).numpy(), 2)
        assert largest == pytest.approx(1.0, abs=0.3)


# --- The whole of R, D and ||z|| once more, in NumPy and float64 ---------------------------


def halved(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Convolution of kernel 4, stride 2, padding 1."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
    steps = x.shape[2] // 2
    out = np.zeros((len(x), len(weight), steps))
    for step in range(steps):
        out[:, :, step] = np.einsum("bck,ock->bo", padded[:, :, 2 * step : 2 * step + 4], weight)
    return out


def doubled(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Transposed convolution of kernel 4, stride 2, padding 1."""
    out = np.zeros((len(x), weight.shape[1], 2 * x.shape[2] + 2))
    for step in range(x.shape[2]):
        out[:, :, 2 * step : 2 * step + 4] += np.einsum("bc,cok->bok", x[:, :, step], weight)
    return out[:, :, 1:-1]


def batch_normed(x: np.ndarray, weights: dict[str, np.ndarray], at: str) -> np.ndarray:
    def wide(name: str) -> np.ndarray:
        return weights[f"{at}.{name}"][:, None]

    scaled = (x - wide("running_mean")) / np.sqrt(wide("running_var") + 1e-5)
    return scaled * wide("weight") + wide("bias")


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def encoded(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    h = leaky(halved(x, weights["encoder.trunk.0.weight"]))
    for at in (2, 5, 8, 11):
        h = halved(h, weights[f"encoder.trunk.{at}.weight"])
        h = leaky(batch_normed(h, weights, f"encoder.trunk.{at + 1}"))
    h = np.einsum("bcl,oc->bol", h, weights["encoder.mean.0.weight"][:, :, 0])
    h = leaky(batch_normed(h, weights, "encoder.mean.1")).reshape(len(x), -1)
    return h @ weights["encoder.mean.4.weight"].T + weights["encoder.mean.4.bias"]


def decoded(z: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    h = np.einsum("bc,cok->bok", z, weights["decoder.layers.0.weight"])
    h = np.maximum(batch_normed(h, weights, "decoder.layers.1"), 0)
    for at in (3, 6, 9, 12):
        h = doubled(h, weights[f"decoder.layers.{at}.weight"])
        h = np.maximum(batch_normed(h, weights, f"decoder.layers.{at + 1}"), 0)
    return 1 / (1 + np.exp(-doubled(h, weights["decoder.layers.15.weight"])))


def featured(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    h = leaky(halved(x, weights["discriminator.trunk.0.weight"]))
    for at in (2, 4, 6, 8):
        place = f"discriminator.trunk.{at}.parametrizations.weight"
        weight = weights[f"{place}.original"]
        u, v = weights[f"{place}.0._u"], weights[f"{place}.0._v"]
        sigma = u @ weight.reshape(len(weight), -1) @ v
        h = leaky(halved(h, weight / sigma))
    return h


@pytest.mark.parametrize(("channels", "length"), [(1, 32), (2, 64)])
def test_errors_are_those_of_numpy(
    channels: int,
    length: int,
    build: Callable[..., Model],
    waves: Callable[..., Tensor],
) -> None:
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
    found = model.errors(x[:4])
    for name, values in expected.items():
        np.testing.assert_allclose(found[name].numpy(), values, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(model.reconstruct(x[:4]).numpy(), reconstructed, rtol=1e-5)
