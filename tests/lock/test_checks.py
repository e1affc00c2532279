"""Recordings of locks written by hand: what the checks say of single events, and when that they cannot know."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lock.events import Row, anomalies, check, event, in_order
from tracekit.registry import HEADINGS, checks
from tracekit.results import Verdict
from tracekit.trace.trace import SetAside, SetAsides

NAMES = ("mutual-exclusion", "fencing", "lease", "owner-release", "timestamp-order")
ASIDE = SetAsides({"bad row": 1}, (SetAside("row 3", "bad row"),))
MS = 1_000_000


def grant(server: str, client: str, token: int, **more: Any) -> Row:
    return event(server, "grant", holder=client, token=token, **more)


def over(server: str, client: str, token: int, name: str = "expire", **more: Any) -> Row:
    return event(server, name, holder=client, token=token, **more)


def hold(client: str, token: int, at: int, lease: int | None = None, name: str = "acquire", **more: Any) -> Row:
    return event(client, name, token=token, time_ns=at * MS, lease_ns=None if lease is None else lease * MS, **more)


def op(process: str, kind: str, f: str, number: int, **more: Any) -> Row:
    return {"process": process, "kind": kind, "f": f, "op": number, "key": "k", **more}


def message(sender: str, receiver: str, number: int) -> list[Row]:
    return [
        {"process": sender, "kind": "send", "message": number, "peer": receiver},
        {"process": receiver, "kind": "receive", "message": number, "peer": sender},
    ]


TWO = [grant("s", "a", 1), grant("s", "b", 2), over("s", "a", 1)]


def test_two_holders_at_once() -> None:
    found = check(TWO, "mutual-exclusion")
    (violation,) = found.violations
    assert violation.summary == "the lock was given to b while a had it: a had it until s:2."
    assert [e.event for e in violation.events] == ["s:0", "s:1"]
    assert found.examined == {"grants": 2}


def test_concurrent_grants_are_judged_by_a_clock_or_not_at_all() -> None:
    rows = [grant("s", "a", 1), over("s", "a", 1), grant("t", "b", 2), over("t", "b", 2)]
    unknown = check(rows, "mutual-exclusion")
    assert unknown.verdict is Verdict.UNKNOWN
    assert "neither messages nor a clock order them" in unknown.reasons[0]
    assert check(in_order(rows), "mutual-exclusion").verdict is Verdict.HOLDS
    crossed = [rows[0], rows[2], rows[1], rows[3]]
    assert anomalies(check(in_order(crossed), "mutual-exclusion")) == ["held-by-two"]
    ordered = [*rows[:2], *message("s", "t", 1), *rows[2:]]
    assert check(ordered, "mutual-exclusion").verdict is Verdict.HOLDS


def test_a_holder_that_is_granted_the_lock_again() -> None:
    # Whether the second grant takes the place of the first, or is counted beside it, nobody recorded.
    again = [grant("s", "a", 1), grant("s", "a", 2), over("s", "a", 2, "release")]
    for rows in (again, in_order(again)):
        assert check(rows, "mutual-exclusion").verdict is Verdict.HOLDS
    for rows in ([*again, grant("s", "b", 3)], in_order([*again, grant("s", "b", 3)])):
        found = check(rows, "mutual-exclusion")
        assert found.verdict is Verdict.UNKNOWN
        assert "granted the lock again meanwhile" in found.reasons[0]
    kept = [*again[:2], grant("s", "b", 3)]
    assert check(kept, "mutual-exclusion").verdict is Verdict.VIOLATED


def test_a_grant_beside_a_later_one_of_its_holder_is_compared_with_what_came_before_both() -> None:
    rows = [
        grant("s", "a", 1), *message("s", "t", 1), over("s", "a", 1), grant("s", "b", 2),
        grant("t", "b", 3),
    ]  # fmt: skip
    assert check(rows, "mutual-exclusion").verdict is Verdict.UNKNOWN
    assert check(in_order(rows), "mutual-exclusion").verdict is Verdict.HOLDS


def test_clocks_that_put_two_grants_the_wrong_way_round() -> None:
    rows = [
        grant("s", "a", 1, time_ns=0), over("s", "a", 1, time_ns=250), *message("s", "t", 1),
        grant("u", "c", 2, time_ns=310), over("u", "c", 2, time_ns=330), *message("u", "t", 2),
        grant("t", "b", 3, time_ns=300),
    ]  # fmt: skip
    assert check(rows, "mutual-exclusion", skew_ns=100).verdict is Verdict.UNKNOWN
    assert check(rows, "mutual-exclusion", skew_ns=50).verdict is Verdict.HOLDS


def test_the_skew_of_clocks() -> None:
    rows = [
        grant("s", "a", 1, time_ns=0), grant("t", "b", 2, time_ns=5 * MS),
        over("s", "a", 1, time_ns=8 * MS), over("t", "b", 2, time_ns=20 * MS),
    ]  # fmt: skip
    assumed = check(rows, "mutual-exclusion")
    assert assumed.violations[0].facts["excused_by_skew_ns"] == 3 * MS
    assert "assumed" in assumed.rests_on[0]
    assert check(rows, "mutual-exclusion", skew_ns=3 * MS).verdict is Verdict.UNKNOWN
    assert check(rows, "mutual-exclusion", skew_ns=2 * MS).verdict is Verdict.VIOLATED
    assert check(rows, "mutual-exclusion", bounds={"skew_ns": 3 * MS}).verdict is Verdict.UNKNOWN
    assert check(rows, "mutual-exclusion", clocks={"s": "x", "t": "y"}).verdict is Verdict.UNKNOWN


def test_a_lease_ends_a_grant_that_nothing_else_ends() -> None:
    lost = [grant("s", "a", 1, time_ns=0, lease_ns=100), grant("s", "b", 2, time_ns=99)]
    assert anomalies(check(lost, "mutual-exclusion")) == ["held-by-two"]
    assert "its lease went on for 1 ns" in check(lost, "mutual-exclusion").violations[0].summary
    waited = [lost[0], grant("s", "b", 2, time_ns=101)]
    assert check(waited, "mutual-exclusion").verdict is Verdict.HOLDS
    absolute = [event("s", "grant", holder="a", token=1, time_ns=5, expires_ns=100), grant("s", "b", 2, time_ns=99)]
    assert check(absolute, "mutual-exclusion").verdict is Verdict.VIOLATED
    timeless = [grant("s", "a", 1, lease_ns=100), grant("s", "b", 2)]
    assert check(timeless, "mutual-exclusion").verdict is Verdict.UNKNOWN


def test_what_is_told_twice_after_a_failover_is_one_grant() -> None:
    rows = [
        grant("s", "a", 1), *message("s", "t", 1), grant("t", "a", 1), over("t", "a", 1, "release"),
        grant("t", "b", 2), *message("t", "u", 2), over("u", "a", 1, "release"), over("u", "b", 2),
    ]  # fmt: skip
    assert check(rows, "mutual-exclusion").verdict is Verdict.HOLDS
    assert check(rows, "mutual-exclusion").examined == {"grants": 2}
    assert check(rows, "owner-release").verdict is Verdict.HOLDS


def test_a_token_that_is_used_again_leaves_it_unknown() -> None:
    rows = [grant("s", "a", 1), over("s", "a", 1), grant("s", "a", 1), grant("s", "b", 2)]
    assert check(rows, "mutual-exclusion").verdict is Verdict.UNKNOWN


def test_locks_do_not_concern_each_other() -> None:
    rows = [{**row, "lock.name": name} for row, name in zip(TWO, ("x", "y", "x"), strict=True)]
    assert check(rows, "mutual-exclusion").verdict is Verdict.HOLDS


@pytest.mark.parametrize(
    "more",
    [{"coverage": {"s": {"start": True, "end": False}}}, {"complete": False}, {"set_aside": ASIDE}],
)
def test_what_was_not_recorded_may_explain_it(more: dict[str, Any]) -> None:
    found = check(TWO, "mutual-exclusion", **more)
    assert found.verdict is Verdict.UNKNOWN or "set_aside" in more
    if "set_aside" not in more:
        assert "given to b while a had it" in found.reasons[0]


def test_a_client_takes_its_lease_for_longer_than_it_is() -> None:
    rows = [hold("a", 1, 0, 100), hold("a", 1, 100, name="lapse"), hold("b", 2, 60, 100)]
    found = check(rows, "lease")
    assert anomalies(found) == ["leases-overlap"]
    assert found.violations[0].facts["overlap_ns"] == 40 * MS
    assert found.violations[0].facts["excused_by_skew_ns"] <= 40 * MS
    within = check(rows, "lease", bounds={"skew_ns": 50 * MS})
    assert (within.verdict, within.facts) == (Verdict.HOLDS, {"possible overlaps": 1})
    assert "may overlap" in within.remark


def test_a_paused_holder_sees_late_that_its_lease_is_over() -> None:
    rows = [hold("a", 1, 0, 100), hold("b", 2, 120, 100), hold("a", 1, 300, name="lapse")]
    assert check(rows, "lease").verdict is Verdict.HOLDS


def test_a_lease_on_true_time_with_clocks_that_drift() -> None:
    """a's clock may run 10 % too fast: 100 ms by it have passed after 91 ms at the earliest."""
    rows = [
        {**hold("a", 1, 0, 100), "true_time_ns": 0},
        {**hold("b", 2, 5, 100), "true_time_ns": 90 * MS},
        {**hold("b", 2, 6, name="leave"), "true_time_ns": 92 * MS},
    ]
    found = check(rows, "lease", bounds={"drift_ppm": 100_000})
    assert (found.verdict, found.reasons) == (Verdict.UNKNOWN, (
        "a never records lock.leave, as others do: how long it took a:0 to be its own is not known",
    ))  # fmt: skip
    rows += [
        {**hold("a", 3, 900, 100), "true_time_ns": 900 * MS},
        {**hold("a", 3, 901, name="leave"), "true_time_ns": 901 * MS},
    ]
    assert check(rows, "lease", bounds={"drift_ppm": 100_000}).verdict is Verdict.VIOLATED
    later = [rows[0], {**rows[1], "true_time_ns": 91 * MS}, *rows[2:]]
    found = check(later, "lease", bounds={"drift_ppm": 100_000})
    assert (found.verdict, found.facts["possible overlaps"]) == (Verdict.HOLDS, 1)
    lapsed = {**hold("a", 1, 100, name="lapse"), "true_time_ns": 95 * MS}
    assert check([*later, lapsed], "lease", bounds={"drift_ppm": 100_000}).verdict is Verdict.VIOLATED


