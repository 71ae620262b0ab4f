"""`python -m tests.cluster.ray_up --log FILE`: `ray up`, studies, and `ray down`, for real."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.cluster.ray_up.exercise import Exercise
from tests.cluster.ray_up.machines import Lab, missing

NODES = ("head", "worker-1", "worker-2")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.ray_up", description=__doc__)
    parser.add_argument("--log", type=Path, default=Path(os.devnull), help="gets every step")
    arguments = parser.parse_args()
    if why := missing():
        print(why)  # noqa: T201
        return 2
    with (
        arguments.log.open("w") as log,
        tempfile.TemporaryDirectory(prefix="study-ray-up-") as folder,
    ):
        exercise = Exercise(Lab(Path(folder), NODES), log)
        exercise.run()
        print(*exercise.problems or ["no problem"], sep="\n")  # noqa: T201
    return 1 if exercise.problems else 0


if __name__ == "__main__":
    sys.exit(main())
