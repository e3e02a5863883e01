"""The figure of one text as the codebook reads it: where, what, how rare."""

from __future__ import annotations

import numpy as np
from svg import ATTACK, BENIGN, INK, MONO, PANEL, SOFT, box, curve, dot, legend, line, page, shade, text

from alknet_firewall.behavior import Passage
from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.model import LEXICAL, CodebookBehavior


def example(behavior: CodebookBehavior, passage: Passage, channel: str) -> str:
    """Tokens coloured by what they carry, the coordinates that carry most, and the false-alarm rate."""
    values = strongest(behavior, passage)
    carried = behavior.weights[-1] * behavior.log_ratios(values)
    found = behavior.assess([passage], channel)[0]
    assert found.token_scores is not None
    parts = [
        text(24, 30, "1  Where: each token, darker the more it speaks for an injection", 14, weight="bold")
    ]
    parts += _tokens(passage, found.token_scores, 24, 46)
    parts.append(text(24, 152, "2  What: the three coordinates that carry most", 14, weight="bold"))
    told = ("log-densities along each:", SOFT), ("benign text,", BENIGN), ("injections;", ATTACK)
    parts.append(legend(24, 171, *told, ("the dashed line is this text", SOFT)))
    for place, j in enumerate(np.argsort(-carried)[:3]):
        parts += _densities(behavior, int(j), float(values[j]), float(carried[j]), 24 + place * 254, 184)
    parts.append(text(24, 396, "3  How rare: share of benign documents that reach as far", 14, weight="bold"))
    parts += _rates(behavior.tables[channel], found.log_odds, 24, 410)
    return page(794, 640, "One text read by the codebook", parts)


def strongest(behavior: CodebookBehavior, passage: Passage) -> np.ndarray:
    """The coordinates of the strongest stretch of a window, (k,)."""
    every, _, _ = behavior.values(passage)
    found: np.ndarray = every[int(np.argmax(behavior.log_ratios(every) @ behavior.weights[-1]))]
    return found


def _tokens(passage: Passage, scores: np.ndarray, left: float, top: float) -> list[str]:
    parts, x, y = [], left, top
    strongest = max(float(scores.max()), 1e-9)
    for (start, end), score in zip(passage.offsets.tolist(), scores.tolist()):
        word = passage.text[start:end].replace("\n", " ")
        width = 7.8 * len(word) + 2
        if x + width > 770:
            x, y = left, y + 30
        parts.append(box(x, y, width, 22, PANEL))
        parts.append(shade(x, y, width, 22, ATTACK, 0.75 * max(score, 0.0) / strongest))
        parts.append(text(x + 1, y + 16, word, family=MONO, space="preserve"))
        x += width
    return parts


def _densities(
    behavior: CodebookBehavior, j: int, value: float, carried: float, left: float, top: float
) -> list[str]:
    width, height = 238.0, 150.0
    knots = behavior.benign.knots[j]
    margin = 0.35 * (knots[-1] - knots[0])
    low, high = min(knots[0] - margin, value - 0.1 * margin), max(knots[-1] + margin, value + 0.1 * margin)
    grid = np.linspace(low, high, 120)
    at = np.tile(grid[:, None], (1, len(behavior.benign.knots)))
    curves = {BENIGN: behavior.benign(at)[:, j], ATTACK: behavior.attack(at)[:, j]}
    floor, top_value = min(c.min() for c in curves.values()), max(c.max() for c in curves.values())
    floor = max(floor, top_value - 9)

    def place(x: float, y: float) -> tuple[float, float]:
        share = (max(y, floor) - floor) / (top_value - floor)
        return left + 8 + (x - low) / (high - low) * (width - 16), top + height - 10 - share * (height - 22)

    parts = [box(left, top, width, height, PANEL)]
    parts += [curve([place(x, y) for x, y in zip(grid, heights)], color) for color, heights in curves.items()]
    here = place(value, top_value)[0]
    parts.append(line(here, top + 6, here, top + height - 6, INK, "4 3"))
    coordinates = behavior.coordinates
    known = j < len(coordinates)
    name = f"tap {coordinates.taps[j]}, {coordinates.readouts[j]}" if known else LEXICAL
    parts.append(text(left + 4, top + height + 19, name, 12.5, weight="bold"))
    parts.append(
        text(left + width - 4, top + height + 19, f"{carried:+.2f} nats", 12.5, ATTACK, anchor="end")
    )
    return parts


def _rates(table: RateTable, log_odds: float, left: float, top: float) -> list[str]:
    """The calibration curve of the channel, with both default thresholds and the example on it."""
    width, height = 746.0, 180.0
    low, high = (
        float(np.interp(np.log(0.5), table.log_rates[::-1], table.log_odds[::-1])),
        float(table.log_odds[-1]),
    )
    high = max(high, log_odds) + 0.05 * (max(high, log_odds) - low)
    lowest = min(table.log_rate(high), np.log(1e-4))

    def place(x: float, log_rate: float) -> tuple[float, float]:
        across = left + 70 + (x - low) / (high - low) * (width - 90)
        return across, top + 14 + (log_rate / lowest) * (height - 40)

    grid = np.linspace(low, high, 200)
    parts = [box(left, top, width, height, PANEL)]
    for rate, name in ((0.1, "10 %"), (0.01, "1 %"), (0.001, "0.1 %"), (0.0001, "0.01 %")):
        y = place(low, np.log(rate))[1]
        parts += [
            line(left + 70, y, left + width - 20, y),
            text(left + 60, y + 4, name, 12, SOFT, anchor="end"),
        ]
    parts.append(curve([place(x, table.log_rate(x)) for x in grid], BENIGN))
    here, y = place(log_odds, table.log_rate(log_odds))
    parts.append(line(here, top + 8, here, top + height - 22, INK, "4 3"))
    parts.append(dot(here, y, ATTACK))
    parts.append(
        text(
            left + width - 20,
            top + height - 8,
            "log-odds, higher is more like an injection",
            12,
            SOFT,
            anchor="end",
        )
    )
    told = f"this text: log-odds {log_odds:+.2f}, reported rate {rate_in_words(table.rate(log_odds))}"
    parts.append(text(left, top + height + 26, told, 13, ATTACK))
    return parts


def rate_in_words(rate: float) -> str:
    return f"1 in {1 / rate:,.0f}" if rate < 0.5 else f"{rate:.0%}"