def test_who_crashed_holds_nothing() -> None:
    crash = {"process": "a", "kind": "crash", "time_ns": 10 * MS}
    assert check([hold("a", 1, 0, 100), crash, hold("b", 2, 60, 100)], "lease").verdict is Verdict.HOLDS


def test_an_extension_after_the_expiry() -> None:
    rows = [grant("s", "a", 1), over("s", "a", 1), over("s", "a", 1, "extend")]
    assert anomalies(check(rows, "lease")) == ["extended-after-expiry"]
    assert check([rows[0], rows[2], rows[1]], "lease").verdict is Verdict.HOLDS
    elsewhere = [*rows[:2], over("t", "a", 1, "extend")]
    assert check(elsewhere, "lease").verdict is Verdict.HOLDS, "a server that does not know of the expiry"


def test_tokens_at_the_resource() -> None:
    writes = (("x", 2), ("y", 1), ("x", 2), ("x", 1))
    rows = [{**event("r", "accept", token=token), "lock.name": name} for name, token in writes]
    found = check(rows, "fencing")
    assert [v.facts for v in found.violations] == [{"lock": "x", "token": 1, "before": 2}]
    assert check(rows[:3], "fencing").verdict is Verdict.HOLDS
    assert check(rows, "fencing", set_aside=ASIDE).verdict is Verdict.VIOLATED, "two events are enough"
    assert check([event("r", "accept"), rows[0]], "fencing").verdict is Verdict.UNKNOWN


