"""Recordings of real Raft libraries in the vocabulary: which of their fields mean what.

The etcd recordings write a log change only when it reaches the disk, after rows that already show the commit index in
memory; the checks notice that (`RaftLogs.lag`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from tracekit.formats.text import read_bytes
from tracekit.trace.builder import TraceBuilder
from tracekit.trace.trace import Trace

ROLES = {
    "StateFollower": "follower", "StateCandidate": "candidate", "StatePreCandidate": "pre-candidate",
    "StateLeader": "leader", "F": "follower", "C": "candidate", "L": "leader",
}  # fmt: skip
KINDS = {"send": "send", "recv": "receive", "crash": "crash", "restart": "restart"}
ETCD_MESSAGES = {
    "MsgVote": "request_vote", "MsgVoteResp": "request_vote_response", "MsgApp": "append_entries",
    "MsgHeartbeat": "append_entries", "MsgAppResp": "append_entries_response",
    "MsgHeartbeatResp": "append_entries_response",
}  # fmt: skip
PYSYNCOBJ_MESSAGES = {
    "request_vote": "request_vote", "response_vote": "request_vote_response", "append_entries": "append_entries",
    "next_node_idx": "append_entries_response",
}  # fmt: skip


def etcd(path: Path) -> Trace:
    """A recording of the etcd library (``raft/etcd-raft-*.jsonl.gz``)."""
    builder = TraceBuilder()
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        e = orjson.loads(line)
        row = _row(e["name"], str(e["nid"]), path, number) | {
            "index": e["seq"], "raft.term": e["term"], "raft.role": ROLES[e["role"]], "raft.commit": e["commit"],
            "raft.vote": str(e["vote"]) if e["vote"] else "", "raft.last_index": e["plast"],
        }  # fmt: skip
        if "msg" in e:
            m = e["msg"]
            row |= {
                "name": f"raft.{ETCD_MESSAGES[m['type']]}", "peer": str(m["to" if e["name"] == "send" else "from"]),
                "raft.message_term": m["term"], "raft.message_index": m["index"], "raft.message_log_term": m["logTerm"],
                "raft.message_commit": m["commit"], "raft.message_reject": m["reject"],
                "raft.message_entries": len(m["ents"]),
            }  # fmt: skip
        if e["name"] == "append":
            entries = e["ents"]
            row |= {"raft.log_from": entries[0]["i"], "raft.entry_terms": [x["t"] for x in entries]}
            row["raft.entry_digests"] = [x["h"] for x in entries]
        if e["name"] == "apply":
            row |= {"raft.apply_index": e["i"], "raft.apply_term": e["t"], "raft.apply_digest": e["h"]}
        builder.add(row)
    return builder.build(path=str(path))


def pysyncobj(path: Path) -> Trace:
    """A recording of PySyncObj (``pysyncobj/*.jsonl``)."""
    builder = TraceBuilder()
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        e = orjson.loads(line)
        row = _row(e["name"], e["node"], path, number) | {
            "index": e["seq"], "time_ns": e["ts"], "raft.term": e["term"], "raft.role": ROLES[e["role"]],
            "raft.vote": e["vote"], "raft.commit": e["commit"], "raft.last_index": e["last"],
            "raft.last_term": e["lastTerm"],
        }  # fmt: skip
        if "msg" in e:
            m = e["msg"]
            row |= {
                "name": f"raft.{PYSYNCOBJ_MESSAGES[m['type']]}", "peer": e.get("to") or e.get("frm"),
                "raft.message_term": m.get("term"), "raft.message_commit": m.get("commit_index"),
                "raft.message_index": m.get("last_log_index", m.get("prevLogIdx")),
                "raft.message_log_term": m.get("last_log_term", m.get("prevLogTerm")),
                "raft.message_reject": False if m["type"] == "response_vote" else None,
            }  # fmt: skip
        builder.add(row)
    return builder.build(path=str(path))


def _row(name: str, process: str, path: Path, line: int) -> dict[str, Any]:
    words = {"append": "state"}.get(name, name)
    return {
        "process": process, "kind": KINDS.get(name, "internal"), "name": f"raft.{words}",
        "source": path.name, "line": line,
    }  # fmt: skip
