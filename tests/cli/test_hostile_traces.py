"""Malformed clocks, ids and fields through the command line: each is set aside and located, all else is decided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cli.conftest import Run
from tracekit.trace.assemble import UNKNOWN_KIND

MOST = 2**63 - 1
LEAST = -(2**63)
BASE: dict[str, Any] = {
    "process": ["a", "a", "b", "b", "c"],
    "kind": ["send", "internal", "receive", "internal", "internal"],
    "message": [1, None, 1, None, None],
}
ENTRY = "a vector clock has an entry that is negative, absent or 2^63 and above"
LAMPORT = "a Lamport timestamp is negative or 2^63 and above"
NO_TIME = "time_ns is further from 0 than 146 years (2^62 ns)"


def vectors(*wrong: list[int | None], kind: pa.DataType | None = None) -> pa.Array:
    """Right clocks but for the second row and those after it that are given."""
    right: list[list[int | None]] = [[1, 0, 0], [2, 0, 0], [1, 1, 0], [1, 2, 0], [0, 0, 1]]
    return pa.array([right[0], *wrong, *right[1 + len(wrong) :]], pa.list_(kind or pa.int64()))


def maps(*clocks: list[tuple[str, int | None]], kind: pa.DataType | None = None) -> pa.Array:
    return pa.array(clocks, pa.map_(pa.string(), kind or pa.int64()))


SET_ASIDE: dict[str, tuple[dict[str, Any], dict[str, int], list[str]]] = {
    "too long": ({"vclock": vectors([2, 0, 0, 9])}, {"a vector clock has more entries than there are processes": 1},
                 ["row 1"]),
    "negative": ({"vclock": vectors([-2, 0, 0], [1, LEAST, 0])}, {ENTRY: 2}, ["row 1", "row 2"]),
    "null inside": ({"vclock": vectors([2, None, 0])}, {ENTRY: 1}, ["row 1"]),
    "uint64 entries": ({"vclock": vectors([2**63, 0, 0], [2**64 - 1, 1, 0], kind=pa.uint64())}, {ENTRY: 2},
                       ["row 1", "row 2"]),
    "uint64 entries by name": (
        {"vclock": maps([("a", 1)], [("a", 2**63)], [("a", 1), ("b", 1)], [("a", 1), ("b", 2)], [("c", 1)],
                        kind=pa.uint64())}, {ENTRY: 1}, ["row 1"]),
    "a process named twice": (
        {"vclock": maps([("a", 1)], [("a", 1), ("a", 2)], [("a", 1), ("b", 1)], [("a", 1), ("b", 2)], [("c", 1)])},
        {"a vector clock names a process twice": 1}, ["row 1"]),
    "negative lamport": ({"lamport": [1, -1, 2, LEAST, 1]}, {LAMPORT: 2}, ["row 1", "row 3"]),
    "uint64 lamport": ({"lamport": pa.array([1, 2**63, 2, 2**64 - 1, 1], pa.uint64())}, {LAMPORT: 2},
                       ["row 1", "row 3"]),
    "no seq": ({"seq": [0, None, 0, -1, 3]}, {"the row has no place (seq) at its process": 2}, ["row 1", "row 3"]),
    "uint64 seq": ({"seq": pa.array([0, 1, 0, 2**63, 3], pa.uint64())},
                   {"the row has no place (seq) at its process": 1}, ["row 3"]),
    "extreme times": ({"time_ns": [5, LEAST, 6, MOST, 7]}, {NO_TIME: 2}, ["row 1", "row 3"]),
    "uint64 times": ({"time_ns": pa.array([5, 2**64 - 1, 6, 2**63, 7], pa.uint64())}, {"time_ns is 2^63 or above": 2},
                     ["row 1", "row 3"]),
    "no process": ({"process": ["a", None, "b", "", "c"]}, {"the row names no process": 2}, ["row 1", "row 3"]),
    "kinds": ({"kind": ["send", "INTERNAL", "receive", None, "x"]}, {UNKNOWN_KIND: 3},
              ["row 1", "row 3", "row 4"]),
}  # fmt: skip

DECIDED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "ids of 64 bits": ({"message": pa.array([2**64 - 1, None, 2**64 - 1, None, None], pa.uint64())},
                       {"channel.delivery": "holds"}),
    "ids of two signs": ({"message": [LEAST, None, MOST, None, None]}, {"channel.delivery": "violated"}),
    "two rows of one place": ({"seq": [0, 0, 0, 1, 0], "lamport": [1, 2, 2, 3, 1]},
                              {"clock.lamport": "violated", "channel.delivery": "holds"}),
    "places far apart": ({"seq": [0, 7, 0, 2**62, MOST], "lamport": [1, 2, 2, 3, 1]},
                         {"clock.lamport": "holds", "channel.delivery": "holds"}),
    "known as peer only": ({"peer": ["zed", None, "ghost", None, None]}, {"channel.delivery": "violated"}),
    "the largest clocks": ({"lamport": [MOST, MOST, MOST, 0, 1]}, {"clock.lamport": "violated"}),
    "the largest hybrid clocks": (
        {"hlc.physical_ns": [MOST, LEAST, MOST, 0, LEAST], "hlc.logical": [MOST, LEAST, -1, 0, 5]},
        {"clock.hybrid": "violated", "channel.delivery": "holds"}),
    "hybrid clocks of texts": ({"hlc.physical_ns": ["x"] * 5, "hlc.logical": [0] * 5},
                               {"clock.hybrid": "unknown", "channel.delivery": "holds"}),
    "clocks of nobody": ({"vclock": pa.array([None] * 5, pa.list_(pa.int64()))},
                         {"clock.vector": "unknown", "channel.delivery": "holds"}),
}  # fmt: skip


def analyze(tracekit: Run, path: Path) -> dict[str, Any]:
    """The JSON result; no traceback, and the report is made as well."""
    result = tracekit("analyze", str(path), "--format", "json", "--report", "report.html")
    assert result.returncode in (0, 1, 3), result.stderr
    assert "Traceback" not in result.stderr
    assert (path.parent / "report.html").exists()
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def write(path: Path, columns: dict[str, Any], processes: list[str] | None = None) -> Path:
    metadata = {"tracekit.complete": "true", "tracekit.processes": json.dumps(processes or ["a", "b", "c"])}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)
    return path


def verdicts(found: dict[str, Any]) -> dict[str, str]:
    return {check["check"]: check["verdict"] for check in found["checks"]}


@pytest.mark.parametrize("name", SET_ASIDE)
def test_what_is_malformed_is_set_aside_counted_and_located(name: str, tracekit: Run, tmp_path: Path) -> None:
    columns, reasons, places = SET_ASIDE[name]
    found = analyze(tracekit, write(tmp_path / "t.parquet", {**BASE, **columns}))
    aside = found["trace"]["set_aside"]
    assert aside["reasons"] == reasons
    assert [entry["place"] for entry in aside["first"]] == places
    assert "violated" not in verdicts(found).values(), "nothing else is wrong"
    whole_rows = any(entry["field"] is None for entry in aside["first"])
    assert verdicts(found)["channel.delivery"] == ("unknown" if whole_rows else "holds")


@pytest.mark.parametrize("name", DECIDED)
def test_odd_values_are_judged_as_they_stand(name: str, tracekit: Run, tmp_path: Path) -> None:
    columns, expected = DECIDED[name]
    found = analyze(tracekit, write(tmp_path / "t.parquet", {**BASE, **columns}))
    assert found["trace"]["set_aside"]["count"] == 0
    assert {check: verdicts(found)[check] for check in expected} == expected


def test_a_cycle_is_named_and_what_does_not_depend_on_it_is_checked(tracekit: Run, tmp_path: Path) -> None:
    """a, b and c wait for each other in a ring; d and e do not take part, and e's clock has an error of its own."""
    columns = {
        "process": ["a", "a", "b", "b", "c", "c", "d", "e", "e"],
        "kind": ["receive", "send"] * 3 + ["send", "receive", "internal"],
        "message": [3, 1, 1, 2, 2, 3, 9, 9, None],
        "lamport": [4, 5, 6, 7, 8, 9, 1, 2, 1],
    }
    found = analyze(tracekit, write(tmp_path / "t.parquet", columns))
    told = {check["check"]: check["violations"] for check in found["checks"]}
    (cycle,) = told["channel.delivery"]
    assert cycle["anomaly"] == "received-before-sent"
    assert sorted(cycle["facts"]["messages"].split(", ")) == ["1", "2", "3"]
    assert {event["event"] for event in cycle["events"]} == {"a:0", "a:1", "b:0", "b:1", "c:0", "c:1"}
    lamport = {(v["anomaly"], v["events"][-1]["event"]) for v in told["clock.lamport"]}
    assert lamport == {("receive-not-after-send", "a:0"), ("clock-went-back", "e:1")}


