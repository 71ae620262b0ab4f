import copy
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached

from models.convolutions import BatchNorm, Doubling, Halving
from models.interface import Model
from models.networks import Decoder, Discriminator, Encoder, GaussianEncoder
from tests.models.plain import (
    PlainDecoder,
    PlainDiscriminator,
    PlainEncoder,
    PlainGaussianEncoder,
    copy_weights,
    in_plain_layout,
)

CHANNELS = [32, 64, 128, 256, 512]


def parameters(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in network.named_parameters()}


@pytest.mark.parametrize("length", range(32, 193, 32))
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_fit_each_other_at_every_length(channels: int, length: int) -> None:
    x, latent = torch.rand(2, channels, length), 5
    with torch.no_grad():
        assert Encoder(channels, length, latent).eval()(x).shape == (2, latent)
        mean, log_variance = GaussianEncoder(channels, length, latent).eval()(x)
        assert mean.shape == log_variance.shape == (2, latent)
        assert Decoder(channels, length, latent)(mean).shape == x.shape
        discriminator = Discriminator(channels, length, spectral=True)
        assert discriminator.features(x).shape == (length // 32, 2, 512)
        assert discriminator(x).shape == (2,)


def trunk(channels: int, weight: str = "weight") -> dict[str, tuple[int, ...]]:
    """Shapes of a trunk's five convolutions; `weight` names those from the second on."""
    shapes = [(wide, 4, narrow) for narrow, wide in pairwise([channels, *CHANNELS])]
    later = {f"trunk.halvings.{i}.{weight}": shape for i, shape in enumerate(shapes[1:])}
    return {"trunk.first.weight": shapes[0], **later}


def norms(name: str, widths: list[int]) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.{i}.{what}": (width,)
        for i, width in enumerate(widths)
        for what in ("weight", "bias")
    }


def test_the_encoder_has_five_convolutions_and_batch_norm_from_the_second_on() -> None:
    network = Encoder(2, 96, 5)
    expected = trunk(2) | norms("trunk.norms", CHANNELS[1:]) | {"head.weight": (3, 512, 5)}
    assert parameters(network) == expected
    assert [type(norm) for norm in network.trunk.norms] == [BatchNorm] * 4
    assert all(type(halving) is Halving for halving in network.trunk.halvings)


def test_the_posterior_heads_go_through_sixteen_channels() -> None:
    network = GaussianEncoder(1, 96, 7)
    head = {
        "mix.weight": (16, 512),
        "norm.weight": (16,),
        "norm.bias": (16,),
        "linear.weight": (7, 48),
        "linear.bias": (7,),
    }
    heads = {
        f"{which}.{name}": shape
        for which in ("mean", "log_variance")
        for name, shape in head.items()
    }
    assert parameters(network) == trunk(1) | norms("trunk.norms", CHANNELS[1:]) | heads


def test_the_decoder_mirrors_the_encoder() -> None:
    network = Decoder(3, 96, 7)
    widths = CHANNELS[::-1]
    doublings = {
        f"doublings.{i}.weight": (wide, 4, narrow)
        for i, (wide, narrow) in enumerate(pairwise([*widths, 3]))
    }
    expected = {"expand.weight": (3, 7, 512)} | norms("norms", widths) | doublings
    assert parameters(network) == expected
    assert [type(norm) for norm in network.norms] == [BatchNorm] * 5
    assert all(type(doubling) is Doubling for doubling in network.doublings)


def test_spectral_norm_is_on_convolutions_two_to_five_and_nowhere_else() -> None:
    head = {"head.weight": (3, 512, 1)}
    network = Discriminator(2, 96, spectral=True)
    assert parameters(network) == trunk(2, "parametrizations.weight.original") | head
    assert not any(isinstance(module, BatchNorm) for module in network.modules())
    batch_normed = Discriminator(2, 96, spectral=False)
    assert parameters(batch_normed) == trunk(2) | norms("trunk.norms", CHANNELS[1:]) | head


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
            "lbc,lc->b", network.features(x).numpy(), network.head.weight[:, :, 0].numpy()
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
    for name, value in in_plain_layout(dict(networks.named_parameters())).items():
        weight = value.detach().double()
        if weight.ndim == 1:
            if name.endswith("bias"):
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
    model: Any = build("beta_vaegan")
    for layer in model.networks["discriminator"].eval().trunk.halvings:
        largest = np.linalg.norm(layer.weight.detach().flatten(1).numpy(), 2)
        assert largest == pytest.approx(1.0, abs=0.3)


