import io
from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from models.exported import OWN_LIMITS, ScoringNetwork, exported_program, onnx_program
from tests.models.trained import Build, Waves, trained

pytestmark = pytest.mark.slow
NEAR = {"rtol": 0.0, "atol": 1e-5}


def in_onnxruntime(network: ScoringNetwork, x: Tensor) -> list[np.ndarray]:
    program = onnx_program(network)
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_outputs()] == list(network.outputs)
    assert session.get_inputs()[0].shape == ["samples", 2, 64]
    result: list[np.ndarray] = session.run(None, {"x": x.numpy()})
    return result


# That of beta-VAEGAN is tested with the command that writes it.
def test_onnxruntime_agrees_with_pytorch(build: Build, waves: Waves) -> None:
    x, limits = waves(17, 2, 64, seed=5), [(-2.0, 7.0), (0.5, 1.5)]
    model = trained(build, "vae", waves(24, 2, 64), epochs=2)
    errors, reconstructed = model.errors(x), model.reconstruct(x)
    assert reconstructed is not None
    low, span = torch.tensor([[-2.0], [0.5]]), torch.tensor([[9.0], [1.0]])
    unscaled = (x.double() * span + low).float()
    network = ScoringNetwork(model, limits)
    later = ("drawn_norm",) if "drawn_norm" in errors else ()
    first = tuple(component for component in errors if component not in later)
    assert network.outputs == (*first, "reconstruction", *later)
    result = dict(zip(network.outputs, in_onnxruntime(network, unscaled), strict=True))
    for component, values in errors.items():
        np.testing.assert_allclose(result[component], values.numpy(), **NEAR, err_msg=component)
    expected = reconstructed.numpy() * span.numpy() + low.numpy()
    np.testing.assert_allclose(result["reconstruction"], expected, rtol=0, atol=1e-4)


def test_an_exported_program_agrees_for_any_number_of_samples(build: Build, waves: Waves) -> None:
    x = waves(19, 2, 64, seed=5)
    model = trained(build, "ae", waves(24, 2, 64), epochs=2)
    errors = model.errors(x)
    network = ScoringNetwork(model, None)
    buffer = io.BytesIO()
    torch.export.save(exported_program(network), buffer)
    buffer.seek(0)
    program = torch.export.load(buffer).module()
    for count in (1, 2, 19):
        result = dict(zip(network.outputs, program(x[:count]), strict=True))
        for component, values in errors.items():
            torch.testing.assert_close(result[component], values[:count], **NEAR)


def in_torch_export(network: ScoringNetwork, x: Tensor) -> list[np.ndarray]:
    buffer = io.BytesIO()
    torch.export.save(exported_program(network), buffer)
    buffer.seek(0)
    return [each.numpy() for each in torch.export.load(buffer).module()(x)]


@pytest.mark.parametrize("run", [in_onnxruntime, in_torch_export])
def test_samples_are_scaled_each_by_its_own_limits(
    build: Build, waves: Waves, run: Callable[[ScoringNetwork, Tensor], list[np.ndarray]]
) -> None:
    model = trained(build, "ae", waves(24, 2, 64), epochs=2)
    x = waves(17, 2, 64, seed=5) * torch.arange(1.0, 18)[:, None, None] - 50
    x[3, 1] = 7  # constant
    values = x.numpy().astype(np.float64)
    low, span = values.min(axis=2, keepdims=True), np.ptp(values, axis=2, keepdims=True)
    scaled = np.divide(values - low, span, out=np.zeros_like(values), where=span > 0)
    scaled_x = torch.from_numpy(scaled.astype(np.float32))
    network = ScoringNetwork(model, OWN_LIMITS)
    result = dict(zip(network.outputs, run(network, x), strict=True))
    for component, expected in model.errors(scaled_x).items():
        np.testing.assert_allclose(result[component], expected.numpy(), **NEAR, err_msg=component)
    reconstructed = model.reconstruct(scaled_x)
    assert reconstructed is not None
    in_units = low + reconstructed.numpy() * span
    np.testing.assert_allclose(result["reconstruction"], in_units, rtol=1e-5, atol=1e-3)


def test_samples_without_a_range_become_zeros(build: Build, waves: Waves) -> None:
    model = trained(build, "ae", waves(24, 2, 64), epochs=2)
    expected = model.errors(torch.zeros(3, 2, 64))
    result = ScoringNetwork(model, [(2.0, 2.0)] * 2)(torch.full((3, 2, 64), 2.0))
    torch.testing.assert_close(result[0], expected["reconstruction_error"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["anogan", "latent_refinement", "pca", "isolation_forest"])
def test_a_model_that_searches_or_has_no_network_is_refused(name: str, build: Build) -> None:
    with pytest.raises(TypeError, match="only models whose encoder gives z"):
        ScoringNetwork(build(name), None)


def test_a_model_that_draws_is_refused(build: Build) -> None:
    with pytest.raises(TypeError, match="draws"):
        ScoringNetwork(build("beta_vaegan", settings={"latent": "sampled"}), None)
