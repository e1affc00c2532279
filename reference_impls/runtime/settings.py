"""Whether a simulation can be run, which faults it gets, and what its trace declares about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from random import Random

from reference_impls.runtime.network import NETWORKS
from tracekit.errors import TracekitError, nearest
from tracekit.protocols import Protocol, Simulation


def validate(protocol: Protocol, simulation: Simulation) -> None:
    """Refuses what cannot be run.

    Raises
    ------
    TracekitError: TK401 too few nodes, TK402 unknown network, TK403 unknown fault, TK404 unknown mutant, TK405 a
        number of clients or operations that makes no workload.
    """
    if simulation.nodes < protocol.minimum_nodes:
        raise TracekitError(
            "TK401",
            f"{protocol.name} cannot run on {simulation.nodes} nodes",
            at="--nodes",
            found=str(simulation.nodes),
            want=f"{protocol.minimum_nodes} or more",
        )
    _known("TK402", "network", simulation.network, NETWORKS, "--network")
    for fault in simulation.faults or ():
        _known("TK403", f"fault that {protocol.name} tolerates", fault, protocol.faults, "--faults")
    if simulation.mutant is not None:
        names = [mutant.name for mutant in protocol.mutants]
        _known("TK404", f"mutant of {protocol.name}", simulation.mutant, names, "--mutant")
    if simulation.clients < 1 or simulation.operations < 0:
        raise TracekitError(
            "TK405",
            "this is no workload",
            at="--clients, --operations",
            found=f"{simulation.clients} clients, {simulation.operations} operations",
            want="1 client or more, 0 operations or more",
        )


def _known(code: str, what: str, name: str, known: Collection[str], at: str) -> None:
    if name in known:
        return
    near = nearest(name, known)
    raise TracekitError(
        code,
        f"no {what} is named {name or '(nothing)'}",
        at=at,
        want=", ".join(known) or "none: there are none",
        help=f"{' or '.join(near)} may be meant" if near else None,
    )


def draw_faults(simulation: Simulation, tolerated: Iterable[str]) -> tuple[str, ...]:
    """The faults asked for; where none were named, two to four of those tolerated, drawn from the seed."""
    if simulation.faults is not None:
        return tuple(dict.fromkeys(simulation.faults))
    names = list(tolerated)
    random = Random(f"{simulation.seed}/fault names")
    count = min(len(names), random.randint(2, 4))
    return tuple(sorted(random.sample(names, count), key=names.index))


def command(protocol: Protocol, simulation: Simulation) -> str:
    """The command that makes the same run again; options that have their default are left out."""
    options: Mapping[str, tuple[object, object]] = {
        "--network": (simulation.network, "async"),
        "--faults": (None if simulation.faults is None else ",".join(simulation.faults) or "none", None),
        "--mutant": (simulation.mutant, None),
        "--clients": (simulation.clients, 4),
        "--operations": (simulation.operations, 1000),
    }
    words = ["tracekit", "simulate", protocol.name, "--nodes", str(simulation.nodes), "--seed", str(simulation.seed)]
    for option, (value, default) in options.items():
        if value != default:
            words += option, str(value)
    return " ".join([*words, "-o", "run.parquet"])


def coverage(processes: Sequence[str]) -> Mapping[str, Mapping[str, bool]]:
    """A simulator records every event of every process."""
    return {process: {"start": True, "end": True} for process in processes}