# --- Against the plain networks -----------------------------------------------------------

KINDS: dict[str, Callable[[int, int, int], tuple[nn.Module, nn.Module]]] = {
    "encoder": lambda c, n, k: (Encoder(c, n, k), PlainEncoder(c, n, k)),
    "gaussian_encoder": lambda c, n, k: (GaussianEncoder(c, n, k), PlainGaussianEncoder(c, n, k)),
    "decoder": lambda c, n, k: (Decoder(c, n, k), PlainDecoder(c, n, k)),
    "spectral_discriminator": lambda c, n, k: (
        Discriminator(c, n, spectral=True),
        PlainDiscriminator(c, n, spectral=True),
    ),
    "batch_norm_discriminator": lambda c, n, k: (
        Discriminator(c, n, spectral=False),
        PlainDiscriminator(c, n, spectral=False),
    ),
}
BATCHES = st.sampled_from([1, 2, 3, 7, 16, 17, 32])
LENGTHS = st.integers(1, 6).map(lambda blocks: 32 * blocks)


def drawn_pair(kind: str, channels: int, length: int, latent: int) -> tuple[nn.Module, nn.Module]:
    """A network in a state that training might have left, and its plain twin in float64."""
    network, plain = KINDS[kind](channels, length, latent)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean") or ("norm" in name and name.endswith("bias")):
            value.normal_(std=0.1)
        elif name.endswith("running_var") or ("norm" in name and name.endswith(".weight")):
            value.uniform_(0.5, 1.5)
    plain.double()
    copy_weights(network, plain)
    return network, plain


def drawn_input(kind: str, batch: int, channels: int, length: int, latent: int) -> Tensor:
    return torch.randn(batch, latent) if kind == "decoder" else torch.rand(batch, channels, length)


def as_one(output: Any) -> Tensor:
    return torch.cat(output, dim=1) if isinstance(output, tuple) else output


def distance(found: Tensor | None, expected: Tensor | None) -> float:
    """Of the results as wholes, relative to the expected one's size."""
    assert found is not None
    assert expected is not None
    assert found.shape == expected.shape
    return float((found.double() - expected).norm() / expected.norm())


@pytest.mark.parametrize("kind", list(KINDS))
@given(
    batch=BATCHES,
    channels=st.integers(1, 3),
    length=LENGTHS,
    latent=st.integers(1, 8),
    training=st.booleans(),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=8, deadline=None, derandomize=True)
def test_outputs_and_gradients_are_those_of_the_plain_networks(
    kind: str, batch: int, channels: int, length: int, latent: int, training: bool, seed: int
) -> None:
    """In float64, where nothing amplifies rounding so far that an error could hide in it."""
    training = training and batch * (length // 32) > 1  # one value has no variance
    torch.manual_seed(seed)
    network, plain = drawn_pair(kind, channels, length, latent)
    network.double().train(training)
    plain.train(training)
    x = drawn_input(kind, batch, channels, length, latent).double()
    first, second = x.clone().requires_grad_(), x.clone().requires_grad_()
    found, expected = as_one(network(first)), as_one(plain(second))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)
    gradient = torch.randn_like(expected)
    found.backward(gradient)
    expected.backward(gradient)
    assert distance(first.grad, second.grad) < 1e-9
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    ours = in_plain_layout(gradients)
    assert ours.keys() == dict(plain.named_parameters()).keys()
    for name, parameter in plain.named_parameters():
        assert distance(ours[name], parameter.grad) < 1e-9, name
    state = in_plain_layout(network.state_dict())
    for name, value in plain.state_dict().items():  # statistics and vectors have moved alike
        torch.testing.assert_close(state[name], value, rtol=1e-9, atol=1e-9, msg=name)


