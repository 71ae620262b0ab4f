"""A trained model as one network, from samples to error components, for other runtimes.

It is made of frozen networks: no norms, no training state, no custom gradients, and so
only operations that `torch.export` and ONNX know.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from models.bases.encoder_decoder import with_fixed_scores
from models.entry import DRAWN_NORM
from models.interface import Model, Shape

INPUT = "x"
RECONSTRUCTION = "reconstruction"
OWN_LIMITS: Literal["own"] = "own"
"""Limits of each sample by itself, see `ScoringNetwork`."""
SAMPLES = "samples"
"""Name of the one dimension that may have any size."""


class ScoringNetwork(nn.Module):
    """Error components and x̂ of samples, in the order of `outputs`.

    Args:
        model: an encoder model; it is frozen, and from then on only scores.
        limits: values that become 0 and 1 before the model sees them, a pair for each channel;
            `OWN_LIMITS` for the smallest and largest value of each channel of each sample; None
            for none.

    Raises:
        TypeError: a model whose scores are no fixed function of the sample's values.
    """

    _low: Tensor
    _span: Tensor

    def __init__(
        self, model: Model, limits: Sequence[tuple[float, float]] | Literal["own"] | None
    ) -> None:
        super().__init__()
        self._model = with_fixed_scores(model)
        self._model.freeze()
        self.networks = self._model.networks
        # What came later is last, so that outputs of older files keep their positions.
        later = tuple(name for name in model.components if name == DRAWN_NORM)
        first = tuple(name for name in model.components if name not in later)
        self.outputs = (*first, RECONSTRUCTION, *later)
        self._is_scaled, self._has_own_limits = limits is not None, limits == OWN_LIMITS
        fixed = [(0.0, 1.0)] if limits is None or limits == OWN_LIMITS else limits
        ends = torch.tensor(fixed, dtype=torch.float64)
        # float64, as samples are scaled for training.
        self.register_buffer("_low", ends[:, :1])  # (channels, 2) -> (channels, 1)
        self.register_buffer("_span", ends[:, 1:] - ends[:, :1])
        self.eval()

    @property
    def shape(self) -> Shape:
        """Channels and length of a sample."""
        return self._model.shape

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return error components, `(n,)` float32 each, and x̂ in the units of x.

        Args:
            x: `(n, channels, length)` float32, in the dataset's units.
        """
        if not self._is_scaled:
            return self._outputs(*self._model.scored_batch(x))
        low, span = self._limits(x)
        # A channel that is constant holds no information and becomes zeros.
        divisor = torch.where(span == 0, torch.inf, span)
        errors, reconstructed = self._model.scored_batch(((x.double() - low) / divisor).float())
        return self._outputs(errors, low + reconstructed.double() * span)

    def _limits(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return what becomes 0, and its distance to what becomes 1, of each channel."""
        if not self._has_own_limits:
            return self._low, self._span
        values = x.double()
        low = values.amin(dim=2, keepdim=True)  # (n, c, length) -> (n, c, 1)
        return low, values.amax(dim=2, keepdim=True) - low

    def _outputs(self, errors: Mapping[str, Tensor], reconstructed: Tensor) -> tuple[Tensor, ...]:
        values = {**errors, RECONSTRUCTION: reconstructed}
        return tuple(values[name].float() for name in self.outputs)


def exported_program(network: ScoringNetwork) -> ExportedProgram:
    """Return the network as `torch.export` has it, for any number of samples."""
    shape = network.shape
    # Two samples: one would be taken for a number that never changes.
    example = torch.zeros(2, shape.channels, shape.length)
    return torch.export.export(network, (example,), dynamic_shapes={INPUT: {0: Dim(SAMPLES)}})


def onnx_program(network: ScoringNetwork) -> Any:
    """Return the network as an ONNX program, its outputs named as `outputs`.

    Raises:
        ImportError: onnx or onnxscript is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's, of its own parts
        return torch.onnx.export(
            exported_program(network),
            input_names=[INPUT],
            output_names=list(network.outputs),
            dynamic_shapes={INPUT: {0: SAMPLES}},
            dynamo=True,
            verbose=False,
        )
