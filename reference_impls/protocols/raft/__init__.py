"""Raft, after Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended version, 2014), and
Ongaro's thesis, "Consensus: Bridging Theory and Practice" (2014).

To be read beside them: comments give the paper's sections and the rules of its Figures 2 and 13; "thesis 6.4" is a
section of the thesis. One file a concern, `node.py` puts them together:

* `elections.py`: paper 5.2, 5.4.1; pre-vote, thesis 9.6; servers that hear a leader disregard vote requests, paper 6.
* `replication.py`: paper 5.3, 5.4.2.
* `snapshots.py`: paper 7, Figure 13. A server takes one by itself once it has applied enough entries since the last.
* `membership.py`: joint consensus, paper 6; instead, one server at a time, thesis 4.1, with the correction that Ongaro
  made in 2015 (raft-dev, "bug in single-server membership changes"); learners, thesis 4.2.1; leadership transfer,
  thesis 3.10.
* `reads.py`: paper 8; read index and leases, thesis 6.4 and 6.4.1.

A lease rests on clocks: none may run faster than another by more than `reads.DRIFT`, and none may be set back or on.

What they have and this leaves out:

* Paper 5.1, "servers retry RPCs": AppendEntries is repeated by the heartbeat; a vote request is not repeated within
  its election, the next election repeats it.
* Paper 7: a snapshot travels in one message, not in chunks.
* Thesis 4.2.1: rounds of catching up are not timed; a new server has caught up when it has all that is committed.
* Thesis 6.4: followers do not answer reads.

With `--effective apply`, which the paper does not have, a configuration is used once it is committed, as in etcd; each
server then keeps on stable storage which one it uses.

What paper section 8 asks of clients is there: requests have serial numbers, the state machine remembers each client's
latest one with its result, and a leader starts its term with a no-op entry.
"""
