"""A causally consistent store whose replicas converge.

Updates take effect in causal order as in Ahamad, Neiger, Burns, Kohli & Hutto, "Causal Memory: Definitions,
Implementation, and Programming", Distributed Computing 1995, section 4: each carries a version vector, and waits until
all that it counts has taken effect. Of concurrent writes the last one stays, by Lamport timestamps, as in Lloyd,
Freedman, Kaminsky & Andersen, "Don't Settle for Eventual", SOSP 2011 (COPS, sections 3.2 and 4). Timestamps respect
causal order, so every replica shows what one total order of all writes explains: causal convergence.

Left out of COPS: partitions of the key space, so nearest dependencies need no check across servers; and get
transactions.
"""
