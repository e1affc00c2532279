"""Multi-Paxos: a replicated state machine, after Lamport, "Paxos Made Simple" (2001), section 3.

The details that make it run are those of van Renesse & Altinbuken, "Paxos Made Moderately Complex" (2015, PMMC); the
machine S = (Q, Sigma, delta, q0) is that of Schneider, "Implementing Fault-Tolerant Services Using the State Machine
Approach" (1990). To be read beside the first one: comments give its sections, or PMMC's names.

Every node is acceptor, replica and, when it leads, the only proposer. A leader executes phase 1 once for all slots;
then a command costs phase 2 only. Whoever hears no leader for a random time begins a higher ballot.

What the papers have and this leaves out:

* Section 3, end, and PMMC: changes of the set of servers, and the window of slots that goes with them.
* Section 2.3, learners that hear from acceptors: here the leader learns first and tells the others; who missed
  something asks the leader when a heartbeat shows that there is more.
* PMMC, collecting garbage: what is decided stays in the log for the whole run. An acceptor does drop what it accepted
  for a slot once it knows what is decided there, and reports the decision instead.
* PMMC, read-only commands: here a read takes a slot like a write, the simple way to make it linearizable.
"""
