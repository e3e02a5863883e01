"""A process that screens parts: one line of JSON in, one line of JSON out.

It is started by `local.py`. Its first line of input is the setup, each other one a part. It ends when its input does:
at once, whatever it is at, so that a run that was killed leaves nobody behind who still writes.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import IO, Any

from alknet_firewall.batch.parts import Part
from alknet_firewall.batch.screener import Screener, Setup
from alknet_firewall.errors import AlknetFirewallError


def main() -> None:
    """The process, from its first line to its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keyboard speaks to the parent, which ends its workers
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, lines), daemon=True).start()
    try:
        screener = Screener(Setup.from_json(lines.get()))
        _answer(answers, {"identity": screener.identity()})
        while True:
            message = json.loads(lines.get())
            tally = screener.screen(Part(**message["part"]), message["run"])
            _answer(answers, {"tally": tally.to_dict()})
    except AlknetFirewallError as error:
        _answer(answers, {"failed": str(error)})
    except Exception as error:  # its message may quote a text
        _answer(
            answers, {"failed": f"{type(error).__name__} in a worker process; run `alknet-firewall doctor`"}
        )
        raise


def _listen(stream: IO[str], lines: SimpleQueue[str]) -> None:
    for line in stream:
        lines.put(line)
    os._exit(0)


def _answer(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()
