"""What one screening costs, from string to verdict, and which share of it the detector takes.

    python benchmarks/latency.py [--repeats N] [--threads N]

Prints a Markdown table. Absolute times depend on the machine; the ratios of one run do not, much.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np
import onnxruntime

from alknet_firewall import Firewall, FirewallConfig

SENTENCE = "The report shows that revenue grew by nine percent, mostly thanks to new customers in the north. "
TOKENS = (16, 32, 64, 128, 256, 512, 2048)


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--repeats", type=int, default=30)
    arguments.add_argument("--threads", type=int, default=None)
    options = arguments.parse_args()
    firewall = Firewall(FirewallConfig(threads=options.threads)).warm_up()
    detector = firewall.engine.detector
    long = detector.tokenizer.encode(SENTENCE * 200).ids
    template = detector.tokenizer.template
    print(
        f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, onnxruntime "
        f"{onnxruntime.__version__}, {detector.model.backend} {detector.model.precision}, taps {detector.taps}\n"
    )
    print("| tokens | screen(), ms | detector alone, ms | detector's share |")
    print("| ---: | ---: | ---: | ---: |")
    for n in TOKENS:
        text = detector.tokenizer.decode(long[:n].tolist())
        window = min(n, firewall.engine.codebook.window.size)
        ids = np.concatenate([template.prefix, long[:window], template.suffix]).astype(np.int32)
        batch = [ids] * -(-n // window)
        whole, model = [], []
        for _ in range(options.repeats):  # interleaved: both meet the same moods of the machine
            whole.append(milliseconds(lambda text=text: firewall.screen(text)))
            model.append(milliseconds(lambda batch=batch: detector.model.hidden_states(batch)))
        a, b = np.median(whole[3:]), np.median(model[3:])
        print(f"| {n} | {a:.1f} | {b:.1f} | {b / a:.0%} |", flush=True)


if __name__ == "__main__":
    main()
