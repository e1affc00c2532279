"""Events that make no sense: no check fails, warns or loops, whatever a recorder writes."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.raft.test_oracle import results
from tracekit.trace.builder import TraceBuilder

NAMES = ("init", "restart", "crash", "become_leader", "become_candidate", "request_vote", "request_vote_response",
         "append_entries", "commit", "apply", "unheard_of")  # fmt: skip
KINDS = ("internal", "send", "receive", "restart", "crash", "fault", "invoke", "ok")
NUMBERS = ("term", "commit", "last_index", "last_term", "log_from", "log_known_from", "apply_index", "apply_term",
           "message_term", "message_index", "message_log_term")  # fmt: skip
EXTREMES = (-(2**63), -1, 0, 2**31, 2**62, 2**63 - 1)


def event(draw: random.Random) -> dict[str, Any]:
    """A row of drawn fields, each with a drawn value or absent."""
    row: dict[str, Any] = {
        "process": draw.choice(("a", "b", "c", "nemesis")), "kind": draw.choice(KINDS),
        "name": f"raft.{draw.choice(NAMES)}",
    }  # fmt: skip
    for name in NUMBERS:
        if draw.random() < 0.4:
            row[f"raft.{name}"] = draw.choice(EXTREMES) if draw.random() < 0.1 else draw.randrange(5)
    maybe = {
        "raft.role": draw.choice(("leader", "follower", "candidate", "learner", "king")),
        "raft.vote": draw.choice(("a", "b", "", "nobody we know")),
        "raft.apply_digest": draw.choice("xy"),
        "raft.entry_terms": [draw.choice((None, 1, 2, 3)) for _ in range(draw.randrange(3))],
        "raft.entry_digests": [draw.choice((None, "p", "q")) for _ in range(draw.randrange(3))],
        "raft.voters": [draw.choice(("a", "b", "z", "", None)) for _ in range(draw.randrange(4))],
        "raft.voters_outgoing": [draw.choice(("a", "b", "z"))],
        "raft.message_reject": draw.random() < 0.5,
        "message": draw.randrange(8),
        "peer": draw.choice(("a", "b", "c", "q")),
    }
    return row | {name: value for name, value in maybe.items() if draw.random() < 0.3}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(8))
def test_any_events(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(40):
        builder = TraceBuilder()
        for _ in range(draw.randrange(1, 40)):
            builder.add(event(draw))
        for result in results(builder.build()).values():
            result.to_json()
