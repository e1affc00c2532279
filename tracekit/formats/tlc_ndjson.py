"""JSON Lines as TLA+'s trace validation of EWD998 reads them: messages with vector clocks.

``{"event": ">", "node": 0, "pkt": {"snd": 0, "rcv": 1, "msg": {"type": "pl"}, "vc": {"0": 6, "1": 2}}}``: ``>`` sends,
``<`` receives, everything else is internal (specifications/ewd998/EWD998ChanTrace.tla, github.com/tlaplus/Examples).
The clock is the node's after the event. Messages have no identity, so none is recorded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from tracekit.formats.edn import dumps
from tracekit.formats.text import Rejects, constant, first_line, read_bytes, wrong_format
from tracekit.formats.vector_clocks import Clocks, in_order
from tracekit.registry import Format
from tracekit.trace.assemble import assemble
from tracekit.trace.columns import AnyColumn, Column, from_values
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

NAME = "tlc-ndjson"
KINDS = {">": "send", "<": "receive"}
EXAMPLE = '{"event": "<", "node": 0, "pkt": {"snd": 1, "rcv": 0, "msg": {"type": "pl"}, "vc": {"0": 3, "1": 2}}}'


def can_read(path: Path, head: bytes) -> bool:
    """Whether one of the first lines is such an event."""
    return any(isinstance(_event(line), dict) for line in head.split(b"\n", 20)[:20])


def read(path: Path) -> list[Trace]:
    """The one execution in the file; rows may stand in any order, the clocks say which it was.

    Fields of a message are kept as ``msg.<name>``. A line ``{"N": 5}`` says how many nodes there are.

    Raises
    ------
    TracekitError: TK201 where no line is an event.
    """
    data = read_bytes(path)
    rejects = Rejects(path.name)
    events: list[dict[str, Any]] = []
    lines: list[int] = []
    run = Run()
    for number, line in enumerate(data.split(b"\n"), 1):
        event = _event(line) if line.strip() else None
        if isinstance(event, int):
            run = Run(n=event)
        elif isinstance(event, dict):
            events.append(event)
            lines.append(number)
        elif event is not None:
            rejects.add(number, event, line.decode("utf-8", "replace"))
    if not events:
        raise wrong_format(path, NAME, first_line(data), f"lines such as  {EXAMPLE}")
    return [_trace(path, events, lines, rejects, run)]


def _event(line: bytes) -> dict[str, Any] | int | str:
    """A line's event; the number of nodes; or why it is neither."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "not JSON"
    if not isinstance(row, dict):
        return "not an object"
    if type(row.get("N")) is int and len(row) == 1:
        return int(row["N"])
    packet = row.get("pkt")
    if type(row.get("event")) is not str or type(row.get("node")) not in (int, str) or not isinstance(packet, dict):
        return "an event, a node or a packet is missing"
    clock = packet.get("vc")
    if not isinstance(clock, dict) or not all(type(n) is int and 0 <= n < 2**63 for n in clock.values()):
        return "the vector clock is no object of whole numbers"
    if str(row["node"]) not in clock:
        return "the clock does not name its own node"
    return row


def _trace(path: Path, events: list[dict[str, Any]], lines: list[int], rejects: Rejects, run: Run) -> Trace:
    packets = [event["pkt"] for event in events]
    hosts = from_values([str(event["node"]) for event in events], pa.string())
    assert isinstance(hosts, Column), "texts are scalars"
    ordered = in_order(hosts, _clocks(packets), [str(node) for node in range(min(run.n or 0, len(events)))])
    kinds = [KINDS.get(event["event"], "internal") for event in events]
    ends = [{"send": "rcv", "receive": "snd"}.get(kind) for kind in kinds]
    messages = [p["msg"] if isinstance(p.get("msg"), dict) else {} for p in packets]
    names = [m.get("type") if k != "internal" else e["event"] for m, k, e in zip(messages, kinds, events, strict=True)]
    columns: dict[str, AnyColumn] = {
        "process": ordered.process, "seq": ordered.seq, "vclock": ordered.vclock, "kind": from_values(kinds),
        "name": _texts(names),
        "peer": _texts([None if end is None else packet.get(end) for end, packet in zip(ends, packets, strict=True)]),
        "source": constant(path.name, len(events)), "line": Column(np.array(lines, np.int64)),
    }  # fmt: skip
    for field in sorted({name for message in messages for name in message} - {"type"}):
        columns[f"msg.{field}"] = _scalars([message.get(field) for message in messages])
    return assemble(
        columns, at=str(path), path=str(path), processes=ordered.processes, run=run, set_aside=rejects.result(),
        inferred=ordered.inferred,
    )  # fmt: skip


def _clocks(packets: list[dict[str, Any]]) -> Clocks:
    clocks = [packet["vc"] for packet in packets]
    names = list(dict.fromkeys(name for clock in clocks for name in clock))
    code = {name: k for k, name in enumerate(names)}
    return Clocks(
        names,
        np.repeat(np.arange(len(clocks)), [len(clock) for clock in clocks]),
        np.array([code[name] for clock in clocks for name in clock], np.int64),
        np.array([number for clock in clocks for number in clock.values()], np.int64),
        np.zeros(len(clocks), np.bool_),
    )


def _texts(values: list[Any]) -> AnyColumn:
    return from_values([None if v is None else v if isinstance(v, str) else dumps(v) for v in values], pa.string())


def _scalars(values: list[Any]) -> AnyColumn:
    """Numbers where all are; else text, JSON where it was none."""
    if all(v is None or (type(v) is int and -(2**63) <= v < 2**63) for v in values):
        return from_values(values, pa.int64())
    return _texts(values)


FORMAT = Format(
    name=NAME,
    summary="JSON Lines of messages with vector clocks, as TLA+ trace validation of EWD998 reads them",
    can_read=can_read,
    read=read,
    example=EXAMPLE,
)
