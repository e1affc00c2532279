"""Runs protocols over many seeds and judges every run: ``python -m reference_impls.sweep raft --seeds 300``.

Every run has to hold, and its table has to be the claims' whole: the seeds draw their faults among those tolerated, and
go through all networks that the protocol rests on, and several sizes, unless one is named. Exit code 0: so it was.
``all`` runs every protocol.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tracekit.protocols import NETWORKS, Protocol, Simulation, protocols


def main() -> int:
    """Parses the arguments and runs the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("protocol", choices=["all", *sorted(protocols())])
    parser.add_argument("--seeds", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--operations", type=int, default=300)
    parser.add_argument("--network", choices=NETWORKS, help="default: one after the other")
    parser.add_argument("--nodes", type=int, help="default: several sizes")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    names = sorted(protocols()) if arguments.protocol == "all" else [arguments.protocol]
    return max(_sweep(name, arguments) for name in names)


def judge(name: str, simulation: Simulation) -> tuple[int, str, list[str], list[str]]:
    """Events, verdict, violated and unknown required checks of one run."""
    from tracekit.analysis import analyze

    trace = protocols()[name].simulate(simulation, None)
    result = analyze(trace)
    found = {verdict: [c.check for c in result.required if str(c.verdict) == verdict] for verdict in VERDICTS}
    return len(trace), str(result.verdict), found["violated"], found["unknown"]


VERDICTS = ("violated", "unknown")


def _sweep(name: str, arguments: argparse.Namespace) -> int:
    protocol = protocols()[name]
    simulations = list(_simulations(protocol, arguments))
    verdicts: Counter[str] = Counter()
    events = 0
    began = time.perf_counter()
    with ProcessPoolExecutor(arguments.jobs) as pool:
        runs = (
            map(partial(judge, name), simulations)
            if arguments.jobs == 1
            else pool.map(partial(judge, name), simulations)
        )
        for simulation, (count, verdict, violated, unknown) in zip(simulations, runs, strict=True):
            events += count
            verdicts[verdict] += 1
            if verdict != "holds":
                print(f"{simulation}: {verdict} {' '.join(violated + unknown)}", flush=True)
            elif sys.stderr.isatty():
                print(f"\r{name}: seed {simulation.seed}", end="", file=sys.stderr)
    seconds = time.perf_counter() - began
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    print(f"{name}: {len(simulations)} runs, {events:,} events, {seconds:.0f} s: {told}", flush=True)
    return 0 if set(verdicts) <= {"holds"} else 1


def _simulations(protocol: Protocol, arguments: argparse.Namespace) -> Iterator[Simulation]:
    sizes = [n for n in (protocol.default_nodes, 3, 1, 7) if n >= protocol.minimum_nodes]
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        yield Simulation(
            nodes=arguments.nodes or sizes[seed // 3 % len(sizes)],
            seed=seed,
            network=arguments.network or protocol.networks[seed % len(protocol.networks)],
            operations=arguments.operations,
        )


if __name__ == "__main__":
    sys.exit(main())
