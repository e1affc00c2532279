"""Events that make no sense: no check of locks fails or warns, whatever a recorder writes; and names do not matter."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.lock.events import check
from tests.lock.test_checks import NAMES

EVENTS = ("grant", "keep", "extend", "release", "expire", "acquire", "renew", "leave", "lapse", "accept", "unheard_of")
KINDS = ("internal", "send", "receive", "restart", "crash", "fault", "invoke", "ok", "fail")
EXTREMES = (-(2**63), -1, 0, 1, 2**31, 2**62, 2**63 - 1)


def event(draw: random.Random, wrong: bool) -> dict[str, Any]:
    """A row of drawn fields, each with a drawn value or absent."""
    numbers = ("token", "lease_ns", "expires_ns", "timestamp")
    row: dict[str, Any] = {"process": draw.choice(("a", "b", "nemesis")), "kind": draw.choice(KINDS)}
    maybe: dict[str, Any] = {
        "name": f"lock.{draw.choice(EVENTS)}", "message": draw.randrange(4), "peer": draw.choice("ab"),
        "f": draw.choice(("acquire", "release", "lock")), "op": draw.randrange(3), "key": draw.choice("xy"),
        "time_ns": draw.choice(EXTREMES), "true_time_ns": draw.choice(EXTREMES), "value": draw.choice(("false", "1")),
        "lock.name": draw.choice(("x", "y", "")), "lock.holder": draw.choice(("a", "b", "q", "")),
        "lock.by": draw.choice(("a", "b")), **{f"lock.{n}": draw.choice(EXTREMES) for n in numbers},
    }  # fmt: skip
    if wrong:
        maybe |= {"lock.token": "seven", "lock.name": 1.5, "lock.lease_ns": "long", "lock.timestamp": "now"}
        maybe |= {"lock.holder": 3, "lock.by": True, "lock.expires_ns": 0.5}
    return row | {name: value for name, value in maybe.items() if draw.random() < 0.6}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(4))
def test_any_events(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(15):
        rows = [event(draw, seed % 4 == 3) for _ in range(draw.randrange(1, 30))]
        for name in NAMES:
            check(rows, name).to_json()
            check(rows, name, bounds={"skew_ns": draw.choice(EXTREMES), "drift_ppm": draw.choice(EXTREMES)}).to_json()


@pytest.mark.parametrize("seed", range(3))
def test_other_names_make_no_other_verdict(seed: int) -> None:
    draw = random.Random(seed)
    other = {"a": "zeta", "b": "alpha", "q": "mu", "x": "k1", "y": "k0"}
    for _ in range(15):
        rows = [{**event(draw, wrong=False), "index": i} for i in range(draw.randrange(1, 20))]
        named = [{k: other.get(v, v) if isinstance(v, str) else v for k, v in row.items()} for row in rows]
        for name in NAMES:
            assert check(rows, name).verdict is check(named, name).verdict
