"""A node's program that fails: ``on_timer`` or ``on_message``, as its argument says."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from reference_impls.protocols.raft.node import RaftNode
from reference_impls.runtime.effects import Effect
from reference_impls.runtime.tcp import node


def fail(self: RaftNode, now_ns: int, *what: object) -> Sequence[Effect]:
    raise ZeroDivisionError("on purpose")


if __name__ == "__main__":
    setattr(RaftNode, sys.argv[1], fail)
    node.main()