def test_tokens_of_grants() -> None:
    assert anomalies(check([grant("s", "a", 2), over("s", "a", 2), grant("s", "b", 1)], "fencing")) == [
        "token-not-larger"
    ]
    assert anomalies(check([grant("s", "a", 2), over("s", "a", 2), grant("s", "b", 2)], "fencing")) == [
        "token-given-twice"
    ]


def test_a_release_for_somebody_else() -> None:
    rows = [grant("s", "a", 1), over("s", "a", 1), grant("s", "b", 2), over("s", "b", 2, "release", by="a")]
    found = check(rows, "owner-release")
    assert found.violations[0].summary == "a gave back the lock, which b held."
    stale = [*rows[:3], event("s", "release", token=2, by="a")]
    assert anomalies(check(stale, "owner-release")) == ["released-by-other"]
    late = [*rows[:3], over("s", "a", 1, "release")]
    assert check(late, "owner-release").verdict is Verdict.HOLDS, "it gave back what it had had"


def test_operations_of_clients() -> None:
    rows = in_order([
        op("a", "invoke", "acquire", 1), op("a", "ok", "acquire", 1), op("b", "invoke", "lock", 1),
        op("b", "ok", "lock", 1), op("a", "invoke", "release", 2), op("a", "ok", "release", 2),
    ])  # fmt: skip
    assert anomalies(check(rows, "mutual-exclusion")) == ["held-by-two"]
    refused = [{**row, "value": "false"} if row["process"] == "b" else row for row in rows]
    assert check(refused, "mutual-exclusion").verdict is Verdict.HOLDS
    unanswered = [{**row, "kind": "info"} if (row["process"], row["kind"]) == ("b", "ok") else row for row in rows]
    assert check(unanswered, "mutual-exclusion").verdict is Verdict.HOLDS
    overlapping = in_order([rows[0], rows[1], rows[4], rows[2], rows[3], rows[5]])
    assert check(overlapping, "mutual-exclusion").verdict is Verdict.HOLDS, "it may have been released before"


