"""`python -m study.export FOLD FILE`: a trained fold as a network for other runtimes."""

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from study.errors import RequestError
from study.storage.durable import replacing
from study.terminal.command import Command

if TYPE_CHECKING:
    from models.exported import ScoringNetwork
    from study.detectors.exported_decision import DecidingNetwork
    from study.detectors.trained import TrainedFold

    Network = ScoringNetwork | DecidingNetwork

FORM = """Input x: (samples, channels, length) float32 in the dataset's units, any number of
samples. Outputs: reconstruction_error, and as far as the model has them discrimination_error
and latent_norm, (samples,) float32 each; then reconstruction, in the shape and units of x;
of a model with a posterior drawn_norm, (samples,) float32; last score, (samples,) float64, and
decision, (samples,) int8, 1 where the score is above the threshold. The threshold of an ONNX
file is the input tau, which may be left out."""

app = Command(
    "Write a trained fold as a network for other runtimes: ONNX (.onnx) or torch.export (.pt2)."
)


@app.command(epilog=FORM)
def export(
    fold: Annotated[
        str, typer.Argument(metavar="FOLD", help="results/<study>/ledger/<trial>/fold-<k>")
    ],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a file ending in .onnx or .pt2")],
    composition: Annotated[
        str | None, typer.Option(help="how errors become a score; else that of the study's metric")
    ] = None,
    latent_form: Annotated[
        str | None, typer.Option(help="implicit, chi_mode or empirical_mode; else the metric's")
    ] = None,
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
    trained = read_fold(trial, trial.fold, composition, latent_form)
    network: Network
    network = scoring = scoring_network(trained)
    missing = _missing_of_the_decision(trained)
    if missing:
        sys.stdout.write(f"errors alone, without score and decision: {missing}\n")
    else:
        from study.detectors.exported_decision import DecidingNetwork

        network = DecidingNetwork(scoring, trained.fitted)
    with replacing([file]) as (draft,):
        write(network, trained, draft)
    sys.stdout.write(f"x -> {', '.join(network.outputs)}; network in {file}\n")


def _missing_of_the_decision(fold: "TrainedFold") -> str:
    """Return what a fold's decision needs and no file can hold, in words; "" for nothing."""
    if fold.config.scores.reference != "none":
        return "errors are compared with those of the record"
    own = [c.name for c in fold.fitted.columns if c.name not in fold.model.components]
    if own:
        return f"{fold.composition} needs {', '.join(own)} of the samples"
    from study.detectors.exported_decision import has_form

    return "" if has_form(fold.fitted) else "the composition has no form for other runtimes"


def scoring_network(fold: "TrainedFold") -> "ScoringNetwork":
    """Return the network of a fold, its scaling included; the fold's model is frozen by it.

    Raises:
        RequestError: the model's errors need a search, draws, or no network.
    """
    from models.exported import OWN_LIMITS, ScoringNetwork

    scaling = fold.scaling
    own = OWN_LIMITS if fold.rows.scales_rows else None
    fixed = scaling and [(each.minimum, each.maximum) for each in scaling.limits]
    try:
        return ScoringNetwork(fold.model, fixed or own)
    except TypeError as error:
        raise RequestError(f"{fold.location}: {fold.config.model.name}: {error}") from None


def _write_onnx(network: "Network", fold: "TrainedFold", file: Path) -> None:
    try:
        import onnxscript  # noqa: F401 - what torch.onnx writes with
    except ImportError:
        raise RequestError(
            f"{file}: expected the packages that write ONNX, found none: install this program's"
            " extra `export`"
        ) from None
    from models.exported import ScoringNetwork, onnx_program
    from study.detectors.exported_decision import deciding_onnx

    # It warns of operations of packages that no model here needs.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    program: Any
    if isinstance(network, ScoringNetwork):
        program = onnx_program(network)
    else:
        program = deciding_onnx(network)
    program.model.metadata_props.update(_metadata(fold))
    # External data would be a second file.
    program.save(str(file), external_data=False)


def _write_torch(network: "Network", fold: "TrainedFold", file: Path) -> None:
    import torch

    from models.exported import ScoringNetwork, exported_program
    from study.detectors.exported_decision import deciding_program

    if isinstance(network, ScoringNetwork):
        program = exported_program(network)
    else:
        program = deciding_program(network)
    torch.export.save(program, str(file), extra_files=dict(_metadata(fold)))


def _metadata(fold: "TrainedFold") -> dict[str, str]:
    """Return which fold the network is of: the metadata of the file."""
    config = fold.config
    return {
        "model": config.model.name,
        "study": config.study,
        "dataset": config.dataset.name,
        "fold": "/".join(fold.location.split("/")[-2:]),
        "composition": fold.composition,
        "latent_form": fold.latent_form,
        "tau": repr(fold.fitted.tau),
        # How what comes in is to be cut and scaled.
        "samples": json.dumps(config.dataset.model_dump(mode="json")),
    }


_WRITERS: dict[str, Callable[["Network", "TrainedFold", Path], None]] = {
    ".onnx": _write_onnx,
    ".pt2": _write_torch,
}


if __name__ == "__main__":
    sys.exit(app.main())
