"""A replicated lock service with leases and fencing tokens.

Leases: Gray & Cheriton, "Leases: An Efficient Fault-Tolerant Mechanism for Distributed File Cache Consistency", SOSP
1989. The service as a whole: Burrows, "The Chubby Lock Service for Loosely-Coupled Distributed Systems", OSDI 2006.
Fencing tokens: Chubby's sequencers (section 2.4); Kleppmann, "How to do distributed locking", 2016.

* `node.py`: a server. One server leads; it changes the table of locks one operation at a time, and tells nobody of a
  change that a majority of the servers has not stored. Another one takes over under a later epoch with the newest
  table that a majority stores: the two phases of Paxos (Lamport, "Paxos Made Simple", 2001), each table a value. It
  lets every lease begin anew before it lets one expire, as Chubby's new master does (section 2.9: it extends leases to
  the longest that its predecessor may have granted).
* `client.py`: a client and its part of a lease: it counts from when it asked, by its own clock, and takes only part of
  the lease for its own, since its clock and the server's may run at different rates (Gray & Cheriton).
* `storage.py`: the resource. It takes no write with a token below one that it has taken: what a client that was paused
  for longer than its lease still sends is refused there, and only there can it be.

Clocks run at rates within 10 % of the true one and are never set; a clock that jumps breaks what leases rest on.

What Chubby has and this leaves out: sessions and KeepAlives (here each lock has a lease of its own), files and their
contents, events, caching, lock delay, read mode, proxies and partitioning.
"""
