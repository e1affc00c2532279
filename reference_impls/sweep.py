"""Runs a protocol over many seeds and judges every run: ``python -m reference_impls.sweep raft --seeds 200``.

Without `--mutants` every run has to hold; the seeds draw their faults, and go through all networks unless one is named.
With `--mutants` every bug has to be caught, by the check that it names, within the seeds. Exit code 0: so it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter

from tracekit.protocols import NETWORKS, Mutant, Protocol, Simulation, protocols


def main() -> int:
    """Parses the arguments and runs the sweep."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("protocol", choices=sorted(protocols()))
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--network", choices=NETWORKS, help="default: one after the other")
    parser.add_argument("--mutants", action="store_true", help="run every mutant instead (on its default network)")
    arguments = parser.parse_args()
    protocol = protocols()[arguments.protocol]
    if arguments.mutants:
        caught = [_hunt(protocol, mutant, arguments.seeds, arguments.operations) for mutant in protocol.mutants]
        return 0 if all(caught) else 1
    return _sweep(protocol, arguments.seeds, arguments.operations, arguments.network)


def _judge(protocol: Protocol, simulation: Simulation) -> tuple[int, str, list[str]]:
    """Events, verdict and violated checks of one run."""
    from tracekit.analysis import analyze

    trace = protocol.simulate(simulation, None)
    result = analyze(trace)
    return len(trace), str(result.verdict), [c.check for c in result.required if str(c.verdict) == "violated"]


def _sweep(protocol: Protocol, seeds: int, operations: int, network: str | None) -> int:
    verdicts: Counter[str] = Counter()
    events = 0
    began = time.perf_counter()
    for seed in range(seeds):
        simulation = Simulation(
            nodes=(protocol.default_nodes, 3, 1, 7)[seed // 3 % 4]
            if protocol.minimum_nodes == 1
            else protocol.default_nodes,
            seed=seed,
            network=network or NETWORKS[seed % len(NETWORKS)],
            operations=operations,
        )
        count, verdict, violated = _judge(protocol, simulation)
        events += count
        verdicts[verdict] += 1
        if verdict != "holds":
            print(f"{simulation}: {verdict} {' '.join(violated)}")
        elif sys.stderr.isatty():
            print(f"\r{seed + 1} of {seeds}", end="", file=sys.stderr)
    seconds = time.perf_counter() - began
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    print(f"{protocol.name}: {seeds} seeds, {events:,} events, {seconds:.0f} s: {told}")
    return 0 if set(verdicts) <= {"holds"} else 1


def _hunt(protocol: Protocol, mutant: Mutant, seeds: int, operations: int) -> bool:
    found: Counter[str] = Counter()
    first = None
    for seed in range(seeds):
        simulation = Simulation(protocol.default_nodes, seed, mutant=mutant.name, operations=operations)
        violated = _judge(protocol, simulation)[2]
        found.update(violated)
        if first is None and mutant.caught_by in violated:
            first = seed
    others = ", ".join(f"{name} {count}" for name, count in found.most_common() if name != mutant.caught_by)
    print(
        f"{mutant.name:<24} {mutant.caught_by:<28} {found[mutant.caught_by]:>3} of {seeds} seeds, "
        f"first {'none' if first is None else first}{'; also ' + others if others else ''}"
    )
    return first is not None


if __name__ == "__main__":
    sys.exit(main())
