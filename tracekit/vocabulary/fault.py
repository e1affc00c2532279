"""Faults: what somebody, or the simulator, did to the system. Their events have kind `fault`, at process `nemesis`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tracekit.trace.schema import Field, Type
from tracekit.vocabulary import Vocabulary

FIELDS = (
    Field("fault.groups", Type.TEXTS, "Groups of processes that a partition makes; each a list of names, by spaces."),
    Field("fault.process", Type.TEXT, "The process that the fault is about."),
    Field("fault.rate", Type.FLOAT, "Share of messages lost, doubled or held back; or a clock's rate (1: right)."),
    Field("fault.offset_ns", Type.INT, "By how much a clock is set on.", unit="ns"),
    Field(
        "fault.service_ns",
        Type.INT,
        "What every step takes a slow process, or for how long one stands still.",
        unit="ns",
    ),
)

EVENTS = {
    "fault.partition": "The groups do not hear each other from now on.",
    "fault.one-way-partition": "The second group is not heard by the first, but hears it.",
    "fault.flapping-partition": "The groups do not hear each other for a moment; links come and go.",
    "fault.heal": "All processes hear each other again.",
    "fault.loss": "Messages may be lost from now on.",
    "fault.drop": "A message was lost: the column `message` says which.",
    "fault.duplication": "Messages may arrive twice from now on.",
    "fault.reordering": "Messages may overtake each other from now on.",
    "fault.clock-drift": "A process's clock runs at another rate, from another start.",
    "fault.slow": "A process takes its time for every step.",
    "fault.slow-end": "The slow process is as fast as the others again.",
    "fault.pause": "A process stands still for a while, and then goes on as if nothing had been.",
    "fault.clock-step": "A process's clock jumps.",
    "fault.disk-loss": "A process that has just crashed has lost what it had made stable.",
    "fault.send-omission": "A process loses a share of what it sends from now on.",
    "fault.send-omission-end": "What the process sends passes again.",
    "fault.receive-omission": "A process loses a share of what is sent to it from now on.",
    "fault.receive-omission-end": "What is sent to the process passes again.",
}


def describe(name: str, fields: Mapping[str, Any]) -> str:
    """``partition: n1 n2 | n3``, ``slow n2``."""
    words = name.removeprefix("fault.").replace("-", " ")
    if fields.get("fault.groups"):
        words += ": " + " | ".join(str(group) for group in fields["fault.groups"])
    if fields.get("fault.process") is not None:
        words += f" {fields['fault.process']}"
    return words


VOCABULARY = Vocabulary(
    domain="fault",
    summary="Faults: partitions, loss, slow processes, wrong clocks",
    fields=FIELDS,
    events=EVENTS,
    describe=describe,
)
