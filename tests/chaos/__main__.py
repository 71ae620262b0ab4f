"""`python -m tests.chaos --kills 50 --seed 0`: the long form.

With `--at-a-time 4 --stopping` trials run side by side and some are stopped early: which ones
then depends on what came first, so that the study is held against its own replay.
"""

import argparse
import random
import signal
import sys
import tempfile
from pathlib import Path

from tests.chaos.form import Form
from tests.chaos.harness import REPLAYED, UNDISTURBED, Chaos
from tests.chaos.kills import ENDS_THE_DRIVER, KINDS, summary
from tests.gate import Gate

KILLS_A_TRIAL, KILLS_A_PARALLEL_TRIAL = 5, 2
EPOCHS = 30
PACE_SECONDS = 6.0
"""With several trials at a time all but one train on while that one recovers."""
UNBOUNDED = 10**9


def main() -> int:
    """Kill processes as the command line says, and check what is left."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="processes to kill, in turn")
    parser.add_argument("--runs", type=int, default=0, help="undisturbed runs to compare")
    parser.add_argument("--seed", type=int, default=0, help="decides order and moments")
    parser.add_argument("--at-a-time", type=int, default=1, help="trials that run side by side")
    parser.add_argument("--stopping", action="store_true", help="stop trials early, by ASHA")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # nothing is left of the runs
    is_parallel = arguments.at_a_time > 1
    # What ends the driver ends all trials alike; of what does not, others go on meanwhile.
    others = [kind for kind in KINDS if is_parallel and kind not in ENDS_THE_DRIVER]
    order = [*KINDS, *others]
    kinds = [order[number % len(order)] for number in range(arguments.kills)]
    random.Random(arguments.seed).shuffle(kinds)
    kills_a_trial = KILLS_A_PARALLEL_TRIAL if is_parallel else KILLS_A_TRIAL
    trials = max(2, arguments.at_a_time, arguments.kills // kills_a_trial)
    form = Form(trials, EPOCHS, arguments.at_a_time, arguments.stopping)
    with tempfile.TemporaryDirectory(prefix="study-chaos-") as folder:
        gate = Gate(Path(folder), UNBOUNDED, PACE_SECONDS) if is_parallel else None
        chaos = Chaos(Path(folder), form, arguments.seed, gate)
        if arguments.runs:
            chaos.repeated(arguments.runs)
        if arguments.kills:
            if not is_parallel:
                chaos.undisturbed()
            chaos.disturbed(kinds)
            if is_parallel:
                chaos.replayed()
            chaos.check_results(REPLAYED if is_parallel else UNDISTURBED)
            print(summary(chaos.kills))  # noqa: T201
    print(*chaos.problems or ["no problem"], sep="\n")  # noqa: T201
    return 1 if chaos.problems or len(chaos.kills) < arguments.kills else 0


if __name__ == "__main__":
    sys.exit(main())
