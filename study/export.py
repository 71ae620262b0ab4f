"""`python -m study.export FOLD FILE`: a trained fold as a network for other runtimes."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.errors import RequestError
from study.terminal.command import Command

if TYPE_CHECKING:
    from models.exported import ScoringNetwork
    from study.detectors.trained import TrainedFold

FORM = """Input x: (samples, channels, length) float32 in the dataset's units, any number of
samples. Outputs: reconstruction_error, and as far as the model has them discrimination_error
and latent_norm, (samples,) float32 each; then reconstruction, in the shape and units of x;
of a model with a posterior last drawn_norm, (samples,) float32."""

app = Command(
    "Write a trained fold as a network for other runtimes: ONNX (.onnx) or torch.export (.pt2)."
)


@app.command(epilog=FORM)
def export(
    fold: Annotated[
        str, typer.Argument(metavar="FOLD", help="results/<study>/ledger/<trial>/fold-<k>")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a file ending in .onnx or .pt2")],
) -> None:
    """Write FOLD to FILE."""
    write = _WRITERS.get(file.suffix.lower())
    if write is None:
        raise RequestError(f"{file}: expected a file ending in {' or '.join(_WRITERS)}")
    if not file.absolute().parent.is_dir():
        raise RequestError(f"{file}: expected a file in a folder that exists, found none")
    from study.detectors.trained import locate, read_fold

    trial = locate(fold)
    if trial.fold is None:
        raise RequestError(f"{fold}: expected one fold, found a trial: add /fold-0 to it")
    trained = read_fold(trial, trial.fold)
    network = scoring_network(trained)
    write(network, trained, file)
    sys.stdout.write(f"x -> {', '.join(network.outputs)}; network in {file}\n")


def scoring_network(fold: "TrainedFold") -> "ScoringNetwork":
    """Return the network of a fold, its scaling included; the fold's model is frozen by it.

    Raises:
        RequestError: the model's errors need a search, draws, or no network.
    """
    from models.exported import ScoringNetwork

    scaling = fold.scaling
    limits = None
    if scaling is not None:
        limits = [(each.minimum, each.maximum) for each in scaling.limits]
    try:
        return ScoringNetwork(fold.model, limits)
    except TypeError as error:
        raise RequestError(f"{fold.location}: {fold.config.model.name}: {error}") from None


def _write_onnx(network: "ScoringNetwork", fold: "TrainedFold", file: Path) -> None:
    try:
        import onnxscript  # noqa: F401 - what torch.onnx writes with
    except ImportError:
        raise RequestError(
            f"{file}: expected the packages that write ONNX, found none: install this program's"
            " extra `export`"
        ) from None
    from models.exported import onnx_program

    # It warns of operations of packages that no model here needs.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program = onnx_program(network)
    program.model.metadata_props.update(_metadata(fold))
    # External data would be a second file.
    program.save(str(file), external_data=False)


def _write_torch(network: "ScoringNetwork", fold: "TrainedFold", file: Path) -> None:
    import torch

    from models.exported import exported_program

    torch.export.save(exported_program(network), str(file), extra_files=dict(_metadata(fold)))


def _metadata(fold: "TrainedFold") -> dict[str, str]:
    """Return which fold the network is of: the metadata of the file."""
    config = fold.config
    return {
        "model": config.model.name,
        "study": config.study,
        "dataset": config.dataset.name,
        "fold": "/".join(fold.location.split("/")[-2:]),
        # How what comes in is to be cut and scaled.
        "samples": json.dumps(config.dataset.model_dump(mode="json")),
    }


_WRITERS: dict[str, Callable[["ScoringNetwork", "TrainedFold", Path], None]] = {
    ".onnx": _write_onnx,
    ".pt2": _write_torch,
}


if __name__ == "__main__":
    sys.exit(app.main())
