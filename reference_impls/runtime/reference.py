"""Makes of a protocol's design what tracekit offers: its description, and a function that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from reference_impls.runtime.cluster import Cluster
from reference_impls.runtime.faults import FAULTS, Nemesis
from reference_impls.runtime.plan import Design, Plan, Progress
from reference_impls.runtime.schedule import SCHEDULE, Schedule, schedule_of
from reference_impls.runtime.settings import command, coverage, validate
from tracekit.errors import TracekitError
from tracekit.protocols import Protocol, Simulation
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace


def protocol_of(design: Design) -> Protocol:
    """The design as tracekit offers it."""
    return Protocol(
        name=design.name,
        summary=design.summary,
        reference=design.reference,
        claims=design.claims,
        mutants=tuple(bug.mutant for bug in design.bugs.values()),
        faults={name: FAULTS[name].meaning for name in design.tolerates},
        other_faults={name: fault.meaning for name, fault in FAULTS.items() if name not in design.tolerates},
        simulate=lambda simulation, progress: simulate(design, simulation, progress),
        default_nodes=design.default_nodes,
        minimum_nodes=design.minimum_nodes,
        settings=design.settings,
        transports=design.transports,
        schedule_keys={name: fault.needs for name, fault in FAULTS.items()},
        schedule=SCHEDULE,
        simulated_faults=tuple(name for name, fault in FAULTS.items() if fault.simulated),
        networks=design.networks,
    )


def simulate(design: Design, simulation: Simulation, progress: Progress | None = None) -> Trace:
    """A run of the protocol with its workload.

    Raises
    ------
    TracekitError: TK401 to TK408, see `validate` and `plan_of`; over TCP also TK409 and TK410, see `run_processes`.
    """
    validate(design, simulation)
    plan = plan_of(design, simulation, progress)
    return RUNTIMES[simulation.transport](plan)


def simulated(plan: Plan) -> Trace:
    """In the simulator."""
    cluster = Cluster(plan)
    recording = cluster.run()
    return recording.trace(
        replace(
            declared(plan),
            coverage=coverage(recording.processes),
            bounds={**plan.design.bounds, **({} if plan.schedule.delays else cluster.network.bounds())},
            broken_assumptions=broken_assumptions(plan, cluster.nemesis),
        )
    )


def over_tcp(plan: Plan) -> Trace:
    """As real processes. No bound on delay is declared: the network's model holds, and the machine adds to it."""
    from reference_impls.runtime.tcp.run import run_processes

    trace, nemesis = run_processes(plan)
    run = replace(
        declared(plan),
        clocks=trace.run.clocks,
        coverage=trace.run.coverage,
        broken_assumptions=broken_assumptions(plan, nemesis),
    )
    return replace(trace, run=run)


RUNTIMES: Mapping[str, Callable[[Plan], Trace]] = {"sim": simulated, "tcp": over_tcp}
"""By the names of `tracekit.protocols.TRANSPORTS`."""


def plan_of(design: Design, simulation: Simulation, progress: Progress | None = None) -> Plan:
    """Settings and faults as they will be: what a mutant needs stands in for what the caller did not choose.

    Raises
    ------
    TracekitError: TK403 and TK406 from `schedule_of`, TK408 for a fault that the transport cannot have.
    """
    bug = design.bugs[simulation.mutant] if simulation.mutant else None
    defaults = {name: setting.default for name, setting in design.settings.items()}
    settings = {**defaults, **(bug.settings if bug else {}), **simulation.settings}
    provoked = bug is not None and simulation.faults is None and bug.faults is not None
    schedule = (
        Schedule(bug.faults or (), ambushes=bug.ambushes)
        if bug and provoked
        else schedule_of(simulation, possible_faults(simulation.transport, design.tolerated(settings)))
    )
    _refuse_impossible(simulation.transport, schedule)
    return Plan(design, replace(simulation, settings=settings), bug, schedule, progress)


def possible_faults(transport: str, names: Iterable[str]) -> tuple[str, ...]:
    """Which of these faults can be brought about there."""
    return tuple(name for name in names if transport == "sim" or not FAULTS[name].simulated)


def _refuse_impossible(transport: str, schedule: Schedule) -> None:
    possible = possible_faults(transport, FAULTS)
    for name in schedule.kinds:
        if name not in possible:
            raise TracekitError(
                "TK408",
                f"the fault {name} can only be simulated: {FAULTS[name].meaning}",
                at=f"--transport {transport}",
                want=", ".join(possible),
                help="name other faults with --faults, or leave it to the simulator: --transport sim",
            )


def declared(plan: Plan) -> Run:
    """What the trace says of the run beside its events, as far as it is known before."""
    design, simulation = plan.design, plan.simulation
    return Run(
        system=f"{design.name}, reference implementation{f', mutant {simulation.mutant}' if plan.bug else ''}",
        protocol=design.name,
        network=simulation.network,
        seed=simulation.seed,
        command=command(design, simulation, plan.bug),
        n=simulation.nodes,
        f=design.f(simulation.nodes),
        claims=design.claims,
        model=design.model,
        channels=design.channels,
        quiescent=design.quiescent,
        other={
            "faults": list(plan.schedule.kinds),
            **({"settings": dict(simulation.settings)} if simulation.settings else {}),
        },
    )


def _kept_network(plan: Plan) -> str:
    """The network whose promises were kept: on a real machine nobody promises a bound on delay."""
    return plan.simulation.network if plan.simulation.transport == "sim" else "async"


def broken_assumptions(plan: Plan, nemesis: Nemesis) -> tuple[str, ...]:
    """What the run bore and the protocol does not claim to bear."""
    name, f = plan.design.name, plan.design.f(plan.simulation.nodes)
    tolerated = plan.tolerates
    told = [f"{kind}: {name} does not claim to tolerate it" for kind in nemesis.happened if kind not in tolerated]
    if _kept_network(plan) not in plan.design.networks:
        told.append(f"{_kept_network(plan)} network: {name} needs one that is {' or '.join(plan.design.networks)}")
    if "crash" in tolerated and nemesis.most_down > max(f, 1):
        told.append(f"{nemesis.most_down} of {plan.simulation.nodes} nodes were down at one time; {name} tolerates {f}")
    return tuple(told)
