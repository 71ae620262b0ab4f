import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from models.networks.architecture import Decoder, Discriminator, Encoder, GaussianEncoder
from models.networks.layers import BatchNorm, Doubling, Halving
from tests.models.plain import in_plain_layout
from tests.models.trained import Build

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


def test_only_the_discriminator_of_a_model_is_spectrally_normed(build: Build) -> None:
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


@pytest.mark.slow
def test_a_new_spectrally_normed_layer_has_spectral_norm_one(build: Build) -> None:
    model: Any = build("beta_vaegan")
    for layer in model.networks["discriminator"].eval().trunk.halvings:
        largest = np.linalg.norm(layer.weight.detach().flatten(1).numpy(), 2)
        assert largest == pytest.approx(1.0, abs=0.3)
