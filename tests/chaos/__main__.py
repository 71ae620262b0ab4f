"""`python -m tests.chaos --kills 50 --seed 0`: the long form."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.chaos.harness import KINDS, Chaos

KILLS_A_TRIAL = 5
EPOCHS = 30


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="processes to kill, in turn")
    parser.add_argument("--runs", type=int, default=0, help="undisturbed runs to compare")
    parser.add_argument("--seed", type=int, default=0, help="decides order and moments")
    arguments = parser.parse_args()
    kinds = [KINDS[number % len(KINDS)] for number in range(arguments.kills)]
    random.Random(arguments.seed).shuffle(kinds)
    trials = max(2, arguments.kills // KILLS_A_TRIAL)
    with tempfile.TemporaryDirectory(prefix="study-chaos-") as folder:
        chaos = Chaos(Path(folder), trials, EPOCHS, arguments.seed)
        if arguments.runs:
            chaos.repeated(arguments.runs)
        if arguments.kills:
            chaos.undisturbed()
            chaos.disturbed(kinds)
            chaos.check_results()
            print(chaos.summary())  # noqa: T201
    print(*chaos.problems or ["no problem"], sep="\n")  # noqa: T201
    return 1 if chaos.problems or len(chaos.kills) < arguments.kills else 0


if __name__ == "__main__":
    sys.exit(main())