@pytest.mark.parametrize(
    "columns",
    [
        {"process": pa.array([], pa.string()), "kind": pa.array([], pa.string())},
        {"process": ["nemesis"] * 2, "kind": ["fault"] * 2, "lamport": [1, 2], "message": [1, 2], "time_ns": [1, 2]},
        {"process": ["a"], "kind": ["internal"]},
        {"process": ["a", "a"], "kind": ["x", "y"]},
    ],
    ids=["no rows", "faults only", "one row", "no row of a known kind"],
)
def test_nothing_examined_is_no_pass(columns: dict[str, Any], tracekit: Run, tmp_path: Path) -> None:
    found = analyze(tracekit, write(tmp_path / "t.parquet", columns))
    assert found["verdict"] == "unknown"
    assert "holds" not in verdicts(found).values()


def test_a_receive_that_was_set_aside_may_have_delivered_the_message(tracekit: Run, tmp_path: Path) -> None:
    run = {"channels": {"reliable": True}, "quiescent": True, "bounds": {"delay_ns": 5, "skew_ns": 0}}
    columns = {
        "process": ["a", "b", "b"], "kind": ["send", "recieve", "internal"], "message": [1, 1, None],
        "peer": ["b", "a", None], "time_ns": [0, 2, 99],
    }  # fmt: skip
    metadata = {"tracekit.complete": "true", "tracekit.run": json.dumps(run)}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), tmp_path / "t.parquet")
    found = analyze(tracekit, tmp_path / "t.parquet")
    assert verdicts(found)["channel.delivery"] == "unknown"
    assert "violated" not in verdicts(found).values()