def test_operations_that_release_what_another_client_has() -> None:
    has = [op("a", "invoke", "acquire", 1), op("a", "ok", "acquire", 1)]
    frees = [op("b", "invoke", "release", 1), op("b", "ok", "release", 1)]
    assert anomalies(check(in_order([*has, *frees]), "owner-release")) == ["released-by-other"]
    assert check(in_order([*frees, *has]), "owner-release").verdict is Verdict.HOLDS
    may = [op("b", "invoke", "acquire", 0), op("b", "info", "acquire", 0)]
    assert check(in_order([*may, *has, *frees]), "owner-release").verdict is Verdict.HOLDS
    assert check(in_order([*has, frees[1]]), "owner-release").verdict is Verdict.UNKNOWN


def test_timestamps() -> None:
    rows = [event("a", "grant", timestamp=3), event("a", "release", timestamp=3), *message("a", "b", 1),
            event("b", "grant", timestamp=2)]  # fmt: skip
    found = check(rows, "timestamp-order")
    assert anomalies(found) == ["granted-out-of-order"]
    assert found.violations[0].facts["timestamps"] == [3, 2]
    assert check([rows[0], rows[-1]], "timestamp-order").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("name", NAMES)
def test_nothing_about_locks(name: str) -> None:
    assert check([{"process": "a", "kind": "internal"}], name).verdict is Verdict.NOT_APPLICABLE


@pytest.mark.parametrize("name", NAMES)
def test_pages_are_complete(name: str) -> None:
    page = checks()[f"lock.{name}"].page
    assert tuple(page) == HEADINGS
    assert all(page.values())
    assert checks()[f"lock.{name}"].summary.endswith(".")


def test_a_lock_that_seems_held_since_giving_back_is_not_recorded() -> None:
    """Clients tell that they give it back, and no server that it frees it; or the other way round."""
    rows = [grant("s", "a", 1), event("a", "leave", token=1), grant("s", "b", 2)]
    found = check(rows, "mutual-exclusion")
    assert found.verdict is Verdict.UNKNOWN
    assert "locks are given back (lock.leave), and lock.release is not recorded" in found.reasons[-1]
    rows = [hold("a", 1, 0, 100), *over_at_server(20), hold("b", 2, 30, 100)]
    found = check(rows, "lease")
    assert found.verdict is Verdict.UNKNOWN
    assert "lock.leave is not recorded" in found.reasons[-1]


def over_at_server(at: int) -> list[Row]:
    return [over("s", "a", 1, "release", time_ns=at * MS)]


