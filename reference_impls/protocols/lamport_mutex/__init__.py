"""Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", CACM 21(7), 1978: mutual exclusion.

To be read beside the paper's section "Ordering the Events Totally": comments name its five rules and the two of the
logical clocks. Channels are reliable and FIFO and processes do not fail, as the paper supposes; it says itself that the
failure of one process halts all others.

Of what the paper leaves open: a process does not send an acknowledgement where it has sent a message with a later
timestamp already (the paper's footnote to rule 2 allows it; here it always sends one). Equal timestamps are ordered by
the places of the processes in the list of their names.
"""
