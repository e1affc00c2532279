"""Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", CACM 21(7), 1978: mutual exclusion.

To be read beside the paper's section "Ordering the Events Totally": comments name its five rules and the two of the
logical clocks. Channels are reliable and FIFO and processes do not fail, as the paper supposes; it says itself that the
failure of one process halts all others.

Where the paper leaves a choice: a request is acknowledged always, though that is not needed where a message with a
later timestamp has been sent to its process already (footnote to rule 2). Equal timestamps are ordered by the places of
the processes in the list of their names. In the paper one process has the resource to begin with; here nobody has.
"""
