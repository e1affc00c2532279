"""Raft as tracekit offers it: its promises, its faults, its mutants, its clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reference_impls.protocols.raft.administrator import clients_and_administrator
from reference_impls.protocols.raft.mutants import BUGS
from reference_impls.protocols.raft.node import RaftNode
from reference_impls.runtime.faults import FAULTS
from reference_impls.runtime.plan import Design
from tracekit.protocols import Setting, Simulation

SETTINGS = {
    "reads": Setting(
        "How a leader answers reads: after a round of heartbeats (thesis 6.4), by its lease (6.4.1), or by its log.",
        ("index", "lease", "log"),
    ),
    "membership": Setting(
        "How an administrator changes the members: by joint consensus (paper 6), one server at a time (thesis 4.1), "
        "or not at all.",
        ("joint", "single", "none"),
    ),
    "effective": Setting(
        "When a server uses a new configuration: once it is in its log (paper 6), or once it is committed.",
        ("append", "apply"),
    ),
    "compaction": Setting(
        "After how many applied entries a server takes a snapshot and discards its log (paper 7).",
        ("40", "10", "never"),
    ),
}


def _arguments(simulation: Simulation, place: int) -> Mapping[str, Any]:
    settings = simulation.settings
    return {
        "reads": settings["reads"],
        "single": settings["membership"] == "single",
        "effective": settings["effective"],
        "compaction": 0 if settings["compaction"] == "never" else int(settings["compaction"]),
    }


def _not_borne(settings: Mapping[str, str]) -> tuple[str, ...]:
    """A lease is measured on one clock and kept on others. (A pause does no harm: a read is answered as of the moment
    at which the lease held.)"""
    return ("clock-drift", "clock-step") if settings["reads"] == "lease" else ()


DESIGN = Design(
    name="raft",
    summary="Raft consensus under a replicated key-value store",
    reference="Ongaro & Ousterhout, In Search of an Understandable Consensus Algorithm (extended version), 2014; "
    "Ongaro, Consensus: Bridging Theory and Practice, 2014",
    domain="raft",
    claims=("clock.*", "channel.delivery", "raft.*", "consistency.linearizable"),
    node=RaftNode,
    workload=clients_and_administrator,
    bugs=BUGS,
    tolerates=tuple(fault for fault in FAULTS if fault != "disk-loss"),
    not_tolerated=_not_borne,
    model="kv",
    arguments=_arguments,
    settings=SETTINGS,
    default_nodes=5,
    minimum_nodes=1,
)
