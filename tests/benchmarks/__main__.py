"""`python -m tests.benchmarks [ID ...]`: measure, print one JSON object a line. Nothing here passes or fails."""

import argparse
import asyncio

import uvloop

from tests.benchmarks import machine, p1, p2, p3, p4, p5, p6, p7, p8, p9, short_runs
from tests.benchmarks.figures import note, say

BENCHMARKS = {
    "P1": p1.measure,
    "P3": p3.measure,
    "P2": p2.measure,
    "P4": p4.measure,
    "P5": p5.measure,
    "P6": p6.measure,
    "P7": p7.measure,
    "P8": p8.measure,
    "P9": p9.measure,
    "RUNS": short_runs.measure,
}

PRETENDING = {"P4", "P5", "P6", "P8", "P9", "RUNS"}
"""Those that run simulated servers in this very process, which feed git over pipes as asyncio's own loop allows it."""


def main() -> None:
    """Run the benchmarks that are asked for, all of them unless some are named."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks", description="Measure Conveyor on this machine.")
    parser.add_argument("id", nargs="*", choices=[[], *BENCHMARKS], help="which to run (default: all)")
    wanted = parser.parse_args().id or list(BENCHMARKS)
    note(machine.described())
    for benchmark_id in wanted:
        run = asyncio.run if benchmark_id in PRETENDING else uvloop.run
        for figure in run(BENCHMARKS[benchmark_id]()):
            say(figure)


if __name__ == "__main__":
    main()
