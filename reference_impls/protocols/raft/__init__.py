"""Raft, after Ongaro & Ousterhout, "In Search of an Understandable Consensus Algorithm" (extended version, 2014).

To be read beside the paper: comments give its sections and the rules of its Figure 2.

What the paper has and this leaves out:

* Section 6, cluster membership changes: the members never change. With it goes the rule that servers disregard vote
  requests while they believe that a leader exists (end of section 6).
* Section 7, log compaction: logs grow for the whole run, a restarted server applies its log from the start.
* Section 5.1, "servers retry RPCs": AppendEntries is repeated by the heartbeat; a vote request is not repeated within
  its election, the next election repeats it.
* Section 8, read-only operations without writing to the log: here a read goes through the log like a write, the simple
  way to make it linearizable; the heartbeat exchange that section 8 describes would save the entry.

What section 8 asks of clients is there: requests have serial numbers, the state machine remembers each client's latest
one with its result, and a leader starts its term with a no-op entry.
"""
