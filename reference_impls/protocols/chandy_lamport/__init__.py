"""Chandy & Lamport, "Distributed Snapshots: Determining Global States of Distributed Systems", ACM TOCS 1985.

To be read beside the paper: comments name its rules. Channels are reliable and FIFO, processes do not crash, as the
paper supposes. Snapshots are taken again and again, several may be under way, and one may have several initiators; each
has its own markers.

What the paper speaks of and this leaves out: collecting the recorded states at one process. Here the trace is where
they come together.
"""
