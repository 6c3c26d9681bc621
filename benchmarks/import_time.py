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


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    milliseconds("import telco_bridge")  # compiles the bytecode
    # In turn, so that a machine that slows down slows both.
    pairs = [(milliseconds("pass"), milliseconds("import telco_bridge")) for _ in range(runs)]
    bare = statistics.median(first for first, _ in pairs)
    ours = statistics.median(second for _, second in pairs)
    extra = statistics.median(second - first for first, second in pairs)
    print(f"bare interpreter      {bare:7.1f} ms (median of {runs})")
    print(f"import telco_bridge   {ours:7.1f} ms")
    print(f"difference            {extra:7.1f} ms (goal: under {GOAL_MS:.0f} ms)")


if __name__ == "__main__":
    main()
