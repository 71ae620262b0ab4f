import errno
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from models.interface import Shape
from study import Detector, export, load_detector
from study.config.trial_config import TrialConfig
from study.data.ucr import UcrSettings
from study.detectors import trained
from study.detectors.exported_decision import DecidingNetwork, deciding_onnx
from study.detectors.row_form import RowForm
from study.scores.components import Float, SplitErrors
from study.scores.compositions import FittedComposition, FittedSum
from study.scores.settings import ScoreSettings
from study.terminal.command import REQUEST_WRONG
from tests.study.conftest import Trained

pytestmark = pytest.mark.slow


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["export", *map(str, arguments)])
    return export.app.main()


def test_an_onnx_file_gives_the_stored_errors_and_decisions(
    trained_beats: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "m.onnx"
    assert run(monkeypatch, trained_beats.fold(), file) == 0
    assert capsys.readouterr().out.startswith("x -> reconstruction_error, discrimination_error, ")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {"x": trained_beats.samples.values}), strict=True))
    stored = trained_beats.stored()
    for name in ("reconstruction_error", "discrimination_error", "latent_norm"):
        np.testing.assert_allclose(outputs[name], stored[name], rtol=1e-3, atol=1e-5, err_msg=name)
    assert outputs["reconstruction"].shape == trained_beats.samples.values.shape
    assert_decides_alike(file, trained_beats)
    described = {each.key: each.value for each in onnx.load(file).metadata_props}
    assert described["model"] == "beta_vaegan"
    assert described["dataset"] == "mitbih"
    assert json.loads(described["samples"]) == {"name": "mitbih", "length": 96, "limit": None}


OWN = {"usual": {"components": ("reconstruction_error", "latent_norm"), "rule": "quantile"}}
LOGARITHMIC = ScoreSettings(compositions=OWN, lambda_steps=5, gamma_steps=4, scale="log")


class Given(torch.nn.Module):
    """A scoring network whose errors are the values of the samples themselves."""

    outputs = ("reconstruction_error", "discrimination_error", "latent_norm", "drawn_norm")
    shape = Shape(1, len(outputs))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x[:, 0].unbind(dim=1)


@pytest.mark.parametrize("asked", [("gamma_grid", "chi_mode"), ("usual", None)])
def test_an_onnx_file_decides_of_errors_as_the_composition_does(
    trained_beats: Trained, monkeypatch: pytest.MonkeyPatch, asked: tuple[str, str | None]
) -> None:
    """Without the network that gives them, which takes long to write."""
    monkeypatch.setattr(trained, "_config", with_scores(LOGARITHMIC))
    fold = trained.read_fold(trained.locate(str(trained_beats.fold())), 0, *asked)
    given: Any = Given()
    program = deciding_onnx(DecidingNetwork(given, fold.fitted))
    stored = trained_beats.stored()[list(Given.outputs)].to_numpy()
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    score, decision = session.run(["score", "decision"], {"x": stored[:, np.newaxis]})
    values = dict(zip(Given.outputs, stored.T, strict=True))
    expected = fold.fitted.score(SplitErrors(trained_beats.samples.label, values))
    np.testing.assert_allclose(score, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(decision, score > fold.fitted.tau)


@pytest.mark.parametrize("composition", ["usual", "lambda_grid", "svm_gamma"])
def test_what_is_exported_decides_as_the_program_does(
    trained_beats: Trained, monkeypatch: pytest.MonkeyPatch, composition: str
) -> None:
    """In PyTorch, before it is written."""
    monkeypatch.setattr(trained, "_config", with_scores(LOGARITHMIC))
    samples, place = trained_beats.samples.values, str(trained_beats.fold())
    fold = trained.read_fold(trained.locate(place), 0, composition)
    network = DecidingNetwork(export.scoring_network(fold), fold.fitted)
    tau = torch.tensor(fold.fitted.tau, dtype=torch.float64)
    with torch.inference_mode():
        *_, score, decision = (each.numpy() for each in network(torch.from_numpy(samples), tau))
    expected = load_detector(place, composition).score(samples)
    np.testing.assert_allclose(score, expected.score, rtol=1e-3, atol=1e-4)
    clear = np.abs(expected.score - fold.fitted.tau) > 1e-5
    assert clear.sum() >= len(samples) - 1
    np.testing.assert_array_equal(decision[clear], expected.decision[clear])


def test_samples_that_are_scaled_by_themselves_have_the_errors_that_the_program_gives_them(
    trained_beats: Trained,
) -> None:
    fold = trained.read_fold(trained.locate(str(trained_beats.fold())), 0)
    dataset = UcrSettings(length=96, path=("a.tsv",), normal_labels=("1",), scaling="sample")
    fold = replace(fold, rows=RowForm(dataset, fold.model.shape, None))
    x = 40 + 25 * trained_beats.samples.values
    x[2] = 3.5  # constant
    network = export.scoring_network(fold)
    with torch.inference_mode():
        result = dict(zip(network.outputs, network(torch.from_numpy(x)), strict=True))
    for name, expected in Detector((fold,)).errors(x).items():
        np.testing.assert_allclose(result[name], expected, rtol=1e-3, atol=1e-5, err_msg=name)


def assert_decides_alike(file: Path, trained_beats: Trained) -> None:
    samples = trained_beats.samples.values
    expected = load_detector(str(trained_beats.fold())).score(samples)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, {"x": samples}), strict=True))
    assert names[-2:] == ["score", "decision"]
    np.testing.assert_allclose(outputs["score"], expected.score, rtol=1e-3, atol=1e-4)
    # A threshold that is a sample's own score has that sample on either side of it by rounding.
    tau = onnx.numpy_helper.to_array(
        next(each for each in onnx.load(file).graph.initializer if each.name == "tau")
    )
    clear = np.abs(expected.score - tau) > 1e-5
    assert clear.sum() >= len(samples) - 1
    np.testing.assert_array_equal(outputs["decision"][clear], expected.decision[clear])
    # The threshold is an input with a default.
    lower = float(np.median(expected.score))
    lowered = session.run(["decision"], {"x": samples, "tau": np.array(lower)})[0]
    np.testing.assert_array_equal(lowered, (outputs["score"] > lower).astype(np.int8))


