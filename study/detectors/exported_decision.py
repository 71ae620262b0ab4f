"""A trained fold's whole decision as one network, from samples to labels, for other runtimes."""

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from models.exported import INPUT, SAMPLES, ScoringNetwork
from study.scores.columns import LARGEST_LOGGED, FittedComponent, Octaves
from study.scores.components import LARGEST_SCALED, Limits
from study.scores.compositions import FittedComposition, FittedMachine, FittedSum
from study.scores.rules import FittedLargest

THRESHOLD = "tau"
SCORE, DECISION = "score", "decision"


def has_form(fitted: FittedComposition) -> bool:
    """Return whether `DecidingNetwork` knows how a composition scores.

    Of a class that is derived from a known one it does not: its `score` may be another.
    """
    return type(fitted) in (FittedSum, FittedLargest, FittedMachine)


class DecidingNetwork(nn.Module):
    """A scoring network's outputs, then the score, float64, and the decision, 1 abnormal.

    Args:
        network: gives the errors of samples.
        fitted: the composition that makes one score of them, and needs nothing else; it
            `has_form`.
    """

    def __init__(self, network: ScoringNetwork, fitted: FittedComposition) -> None:
        super().__init__()
        self.network, self.fitted = network, fitted
        self.outputs = (*network.outputs, SCORE, DECISION)
        self.eval()

    def forward(self, x: Tensor, tau: Tensor) -> tuple[Tensor, ...]:
        """Return errors and x̂ of samples, their scores, and which are above the threshold.

        Args:
            x: `(n, channels, length)` float32, in the dataset's units.
            tau: the threshold, float64, a single number.
        """
        values = self.network(x)
        errors = dict(zip(self.network.outputs, values, strict=True))
        columns = [_column(column, errors[column.name]) for column in self.fitted.columns]
        score = _score(self.fitted, columns)
        return (*values, score, (score > tau).to(torch.int8))


class _WithThreshold(nn.Module):
    """A deciding network whose threshold is the fitted one."""

    def __init__(self, network: DecidingNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer(THRESHOLD, _threshold(network))

    def forward(self, x: Tensor) -> Any:
        return self.network(x, self.tau)


def deciding_program(network: DecidingNetwork) -> ExportedProgram:
    """Return the network as `torch.export` has it, its threshold the fitted one."""
    shapes = {INPUT: {0: Dim(SAMPLES)}}
    fixed = _WithThreshold(network)
    return torch.export.export(fixed, (_example(network),), dynamic_shapes=shapes)


def deciding_onnx(network: DecidingNetwork) -> Any:
    """Return the network as an ONNX program: `tau` is an input, by default the fitted one.

    Raises:
        ImportError: onnx or onnxscript is not installed.
    """
    from onnxscript import ir

    arguments = (_example(network), _threshold(network))
    shapes = {INPUT: {0: Dim(SAMPLES)}, THRESHOLD: None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # PyTorch's, of its own parts
        program = torch.onnx.export(
            torch.export.export(network, arguments, dynamic_shapes=shapes),
            input_names=[INPUT, THRESHOLD],
            output_names=list(network.outputs),
            dynamic_shapes={INPUT: {0: SAMPLES}, THRESHOLD: None},
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    # An input that is an initialiser as well has that as its default.
    threshold = program.model.graph.inputs[1]
    threshold.const_value = ir.tensor(np.array(network.fitted.tau), name=THRESHOLD)
    program.model.graph.register_initializer(threshold)
    return program


def _example(network: DecidingNetwork) -> Tensor:
    """Return two samples: one would be taken for a number that never changes."""
    shape = network.network.shape
    return torch.zeros(2, shape.channels, shape.length)


def _threshold(network: DecidingNetwork) -> Tensor:
    return _number(network.fitted.tau)


def _number(value: float) -> Tensor:
    """Return a float64 tensor: PyTorch's ONNX exporter casts plain numbers through float32."""
    return torch.tensor(value, dtype=torch.float64)


def _column(column: FittedComponent, errors: Tensor) -> Tensor:
    """Return what `FittedComponent.read` does, `(n,)` float64."""
    values = errors.double() - _number(column.centre)
    if column.absolute:
        values = values.abs()
    assert not isinstance(column.logarithm, Octaves), "intervals are of samples, not of a network"
    if column.logarithm is not None:
        multiples = values / _number(column.logarithm.floor)
        values = torch.log1p(multiples.clamp(max=_number(LARGEST_LOGGED)))
    return values if column.limits is None else _scaled(values, column.limits)


def _scaled(values: Tensor, limits: Limits) -> Tensor:
    """Return what `Limits.apply` does."""
    if limits.minimum == limits.maximum:
        return torch.zeros_like(values)
    scaled = (values - _number(limits.minimum)) / _number(limits.maximum - limits.minimum)
    return scaled.clamp(_number(-LARGEST_SCALED), _number(LARGEST_SCALED))


def _score(fitted: FittedComposition, columns: list[Tensor]) -> Tensor:
    """Return what the composition's `score` does, `(n,)` float64."""
    if isinstance(fitted, FittedSum):
        weighted = zip(fitted.weights, columns, strict=True)
        return torch.stack([_number(weight) * column for weight, column in weighted]).sum(dim=0)
    if isinstance(fitted, FittedLargest):
        return torch.stack(columns).amax(dim=0)
    assert isinstance(fitted, FittedMachine)
    machine = fitted.machine
    coefficients = torch.from_numpy(machine.dual_coefficients)
    intercept = _number(machine.intercept)
    vectors = torch.from_numpy(np.ascontiguousarray(machine.vectors))  # (s, m)
    if machine.kernel == "linear":
        weights = coefficients @ vectors
        return torch.stack(columns, dim=1) @ weights + intercept
    distance = sum(
        (column[:, None] - vectors[None, :, j]) ** 2  # (n, s)
        for j, column in enumerate(columns)
    )
    assert isinstance(distance, Tensor)
    return torch.exp(_number(-machine.kernel_gamma) * distance) @ coefficients + intercept