@pytest.mark.parametrize("values", [pa.float64(), pa.string()])
def test_clocks_by_name_that_are_no_numbers(values: pa.DataType, tracekit: Run, tmp_path: Path) -> None:
    clocks = pa.array([[("a", "1" if values == pa.string() else 1.5)]] * 5, pa.map_(pa.string(), values))
    done = tracekit("analyze", str(write(tmp_path / "t.parquet", {**BASE, "vclock": clocks})))
    assert done.returncode == 2
    assert "TK104" in done.stderr


def test_lines_of_json(tracekit: Run, tmp_path: Path) -> None:
    good = [{"process": "a", "seq": 0, "kind": "send", "message": 1, "lamport": 1},
            {"process": "b", "seq": 0, "kind": "receive", "message": "1", "lamport": 2}]  # fmt: skip
    wrong: list[Any] = [
        {"process": "a", "seq": 1, "kind": "internal", "lamport": -1},
        {"process": "b", "seq": 1, "kind": "bogus"},
        {"process": 5, "kind": "send", "seq": 0},
        {"process": "b", "seq": 2, "kind": "internal", "lamport": 2**64},
        {"process": "b", "seq": 3, "kind": "internal", "vclock": {"a": 1, "b": -1}},
        {"process": "b", "seq": 4, "kind": "internal", "vclock": {"a": 2**63}},
        {"process": "b", "seq": 5, "kind": "receive", "message": {"x": 1}},
        {"process": "b", "seq": 6, "kind": "internal", "hlc.logical": "z"},
        {"process": "b", "seq": 2**63, "kind": "internal"},
        "no object",
    ]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in [*good, *wrong]))
    found = analyze(tracekit, path)
    located = {int(entry["place"].rpartition(":")[2]) for entry in found["trace"]["set_aside"]["first"]}
    assert located == set(range(3, 13)), "every bad line, and no other"
    assert found["trace"]["events"] == 2 + 6, "rows stay where only a field was set aside"
    assert "violated" not in verdicts(found).values()