def test_events_that_do_not_say_which_lock_they_mean_among_those_that_do() -> None:
    named = {"lock.name": "l"}
    rows = [grant("s", "a", 1) | named, over("s", "a", 1, "release"), grant("s", "b", 2) | named]
    for name in ("mutual-exclusion", "owner-release", "fencing"):
        found = check(rows, name)
        assert found.verdict is Verdict.UNKNOWN
        assert "as s:1: which it means is not known" in found.reasons[0]
    unnamed = check([grant("s", "a", 1), grant("s", "b", 2)], "mutual-exclusion")
    assert unnamed.rests_on[-1] == "one lock (assumed: lock.name is not recorded)"


def test_grants_to_others_that_do_not_say_to_whom() -> None:
    rows = [event("s", "grant", "send", token=t, message=t, peer=p) for t, p in ((1, "a"), (2, "b"))]
    found = check(rows, "mutual-exclusion")
    assert found.verdict is Verdict.UNKNOWN
    assert "lock.holder is not recorded at s:0" in found.reasons[0]
    rows = [event("s", "grant", token=1), event("t", "grant", token=1), hold("a", 1, 0)]
    assert check(rows, "fencing").verdict is Verdict.UNKNOWN


def test_a_client_that_crashed_has_no_lock() -> None:
    rows = [op("a", "invoke", "acquire", 1), op("a", "ok", "acquire", 1), {"process": "a", "kind": "crash"},
            op("b", "invoke", "acquire", 1), op("b", "ok", "acquire", 1)]  # fmt: skip
    assert check(in_order(rows), "mutual-exclusion").verdict is Verdict.HOLDS
    assert check(in_order([*rows[:2], *rows[3:]]), "mutual-exclusion").verdict is Verdict.VIOLATED
    late = [*rows[:2], *rows[3:], rows[2]]
    assert check(in_order(late), "mutual-exclusion").verdict is Verdict.VIOLATED


def test_an_extension_of_unknown_length_leaves_the_end_of_the_lease_open() -> None:
    def timed(at: int, row: Row) -> Row:
        return row | {"time_ns": at * MS}

    granted = timed(0, grant("s", "a", 1, lease_ns=100 * MS))
    extended = timed(80, event("s", "extend", holder="a", token=1))
    other = timed(150, grant("s", "b", 2, lease_ns=100 * MS))
    assert check([granted, other], "mutual-exclusion").verdict is Verdict.HOLDS
    assert check([granted, extended, other], "mutual-exclusion").verdict is Verdict.UNKNOWN
    early = timed(90, grant("s", "b", 2, lease_ns=100 * MS))
    assert check([granted, extended, early], "mutual-exclusion").verdict is Verdict.VIOLATED
    told = timed(85, event("s", "extend", holder="a", token=1, lease_ns=20 * MS))
    assert check([granted, extended, told, other], "mutual-exclusion").verdict is Verdict.HOLDS


def test_replicas_that_tell_the_same_grants_without_tokens() -> None:
    """t tells what s told before it; without tokens that looks as if it happened a second time."""

    def without(row: Row) -> Row:
        return {k: v for k, v in row.items() if k != "lock.token"}

    once = [(grant, "a", 1), (released, "a", 1), (grant, "b", 2)]
    behind = [tell(p, holder, token) for p in "st" for tell, holder, token in once]
    together = [tell(p, holder, token) for tell, holder, token in once for p in "st"]
    together[3:5] = together[4:2:-1]  # s grants to b before t tells that a gave the lock back
    for rows, name in ((behind, "mutual-exclusion"), (together, "owner-release")):
        assert check(in_order(rows), name).verdict is Verdict.HOLDS
        found = check(in_order([without(row) for row in rows]), name)
        assert found.verdict is Verdict.UNKNOWN
        assert "several processes tell of the grants of a, as t:0" in found.reasons[-1]


def released(server: str, client: str, token: int) -> Row:
    return over(server, client, token, "release")


def test_an_order_of_tokens_by_undeclared_clocks_says_what_would_excuse_it() -> None:
    rows = [grant("s", "a", 2) | {"time_ns": 10 * MS}, grant("t", "b", 1) | {"time_ns": 30 * MS}]
    (found,) = check(rows, "fencing").violations
    assert found.facts["excused_by_skew_ns"] == 20 * MS
