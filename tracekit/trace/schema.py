"""The trace schema, version 1: the one definition of the columns; ``docs/trace-format.md`` is generated from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

VERSION = 1
"""Written as ``tracekit.version``; a reader refuses files of a newer version."""

NEMESIS = "nemesis"
"""The pseudo-process of fault events; it has no place in happens-before or in vector clocks."""

MAX_TIMESTAMP = 2**63 - 1
"""Largest clock value that is kept; a larger one is set aside."""


class Kind(IntEnum):
    """What sort of event a row is; the numbers are the codes of ``Trace.kind``."""

    INTERNAL = 0
    SEND = 1
    RECEIVE = 2
    INVOKE = 3
    OK = 4
    FAIL = 5
    INFO = 6
    CRASH = 7
    RESTART = 8
    FAULT = 9

    @property
    def label(self) -> str:
        """The name that stands in a file: ``receive``."""
        return self.name.lower()


KINDS: dict[str, Kind] = {kind.label: kind for kind in Kind}


class Type(StrEnum):
    """Type of a column as the schema words it."""

    TEXT = "string"
    INT = "int64"
    FLOAT = "float64"
    BOOL = "bool"
    TEXT_OR_INT = "string or int64"
    VECTOR = "list<int64>"
    TEXTS = "list<string>"
    TRANSACTION = "list<struct<f, key, value>>"


@dataclass(frozen=True, slots=True)
class Field:
    """One column: its name, type, meaning and, where it has one, its unit."""

    name: str
    type: Type
    meaning: str
    unit: str = ""
    required: bool = False


FIELDS: tuple[Field, ...] = (
    Field("process", Type.TEXT, "The process the event happened at.", required=True),
    Field("seq", Type.INT, "Place in the process's program order, from 0. Absent: file order per process."),
    Field("kind", Type.TEXT, f"One of {', '.join(KINDS)}.", required=True),
    Field("name", Type.TEXT, "What happened, in the domain's vocabulary: `raft.become_leader`."),
    Field(
        "index",
        Type.INT,
        "Place in a single recorder's total order (Jepsen's `:index`; line order where one recorder wrote a file "
        "without times).",
    ),
    Field("time_ns", Type.INT, "The process's own physical clock.", unit="ns"),
    Field("true_time_ns", Type.INT, "The simulator's global clock, where there is one.", unit="ns"),
    Field("lamport", Type.INT, "Lamport timestamp. uint64 is accepted on read; 2^63 and above are set aside."),
    Field(
        "vclock",
        Type.VECTOR,
        "Vector timestamp in the order of `tracekit.processes`; shorter lists end in zeros. Maps and structs from "
        "process to number are accepted on read.",
    ),
    Field(
        "message",
        Type.TEXT_OR_INT,
        "Unique in the trace; joins a send with its receives (one send, many receives: multicast).",
    ),
    Field("peer", Type.TEXT, "Receiver of a send, sender of a receive."),
    Field("op", Type.INT, "With process, joins an invoke to its ok, fail or info."),
    Field("f", Type.TEXT, "What the operation does, in Jepsen's terms: read, write, cas, append, add, enqueue, ..."),
    Field("key", Type.TEXT_OR_INT, "The object that the operation is about. Absent: there is one object."),
    Field(
        "value",
        Type.TEXT_OR_INT,
        "What was written or read; text is canonical JSON (strings quoted, cas `[old,new]`); null in an ok read: "
        "it returned nothing.",
    ),
    Field("txn", Type.TRANSACTION, "Micro-operations of a transaction, filled in at its completion."),
    Field("source", Type.TEXT, "File that the event came from."),
    Field("line", Type.INT, "Line in that file, from 1."),
)

FIELD: dict[str, Field] = {field.name: field for field in FIELDS}
REQUIRED: tuple[str, ...] = tuple(field.name for field in FIELDS if field.required)
