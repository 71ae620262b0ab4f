"""`python -m study.run`: run a study, or continue it where it stopped."""

import os
import shlex
import signal
import sys
from typing import Annotated

import typer

from study.errors import RequestError
from study.terminal.command import Command, give_up
from study.terminal.completion import complete_setting, complete_study

PROGRAM = "python -m study.run"

EXAMPLES = """\b
Examples:
  python -m study.run
  python -m study.run mitbih --set training.epochs=20 --set search.trials=10
  python -m study.run my_study.yaml --plan
  python -m study.run mitbih --plan --cluster cluster.yaml --price 0.6"""

app = Command("Run a study, or continue it where it stopped.")


@app.command(epilog=EXAMPLES)
def run(
    study: Annotated[
        str,
        typer.Argument(
            help="a shipped study's name, or the path of a YAML file",
            autocompletion=complete_study,
        ),
    ] = "quickstart",
    output: Annotated[str, typer.Option(help="folder or URI of all results")] = "results",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY.PATH=VALUE",
            help="override a setting; repeatable",
            autocompletion=complete_setting,
        ),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="data folder; else STUDY_DATA_DIR, else a cache folder")
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="a Ray cluster; else RAY_ADDRESS, else a private one on this machine"),
    ] = None,
    wait: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, max=86_400, help="how long to wait for the cluster's head"
        ),
    ] = 0.0,
    plan: Annotated[bool, typer.Option("--plan", help="say what would run, and stop")] = False,
    cluster: Annotated[
        str | None,
        typer.Option(help="with --plan: the `ray up` file of a cluster that is not there"),
    ] = None,
    price: Annotated[
        float | None, typer.Option(help="with --cluster: what a worker node costs an hour")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="start anew; the old results are kept aside")
    ] = False,
    replay: Annotated[
        str | None,
        typer.Option(
            metavar="RESULTS",
            help="a results folder of the same study: train its trials again, and follow its early"
            " stops",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="replaces the study's seed")] = None,
) -> None:
    """Run STUDY, or continue it where it stopped."""
    from study.config.study_file import load_study, locate_study
    from study.driver import plan_for_file, run_study, show_plan
    from study.request import Request
    from study.storage.folder import reach_folder
    from study.terminal.progress import open_console

    checked = load_study(study, set_ or (), seed)
    if cluster or price is not None:
        if not (plan and cluster):
            raise RequestError(
                "--cluster FILE plans for a cluster, with --plan; --price goes with it"
            )
        if address:
            raise RequestError("--cluster is a cluster that is not there: leave --address out")
    replayed = reach_folder(replay) if replay else None
    folder = locate_study(study).absolute().parent
    request = Request(checked, reach_folder(output), open_console(), fresh, replayed, folder)
    if cluster:
        plan_for_file(request, cluster, price)
        return
    address = address or os.environ.get("RAY_ADDRESS") or None
    if plan:
        show_plan(request, data, address, wait)
    else:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        run_study(request, data, address, _end_at_once, wait)


def _end_at_once(reason: str) -> None:
    give_up(reason, continuing_command(sys.argv[1:]))


def continuing_command(arguments: list[str]) -> str:
    """Return the command that continues what `arguments` started."""
    return shlex.join([*PROGRAM.split(), *(a for a in arguments if a != "--fresh")])


def main() -> int:
    """Run the command line; return its exit code."""
    return app.main(continuing=continuing_command(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