def with_scores(scores: ScoreSettings) -> Callable[..., TrialConfig]:
    """Read a fold's configuration with other settings of scores."""
    original = trained._config

    def read(*arguments: Any) -> TrialConfig:
        return original(*arguments).model_copy(update={"scores": scores})

    return read


def test_a_torch_file_gives_the_stored_errors_and_decides_by_the_composition_that_is_asked_for(
    trained_beats: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, asked = tmp_path / "m.pt2", ("gamma_grid", "chi_mode")
    options = ("--composition", asked[0], "--latent-form", asked[1])
    assert run(monkeypatch, trained_beats.fold(1), file, *options) == 0
    samples = trained_beats.samples.values
    outputs = torch.export.load(file).module()(torch.from_numpy(samples))
    expected = load_detector(str(trained_beats.fold(1)), *asked).score(samples).decision
    np.testing.assert_array_equal(outputs[-1].numpy(), expected)
    stored = trained_beats.stored(1)["reconstruction_error"]
    np.testing.assert_allclose(outputs[0].numpy(), stored, rtol=1e-3, atol=1e-5)


class FittedMaximum(FittedComposition):
    """As `docs/new_composition.md` makes one."""

    def score(self, split: SplitErrors) -> Float:
        return np.stack([column.read(split) for column in self.columns], axis=1).max(axis=1)


class FittedSquare(FittedSum):
    def score(self, split: SplitErrors) -> Float:
        return super().score(split) ** 2


@pytest.mark.parametrize("own", [FittedMaximum, FittedSquare])
def test_of_a_composition_of_another_class_the_errors_alone_are_written(
    trained_beats: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own: type[FittedComposition],
) -> None:
    fold = trained.read_fold(trained.locate(str(trained_beats.fold())), 0)
    fitted = fold.fitted
    weights = ((1.0, 1.0),) if own is FittedSquare else ()
    fitted = own(fitted.columns, "threshold", np.nan, np.nan, 0.5, *weights)
    monkeypatch.setattr(trained, "read_fold", lambda *_: replace(fold, fitted=fitted))
    assert run(monkeypatch, trained_beats.fold(), tmp_path / "m.pt2") == 0
    printed = capsys.readouterr().out
    assert "errors alone, without score and decision: the composition has no form" in printed
    assert "decision" not in printed.splitlines()[-1]
    samples = torch.from_numpy(trained_beats.samples.values)
    outputs = torch.export.load(tmp_path / "m.pt2").module()(samples)
    assert len(outputs) == len(fold.model.components) + 1


def test_a_wrong_request_is_one_line_and_writes_nothing(
    trained_beats: Trained,
    trained_rows: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for place, file, said in (
        (trained_beats.fold(), tmp_path / "m.pt", "expected a file ending in .onnx or .pt2"),
        (trained_beats.fold(), tmp_path / "no" / "m.onnx", "in a folder that exists"),
        (trained_beats.place, tmp_path / "m.onnx", "expected one fold, found a trial"),
        (trained_rows.fold(), tmp_path / "m.onnx", "pca: only models whose encoder gives z"),
    ):
        assert run(monkeypatch, place, file) == REQUEST_WRONG
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_could_not_be_written_leaves_the_file_that_was_there(
    trained_beats: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_half(network: object, fold: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    file = tmp_path / "m.onnx"
    file.write_bytes(b"whole")
    monkeypatch.setitem(export._WRITERS, ".onnx", write_half)
    assert run(monkeypatch, trained_beats.fold(), file) == 1
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]
