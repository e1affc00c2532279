"""Two-phase commit, after Bernstein, Hadzilacos & Goodman, "Concurrency Control and Recovery in Database Systems",
1987, sections 7.3 and 7.4, with the cooperative termination protocol. Secondary: Gray & Lamport, "Consensus on
Transaction Commit", 2006, section 3.

To be read beside the book: comments give its sections, and AC1 to AC5 are its rules for atomic commitment.

What the book has and this leaves out:

* 7.4, evaluation and variations: decentralised and linear 2PC, with other patterns of messages.
* 7.4, removing records from the log. The acknowledgement that this needs is there: a coordinator that has all of them
  writes an end record, and does not tell its decision again after a crash.

Where this differs: a coordinator that gets no vote asks twice more before it aborts, so that a lost message does not
cost a transaction; and it sends ABORT also to those whose vote it does not know, not only to those that voted yes.
"""
