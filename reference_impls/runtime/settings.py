"""Whether a simulation can be run, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence

from reference_impls.runtime.network import NETWORKS
from reference_impls.runtime.plan import Bug, Design
from tracekit.errors import TracekitError, nearest
from tracekit.protocols import Simulation


def validate(design: Design, simulation: Simulation) -> None:
    """Refuses what cannot be run.

    Raises
    ------
    TracekitError: TK401 too few nodes, TK402 unknown network or transport, TK404 unknown mutant, TK405 a number of
        clients or operations that makes no workload, TK407 unknown setting or value of one.
    """
    if simulation.nodes < design.minimum_nodes:
        raise TracekitError(
            "TK401",
            f"{design.name} cannot run on {simulation.nodes} nodes",
            at="--nodes",
            found=str(simulation.nodes),
            want=f"{design.minimum_nodes} or more",
        )
    _known("TK402", "network", simulation.network, NETWORKS, "--network")
    _known("TK402", f"transport of {design.name}", simulation.transport, design.transports, "--transport")
    if simulation.mutant is not None:
        _known("TK404", f"mutant of {design.name}", simulation.mutant, design.bugs, "--mutant")
    if simulation.clients < 1 or simulation.operations < 0:
        raise TracekitError(
            "TK405",
            "this is no workload",
            at="--clients, --operations",
            found=f"{simulation.clients} clients, {simulation.operations} operations",
            want="1 client or more, 0 operations or more",
        )
    for name, value in simulation.settings.items():
        _known("TK407", f"setting of {design.name}", name, design.settings, "settings")
        _known("TK407", f"value of {name}", value, design.settings[name].values, f"--{name}")


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


def command(design: Design, simulation: Simulation, bug: Bug | None) -> str:
    """The command that makes the same run again; options that have their default are left out."""
    options: Mapping[str, tuple[object, object]] = {
        "--network": (simulation.network, design.networks[0]),
        "--transport": (simulation.transport, "sim"),
        "--faults": (None if simulation.faults is None else ",".join(simulation.faults) or "none", None),
        "--mutant": (simulation.mutant, None),
        "--clients": (simulation.clients, 4),
        "--operations": (simulation.operations, 1000),
    }
    words = ["tracekit", "simulate", design.name, "--nodes", str(simulation.nodes), "--seed", str(simulation.seed)]
    for option, (value, default) in options.items():
        if value != default:
            words += option, str(value)
    for name, setting in design.settings.items():
        usual = bug.settings.get(name, setting.default) if bug else setting.default
        if simulation.settings.get(name, usual) != usual:
            words += f"--{name}", simulation.settings[name]
    return shlex.join([*words, "-o", "run.parquet"])


def coverage(processes: Sequence[str]) -> Mapping[str, Mapping[str, bool]]:
    """A simulator records every event of every process."""
    return {process: {"start": True, "end": True} for process in processes}
