"""Gathers what many callers ask, for two threads to work on.

Small items are answered in batches: a thread that is idle starts at once, so a lone caller waits for nobody; while it
is busy, what comes in waits, and what waits is the next batch. Large items have a thread of their own, which goes on
with each of them for a moment, in turns: small ones need not wait until a book is read, and books need not wait for
each other. Whoever comes when too many wait, or too late for its deadline, is refused; whoever gives up leaves nothing
behind.
"""

from __future__ import annotations

from alknet_firewall.gather.gatherer import Gatherer
from alknet_firewall.gather.lane import BATCH_ITEMS, BATCH_SIZE

__all__ = ["BATCH_ITEMS", "BATCH_SIZE", "Gatherer"]
