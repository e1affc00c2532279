"""A primary with backups, replicated asynchronously (lazily).

Every write goes to the primary, a backup passes on those that its clients bring it (Alsberg & Day, "A Principle for
Resilient Sharing of Distributed Resources", ICSE 1976). But the primary answers before any backup has the write: the
lazy master replication of Gray, Helland, O'Neil & Shasha, "The Dangers of Replication and a Solution", SIGMOD 1996.
Backups apply the primary's log in its order and answer reads from what they have.

So each client sees a prefix of one order of all writes, and never a shorter one later: monotonic reads, monotonic
writes, writes follow reads (Terry et al., "Session Guarantees for Weakly Consistent Replicated Data", PDIS 1994). It
need not see its own last write: read your writes fails, and with it all that is stronger than these three.

Left out: failover. While the primary is down nobody writes; a restarted one has its log.
"""
