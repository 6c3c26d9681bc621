"""How long `import telco_bridge` takes beyond a bare interpreter: `python benchmarks/import_time.py [RUNS]`."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

GOAL_MS = 60.0


def milliseconds(code: str) -> float:
    """The wall time of one fresh interpreter that runs the code."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - began) * 1000.0


STEPS = {
    "import telco_bridge": "import telco_bridge",
    "... and its names": "from telco_bridge import Modality, TerminationReason, connect",
    "... and a bridge": "from telco_bridge import connect; connect({'provider': 'simulator'})",
}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    codes = ["pass", *STEPS.values()]
    for code in codes:
        milliseconds(code)  # compiles the bytecode
    # In turn, so that a machine that slows down slows all.
    rounds = [[milliseconds(code) for code in codes] for _ in range(runs)]
    bare = statistics.median(first for first, *_ in rounds)
    print(f"bare interpreter       {bare:7.1f} ms (median of {runs})")
    for index, name in enumerate(STEPS, start=1):
        extra = statistics.median(times[index] - times[0] for times in rounds)
        goal = f" (goal: under {GOAL_MS:.0f} ms)" if index == 1 else ""
        print(f"{name:20} + {extra:7.1f} ms{goal}")


if __name__ == "__main__":
    main()
