"""`python -m study.watch RESULTS`: the page of a study, while it runs."""

import sys
from typing import Annotated

import typer

from study.terminal.command import Command

PORT = 8600

app = Command("Serve the page of a study while it runs, on this machine alone.")


@app.command()
def watch(
    results: Annotated[str, typer.Argument(help="a study's folder, e.g. results/wafer")],
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free")] = PORT,
) -> None:
    """Serve the page of RESULTS, which changes as its ledger does; Ctrl-C ends it."""
    import asyncio

    from study.live_server import Watch, serve
    from study.storage.folder import reach_folder

    def show(address: str) -> None:
        sys.stdout.write(f"{address} shows {folder.locate()}; Ctrl-C ends it\n")
        sys.stdout.flush()

    folder = reach_folder(results)
    asyncio.run(serve(Watch(folder), port, show))


if __name__ == "__main__":
    sys.exit(app.main())
