"""Waiting for a verdict that another thread works on, and no longer than until the deadline."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait

from alknet_firewall.deadline import Deadline
from alknet_firewall.errors import DeadlineError
from alknet_firewall.gather import BATCH_SIZE
from alknet_firewall.verdict import Verdict

OnFault = Callable[[Exception], Verdict]
"""Makes a verdict of what went wrong, or raises it, as the policy `on_error` says."""


def size_of(text: str, most: int) -> int:
    """How much work a text is, in bytes of UTF-8: of each comes a token at most.

    Args:
        text: Any text; of a long one only the length is asked, so that this takes no time.
        most: No text is more work than that.
    """
    if text.isascii() or len(text) > BATCH_SIZE:
        return min(len(text), most)
    return min(len(text.encode("utf-8", "surrogatepass")), most)


def verdict_in_time(answer: Future[Verdict], deadline: Deadline, on_fault: OnFault) -> Verdict:
    """The answer, or at the deadline the verdict of the policy, whatever the thread that works on it is at."""
    try:
        done, _ = wait([answer], timeout=deadline.left)
        if not done:
            return on_fault(deadline.error())
        return answer.result()
    except DeadlineError as error:  # it was not taken up in time
        return on_fault(error)
    finally:
        answer.cancel()  # of one that nobody waits for any more, nothing more is read


async def verdict_in_time_async(
    answer: Future[Verdict], deadline: Deadline | None, on_fault: OnFault
) -> Verdict:
    """As `verdict_in_time`; the event loop goes on meanwhile."""
    import asyncio  # here, as it takes a while, and whoever awaits this has it already

    waiting = asyncio.wrap_future(answer)
    try:
        done, _ = await asyncio.wait([waiting], timeout=None if deadline is None else deadline.left)
        if deadline is not None and not done:
            return on_fault(deadline.error())
        return waiting.result()
    except DeadlineError as error:
        return on_fault(error)
    finally:  # also where the caller itself is cancelled; the loop may end before it tells the thread by itself
        answer.cancel()
        waiting.cancel()
