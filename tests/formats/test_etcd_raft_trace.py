"""The etcd Raft library's state trace: reading, matching by content, and terms by replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.corpora import corpus
from tests.raft.test_oracle import results
from tracekit.errors import TracekitError
from tracekit.execution import Execution
from tracekit.formats.etcd_raft_trace import FORMAT
from tracekit.results import Verdict
from tracekit.trace.trace import Trace


def line(name: str, nid: str, log: int, term: int = 1, role: str = "Follower", **rest: Any) -> dict[str, Any]:
    """One trace line; `rest` are further members of its event."""
    event = {
        "name": name, "nid": nid, "state": {"term": term, "vote": "0", "commit": 0},
        "role": f"State{role}", "log": log, "conf": rest.pop("conf", [["1", "2"], []]), **rest,
    }  # fmt: skip
    return {"level": "debug", "ts": 1.5, "msg": "trace", "tag": "trace", "event": event}


def message(kind: str, sender: str, receiver: str, **rest: Any) -> dict[str, Any]:
    base = {
        "type": kind, "term": 2, "from": sender, "to": receiver, "entries": 0, "logTerm": 0, "index": 0, "commit": 0,
        "vote": "0", "reject": False, "rejectHint": 0,
    }  # fmt: skip
    return base | rest


def read(tmp_path: Path, lines: list[Any]) -> Trace:
    path = tmp_path / "x.ndjson"
    path.write_bytes(b"\n".join(e if isinstance(e, bytes) else orjson.dumps(e) for e in lines))
    [trace] = FORMAT.read(path)
    return trace


def appended(*, follower: int = 0, answer: int = 1, log: int = 1, request: dict[str, Any] | None = None) -> list[Any]:
    """1 leads term 2, appends an entry and sends it; 2 answers."""
    app = message("MsgApp", "1", "2", entries=1) | (request or {})
    reply = message("MsgAppResp", "2", "1", index=answer)
    return [
        line("InitState", "1", 0), line("BecomeFollower", "1", 0), line("InitState", "2", follower),
        line("BecomeFollower", "2", follower), line("BecomeLeader", "1", 0, 2, "Leader"),
        line("SendAppendEntriesRequest", "1", 1, 2, "Leader", msg=app),
        line("ReceiveAppendEntriesRequest", "2", follower, 2, msg=app),
        line("SendAppendEntriesResponse", "2", log, 2, msg=reply),
        line("ReceiveAppendEntriesResponse", "1", 1, 2, "Leader", msg=reply),
    ]  # fmt: skip


def terms(trace: Trace, row: int) -> Any:
    fields = trace.fields(row)
    return fields.get("raft.log_from"), fields.get("raft.entry_terms"), fields.get("raft.log_known_from")


def test_the_recording_of_the_library() -> None:
    path = corpus("raft/etcd_example.ndjson")
    assert FORMAT.can_read(path, path.read_bytes()[:65536])
    [trace] = FORMAT.read(path)
    assert (len(trace), len(trace.processes), trace.set_aside.count) == (4888, 10, 0)
    assert "raft.log_known_from" not in trace  # every term could be rebuilt
    execution = Execution(trace)
    assert not len(execution.messages.orphans)
    found = results(trace)
    assert not [name for name, result in found.items() if result.verdict is Verdict.VIOLATED]
    unknown = {name for name, result in found.items() if result.verdict is Verdict.UNKNOWN}
    members = {"raft.configuration-change", "raft.configuration-in-use"}  # what is changed, is not recorded
    assert unknown == {"raft.log-matching", "raft.state-machine-safety"} | members
    assert all("commands are not recorded" in found[name].reasons[0] for name in unknown - members)
    assert found["raft.commit-quorum"].examined == {"commits": 51}


def test_entries_of_a_leader_are_of_its_term_and_reach_the_follower(tmp_path: Path) -> None:
    trace = read(tmp_path, appended())
    assert terms(trace, 5) == (1, [2], None)
    assert terms(trace, 7) == (1, [2], None)
    assert trace.fields(7)["peer"] == "1"


def test_state_before_it_was_loaded_is_not_taken(tmp_path: Path) -> None:
    again = [line("InitState", "2", 1, 0), line("ApplyConfChange", "2", 1, 0), line("BecomeFollower", "2", 1, 2)]
    trace = read(tmp_path, appended() + again)
    assert trace.fields(9).keys().isdisjoint({"raft.term", "raft.vote", "raft.commit"})
    assert trace.fields(11)["raft.term"] == 2
    assert results(trace)["raft.term-monotonic"].verdict is Verdict.HOLDS
    assert trace.kind[9] == 8


def test_a_conflict_cuts_the_log_and_a_longer_log_stays(tmp_path: Path) -> None:
    assert terms(read(tmp_path, appended(follower=3)), 7) == (1, [2], None)
    assert terms(read(tmp_path, appended(follower=3, log=3)), 7) == (1, [2, None, None], None)


def test_what_the_answer_does_not_confirm_is_unknown(tmp_path: Path) -> None:
    assert terms(read(tmp_path, appended(answer=7)), 7) == (1, [None], None)


def test_a_log_that_contradicts_a_message_is_unknown(tmp_path: Path) -> None:
    lines = appended()
    lines.append(
        line("SendAppendEntriesRequest", "1", 1, 2, "Leader", msg=message("MsgApp", "1", "2", index=1, logTerm=9))
    )
    assert terms(read(tmp_path, lines), 9) == (2, [], 2)


def test_identical_messages_are_matched_one_to_one(tmp_path: Path) -> None:
    beat = message("MsgHeartbeat", "1", "2")
    lines = [line("SendAppendEntriesRequest", "1", 0, 2, "Leader", msg=beat) for _ in range(3)]
    lines += [line("ReceiveAppendEntriesRequest", "2", 0, 2, msg=beat) for _ in range(2)]
    execution = Execution(read(tmp_path, lines))
    assert execution.messages.send_of.tolist() == [-1, -1, -1, 0, 1]
    assert len(execution.messages.undelivered) == 1


def test_a_message_to_oneself(tmp_path: Path) -> None:
    own = message("MsgAppResp", "1", "1", index=1)
    lines = [
        line("SendAppendEntriesResponse", "1", 1, 2, msg=own),
        line("ReceiveAppendEntriesResponse", "1", 1, 2, msg=own),
    ]
    assert Execution(read(tmp_path, lines)).messages.send_of.tolist() == [-1, 0]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (b"{", "not JSON"), (b"[1]", "a log line that is no trace event"), (b'{"tag":"trace"}', "a log line"),
        (line("Nonsense", "1", 0), "name"), (line("Ready", "1", -1), "log"), (line("Ready", "", 0), "nid"),
        (line("Ready", "1", 0, True), "term"), (line("Ready", "1", 0, role="King"), "role"),
        (line("Ready", "1", 0, conf=[["1"]]), "conf"), (line("SendRequestVoteRequest", "1", 0), "msg"),
        (line("SendRequestVoteRequest", "1", 0, msg=message("MsgVote", "3", "1")), "another process"),
        (line("Ready", "1", 2**63), "log"),
    ],
)  # fmt: skip
def test_bad_lines_are_set_aside_with_their_place(tmp_path: Path, bad: Any, reason: str) -> None:
    trace = read(tmp_path, [line("Ready", "1", 0), bad])
    assert len(trace) == 1
    [entry] = trace.set_aside.first
    assert entry.place == "x.ndjson:2"
    assert reason in entry.reason


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.ndjson"
    path.write_text('{"level":"info","msg":"started"}\n')
    assert not FORMAT.can_read(path, path.read_bytes())
    with pytest.raises(TracekitError) as caught:
        FORMAT.read(path)
    assert caught.value.code == "TK201"
