"""The state trace of the etcd Raft library (build tag ``with_tla``): a JSON object a line, ``"tag":"trace"``.

Facts about the recorder, from its source (etcd-io/raft, ``state_trace.go`` and ``raft.go``):

- A row shows the process's state at the moment of logging. Receives are logged before they are handled, `Replicate`
  before the leader appends: the log's new length shows at the process's next row.
- `InitState` is logged before term, vote and commit index are loaded from storage; `BecomeFollower` comes right after.
- Messages have no ids, and of a log only its length is recorded; see `etcd_raft_logs` for how terms are rebuilt.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from tracekit.formats.etcd_raft_events import Event, Message
from tracekit.formats.etcd_raft_logs import Replay
from tracekit.formats.text import Rejects, first_line, read_bytes, wrong_format
from tracekit.registry import Format
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.run import Run
from tracekit.trace.trace import Trace

NAME = "etcd-raft-trace"
EXAMPLE = (
    '{"ts":1712329729.6,"msg":"trace","tag":"trace","event":{"name":"BecomeLeader","nid":"2",'
    '"state":{"term":2,"vote":"2","commit":5},"role":"StateLeader","log":5,"conf":[["1","2","3"],[]]}}'
)
ROLES = {
    "StateFollower": "follower", "StatePreCandidate": "pre-candidate", "StateCandidate": "candidate",
    "StateLeader": "leader",
}  # fmt: skip
NAMES = {
    "InitState": "raft.init", "BecomeCandidate": "raft.become_candidate", "BecomeFollower": "raft.become_follower",
    "BecomeLeader": "raft.become_leader", "Commit": "raft.commit", "Replicate": "raft.propose",
    "ChangeConf": "raft.change_configuration", "ApplyConfChange": "raft.apply_configuration", "Ready": "raft.state",
}  # fmt: skip
MESSAGES = {
    "MsgApp": "raft.append_entries", "MsgHeartbeat": "raft.append_entries", "MsgSnap": "raft.install_snapshot",
    "MsgAppResp": "raft.append_entries_response", "MsgHeartbeatResp": "raft.append_entries_response",
    "MsgVote": "raft.request_vote", "MsgVoteResp": "raft.request_vote_response",
    "MsgPreVote": "raft.pre_vote", "MsgPreVoteResp": "raft.pre_vote_response",
}  # fmt: skip
INFERRED = (
    "messages matched by content: the k-th received of identical ones follows the k-th sent (if none is duplicated)",
    "terms of log entries rebuilt by replay of lengths and messages; their commands are not recorded",
)


def can_read(path: Path, head: bytes) -> bool:
    """Whether one of the first hundred lines is a trace line."""
    lines = head.split(b"\n", 100)[:100]
    return any(b'"trace"' in line and isinstance(_event(line, 0), Event) for line in lines)


def read(path: Path) -> list[Trace]:
    """The one execution in the file.

    Log lines that are no trace events, and events with fields of wrong types, are set aside.

    Raises
    ------
    TracekitError: TK201 where no line is a trace event.
    """
    data = read_bytes(path)
    rejects = Rejects(path.name)
    builder = TraceBuilder(run=Run(system="etcd raft library"))
    rows = _Rows(path.name)
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            event = _event(line, number)
            if isinstance(event, Event):
                builder.add(rows.row(event))
            else:
                rejects.add(number, event, line.decode("utf-8", "replace"))
    if not len(builder):
        raise wrong_format(path, NAME, first_line(data), f"lines such as  {EXAMPLE}")
    return [builder.build(at=str(path), path=str(path), set_aside=rejects.result(), inferred=INFERRED)]


class _Rows:
    """Turns events into rows of the trace, in file order."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.replay = Replay()
        self.seen: dict[tuple[bool, Message], int] = {}
        self.ids: dict[tuple[Message, int], int] = {}
        self.voters: dict[str, tuple[list[str], list[str]]] = {}
        self.loading: set[str] = set()
        self.started: set[str] = set()

    def row(self, event: Event) -> dict[str, Any]:
        """The row of the next event."""
        process, message = event.process, event.message
        row: dict[str, Any] = {
            "process": process, "kind": "internal", "time_ns": event.time_ns, "source": self.source, "line": event.line,
            "raft.role": ROLES[event.role], "raft.last_index": event.length,
        }  # fmt: skip
        if event.name == "InitState":
            row["kind"] = "restart" if process in self.started else "internal"
            self.loading.add(process)
        elif event.name == "BecomeFollower":
            self.loading.discard(process)
        self.started.add(process)
        if process not in self.loading:
            vote = "" if event.vote == "0" else event.vote
            row.update({"raft.term": event.term, "raft.vote": vote, "raft.commit": event.commit})
        if self.voters.get(process) != event.voters and any(event.voters):
            self.voters[process] = event.voters
            row.update({"raft.voters": event.voters[0], "raft.voters_outgoing": event.voters[1]})
        if message is None:
            row["name"] = NAMES[event.name]
        else:
            row.update(self._message(event, message))
        row.update(self.replay.change(event, loaded=process not in self.loading))
        return row

    def _message(self, event: Event, message: Message) -> Mapping[str, Any]:
        times = self.seen.get((event.sends, message), 0)
        self.seen[event.sends, message] = times + 1
        about_entries = message.type == "MsgApp"
        return {
            "kind": "send" if event.sends else "receive",
            "name": MESSAGES[message.type],
            "message": self.ids.setdefault((message, times), len(self.ids)),
            "peer": message.receiver if event.sends else message.sender,
            "raft.message_term": message.term,
            "raft.message_index": message.log_index,
            "raft.message_log_term": message.log_term if about_entries or message.type == "MsgVote" else None,
            "raft.message_entries": message.entries if about_entries else None,
            "raft.message_commit": message.commit if about_entries or message.type == "MsgHeartbeat" else None,
            "raft.message_reject": message.reject if message.type.endswith("Resp") else None,
        }


