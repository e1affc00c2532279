"""An eventually consistent store: anti-entropy, registers whose last writer wins, a set and a counter.

Updates spread by direct mail and anti-entropy (Demers et al., PODC 1987) and take effect when they arrive, in whatever
order. So all of them have to commute; then replicas that have the same updates are in the same state (strong eventual
consistency: Shapiro, Preguiça, Baquero & Zawirski, "Conflict-free Replicated Data Types", SSS 2011, section 2). The
objects are from their "A Comprehensive Study of Convergent and Commutative Replicated Data Types", INRIA RR-7506, 2011.

Clients ask any replica, each time another one, so that no session guarantee holds either.

Left out: collecting tombstones that everybody has.
"""
