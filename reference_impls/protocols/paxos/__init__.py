"""Paxos for single values, after Lamport, "Paxos Made Simple" (2001): many independent instances side by side.

To be read beside the paper: comments give its sections. Every node is proposer, acceptor and learner at once (2.5).

What the paper has and this leaves out:

* Section 2.4, a distinguished proposer: here every node proposes what its clients ask for, and proposers that stand in
  each other's way wait for a random time before the next ballot. Safety does not depend on it, progress does.
* Section 2.3, acceptors that inform every learner: here they inform the proposer, which learns first and tells the
  others (the distinguished learner of that section). Who misses the news learns by proposing, as the section says.
* Section 3, the replicated machine: that is `multi_paxos`.

What an acceptor has promised and accepted, and the highest ballot that a proposer has tried, are on stable storage
before anything is sent (2.5). What was learned is not: it can be learned again.
"""