def _event(line: bytes, number: int) -> Event | str:
    """The event of a line, or what is wrong with the line."""
    try:
        raw = orjson.loads(line)
    except orjson.JSONDecodeError:
        return "not JSON"
    if not isinstance(raw, dict) or raw.get("tag") != "trace" or not isinstance(raw.get("event"), dict):
        return "a log line that is no trace event"
    event = raw["event"]
    try:
        return _checked(event, raw.get("ts"), number)
    except (KeyError, TypeError, ValueError) as error:
        return f"a trace event without a usable {error.args[0] if error.args else 'field'}"


def _checked(event: dict[str, Any], ts: object, number: int) -> Event:
    name, message = _text(event, "name"), None
    if name.startswith(("Send", "Receive")):
        message = _checked_message(event)
        if (message.sender if name.startswith("Send") else message.receiver) != event["nid"]:
            raise ValueError("msg: it is another process's")
    elif name not in NAMES:
        raise ValueError("name")
    state = event["state"]
    if not isinstance(state, dict):
        raise TypeError("state")
    role, conf = _text(event, "role"), event["conf"]
    if role not in ROLES:
        raise ValueError("role")
    if not (isinstance(conf, list) and len(conf) == 2 and all(_is_texts(group or []) for group in conf)):
        raise TypeError("conf")
    return Event(
        number, name, _text(event, "nid"), _count(state, "term"), _text(state, "vote"), _count(state, "commit"), role,
        _count(event, "log"), (list(conf[0] or []), list(conf[1] or [])), message, _nanoseconds(ts),
    )  # fmt: skip


def _checked_message(event: dict[str, Any]) -> Message:
    raw = event["msg"]
    if not isinstance(raw, dict) or raw.get("type") not in MESSAGES or not isinstance(raw.get("reject"), bool):
        raise TypeError("msg")
    return Message(
        raw["type"], _count(raw, "term"), _text(raw, "from"), _text(raw, "to"), _count(raw, "entries"),
        _count(raw, "logTerm"), _count(raw, "index"), _count(raw, "commit"), _text(raw, "vote"), raw["reject"],
        _count(raw, "rejectHint"),
    )  # fmt: skip


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value:
        raise TypeError(name)
    return value


def _count(fields: dict[str, Any], name: str) -> int:
    value = fields[name]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise TypeError(name)
    return value


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) and v for v in value)


def _nanoseconds(ts: object) -> int | None:
    if isinstance(ts, bool) or not isinstance(ts, int | float) or not 0 <= ts < 9e9:
        return None
    return round(ts * 1e9)


FORMAT = Format(
    name=NAME,
    summary="state trace of the etcd Raft library (JSON lines, tag trace)",
    can_read=can_read,
    read=read,
    example=EXAMPLE,
)