@pytest.mark.parametrize("kind", list(KINDS))
@given(
    batch=BATCHES,
    channels=st.integers(1, 3),
    length=LENGTHS,
    latent=st.integers(1, 8),
    seed=st.integers(0, 2**31),
)
@settings(max_examples=8, deadline=None, derandomize=True)
def test_float32_differs_by_rounding_alone(
    kind: str, batch: int, channels: int, length: int, latent: int, seed: int
) -> None:
    torch.manual_seed(seed)
    network, plain = drawn_pair(kind, channels, length, latent)
    network.eval()
    plain.eval()
    x = drawn_input(kind, batch, channels, length, latent)
    first, second = x.clone().requires_grad_(), x.double().requires_grad_()
    found, expected = as_one(network(first)), as_one(plain(second))
    assert found.dtype == torch.float32
    size = expected.detach().abs().max().item()
    torch.testing.assert_close(found.double(), expected, rtol=2e-5, atol=2e-5 * size)
    gradient = torch.randn_like(expected)
    found.backward(gradient.float())
    expected.backward(gradient)
    # An activation within rounding of 0 may get the slope of the other side.
    assert distance(first.grad, second.grad) < 0.02
    ours = in_plain_layout({name: p.grad for name, p in network.named_parameters()})
    for name, parameter in plain.named_parameters():
        assert distance(ours[name], parameter.grad) < 0.02, name


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("training", [True, False])
def test_bfloat16_loses_no_more_than_autocast_does(kind: str, training: bool) -> None:
    torch.manual_seed(0)
    network, plain = drawn_pair(kind, 2, 96, 6)
    autocast = copy.deepcopy(plain).float()
    for each in (network, plain, autocast):
        each.train(training)
    x = drawn_input(kind, 32, 2, 96, 6)
    found, expected = as_one(network(x.bfloat16())), as_one(plain(x.double()))
    with torch.autocast("cpu", torch.bfloat16):
        known = as_one(autocast(x))
    # The heads of a posterior end in float32.
    assert found.dtype == (torch.float32 if kind == "gaussian_encoder" else torch.bfloat16)
    loss = distance(found.detach(), expected.detach())
    assert 1e-4 < loss < 2 * distance(known.detach(), expected.detach())
    gradient = torch.randn_like(expected)
    found.backward(gradient.to(found.dtype))
    expected.backward(gradient)
    known.backward(gradient.to(known.dtype))
    assert {p.grad.dtype for p in network.parameters() if p.grad is not None} == {torch.float32}
    ours = in_plain_layout({name: p.grad for name, p in network.named_parameters()})
    theirs = dict(autocast.named_parameters())
    for name, parameter in plain.named_parameters():
        allowed = 3 * distance(theirs[name].grad, parameter.grad)
        assert distance(ours[name], parameter.grad) < allowed, name
    assert {value.dtype for value in network.state_dict().values()} <= {torch.float32, torch.int64}


@pytest.mark.parametrize("spectral", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch", [1, 5, 16])
def test_judging_both_is_judging_each(
    spectral: bool, dtype: torch.dtype, training: bool, batch: int
) -> None:
    torch.manual_seed(0)
    kind = "spectral_discriminator" if spectral else "batch_norm_discriminator"
    together, _ = drawn_pair(kind, 2, 64, 1)
    apart, _ = drawn_pair(kind, 2, 64, 1)
    apart.load_state_dict(together.state_dict())
    real, fake = torch.rand(batch, 2, 64).to(dtype), torch.rand(batch + 3, 2, 64).to(dtype)
    for network in (together, apart):
        network.train(training)
    assert isinstance(together, Discriminator)
    with cached():  # one power iteration for all that is judged
        found = together.judge(real, fake)
    with cached():
        expected = apart(real), apart(fake)
    near = {"rtol": 1e-5, "atol": 1e-6} if dtype == torch.float32 else {"rtol": 2e-2, "atol": 2e-2}
    for mine, other in zip(found, expected, strict=True):
        assert mine.shape == other.shape
        torch.testing.assert_close(mine, other, **near)
    for name, value in apart.state_dict().items():
        torch.testing.assert_close(together.state_dict()[name], value, msg=name)


# --- The whole of R, D and ||z|| once more, in NumPy and float64 ---------------------------


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
        place = f"discriminator.trunk.halvings.{at}.parametrizations.weight"
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
