"""The figures of three ideas: a direction, a spline density, a false-alarm rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from svg import (
    ACCENT,
    ATTACK,
    BENIGN,
    INK,
    LINE,
    PANEL,
    SOFT,
    area,
    box,
    curve,
    dot,
    legend,
    line,
    page,
    shade,
    text,
)  # fmt: skip

from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.model import CodebookBehavior

WIDTH = 480  # so that a phone shows the writing large enough
LEFT, TOP, ACROSS, DOWN = 16.0, 64.0, WIDTH - 32.0, 250.0
Place = Callable[[float, float], tuple[float, float]]


def strongest(behavior: CodebookBehavior, tap: int) -> tuple[int, int]:
    """The two coordinates of a tap that weigh most where a text is read at all taps."""
    weights = np.where(
        behavior.coordinates.taps == tap, behavior.weights[-1][: len(behavior.coordinates)], -1
    )
    first, second = np.argsort(-weights)[:2]
    return int(first), int(second)


def direction(
    behavior: CodebookBehavior, tap: int, benign: dict[str, np.ndarray], attacks: dict[str, np.ndarray]
) -> str:
    """Texts as dots, by the two coordinates of a tap that weigh most; values are those of `behavior.values`."""
    x, y = strongest(behavior, tap)
    points = np.array([[values[x], values[y]] for values in (*benign.values(), *attacks.values())])
    low, high = points.min(0), points.max(0)
    low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)
    place = _place(low[0], high[0], low[1], high[1])
    parts = [text(LEFT, 26, f"States of tap {tap}, along two directions", 15, weight="bold")]
    told = (f"{len(benign)} benign documents", BENIGN), (f"{len(attacks)} with an injection", ATTACK)
    parts += [legend(LEFT, 48, *told, size=14), box(LEFT, TOP, ACROSS, DOWN, PANEL)]
    for texts, color in ((benign, BENIGN), (attacks, ATTACK)):
        parts += [dot(*place(v[x], v[y]), color, 6, told, 0.75) for told, v in texts.items()]
    parts.append(
        text(LEFT + ACROSS, TOP + DOWN + 20, "along the strongest direction →", 13.5, SOFT, anchor="end")
    )
    parts.append(text(LEFT + 8, TOP + 20, "↑ along the second", 13.5, SOFT))
    return page(WIDTH, int(TOP + DOWN + 34), f"Texts along two directions of tap {tap}", parts)


def density(behavior: CodebookBehavior, j: int, value: float) -> str:
    """Both log-densities along one coordinate, their knots, and what a text at `value` gets from them."""
    knots = behavior.benign.knots[j]
    margin = 0.6 * (knots[-1] - knots[0])
    low, high = float(min(knots[0] - margin, value)), float(max(knots[-1] + margin, value))
    grid = np.linspace(low, high, 160)

    def at(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        tiled = np.tile(x[:, None], (1, len(behavior.benign.knots)))
        return behavior.benign(tiled)[:, j], behavior.attack(tiled)[:, j]

    benign, attack = at(grid)
    top = float(max(benign.max(), attack.max())) + 0.6
    place = _place(low, high, top - 9, top)
    parts = [text(LEFT, 26, f"One coordinate of tap {behavior.coordinates.taps[j]}", 15, weight="bold")]
    told = ("benign text,", BENIGN), ("injections:", ATTACK), ("logarithms of how usual each place is", SOFT)
    parts += [legend(LEFT, 48, *told, size=14), box(LEFT, TOP, ACROSS, DOWN, PANEL)]
    both = [place(x, y) for x, y in zip(grid, np.maximum(benign, top - 9))]
    both += [place(x, y) for x, y in zip(grid[::-1], np.maximum(attack[::-1], top - 9))]
    parts.append(area(both, ACCENT, 0.12))
    pieces = (
        (grid <= knots[0], "5 4"),
        ((grid >= knots[0]) & (grid <= knots[-1]), ""),
        (grid >= knots[-1], "5 4"),
    )
    for heights, color in ((benign, BENIGN), (attack, ATTACK)):
        for inside, dash in pieces:
            shown = inside & (heights > top - 9)
            parts.append(curve([place(x, y) for x, y in zip(grid[shown], heights[shown])], color, dash))
    for heights, color in zip(at(knots), (BENIGN, ATTACK)):
        parts += [dot(*place(x, y), color, 4.5) for x, y in zip(knots, heights) if y > top - 9]
    below, above = (float(one[0]) for one in at(np.array([value])))
    (x, y1), (_, y2) = place(value, max(below, top - 9)), place(value, max(above, top - 9))
    parts += [line(x, y1, x, y2, INK), dot(x, y1, INK, 3.5), dot(x, y2, INK, 3.5)]
    beside = ("end", -8) if x > LEFT + 0.8 * ACROSS else ("start", 8)
    parts.append(
        text(
            x + beside[1],
            (y1 + y2) / 2 + 5,
            f"{above - below:+.2f} nats",
            14,
            weight="bold",
            anchor=beside[0],
        )
    )
    said = "dots: knots; dashed: the straight tails; in black: the example text"
    parts.append(text(LEFT, TOP + DOWN + 20, said, 13, SOFT))
    return page(WIDTH, int(TOP + DOWN + 34), "Two spline densities along one coordinate", parts)


def rates(tables: dict[str, RateTable], block: float, review: float) -> str:
    """The share of benign text that reaches a value of the log-odds, by channel, with both thresholds."""
    lowest, low = (
        3e-4,
        min(float(np.interp(np.log(0.3), t.log_rates[::-1], t.log_odds[::-1])) for t in tables.values()),
    )
    high = max(_reached(table, lowest) for table in tables.values())
    place = _place(low, high, np.log(lowest), np.log(0.3), left=52)
    parts = [text(LEFT, 26, "Share of benign text that reaches a log-odds", 15, weight="bold")]
    parts.append(box(LEFT, TOP, ACROSS, DOWN, PANEL))
    right, floor = place(high, 0)[0], place(low, np.log(lowest))[1]
    blocked, reviewed = place(low, np.log(block))[1], place(low, np.log(review))[1]
    start = place(low, 0)[0]
    parts.append(shade(start, blocked, right - start, floor - blocked, ATTACK, 0.16))
    parts.append(shade(start, reviewed, right - start, blocked - reviewed, ACCENT, 0.2))
    for rate, name in ((0.1, "10 %"), (0.01, "1 %"), (0.001, "0.1 %")):
        y = place(low, np.log(rate))[1]
        parts += [line(start, y, right, y, LINE), text(start - 6, y + 4, name, 13, SOFT, anchor="end")]
    told = (f"review: {review:.0%}", ACCENT, blocked - 6), (f"block: {block:.0%}", ATTACK, blocked + 18)
    parts += [text(right - 8, y, name, 14, color, weight="bold", anchor="end") for name, color, y in told]
    dashes = dict(zip(tables, ("", "9 4", "3 3", "10 3 2 3")))
    grid = np.linspace(low, high, 160)
    for channel, table in tables.items():
        heights = np.array([table.log_rate(x) for x in grid])
        seen = (heights >= np.log(lowest)) & (heights <= np.log(0.3))
        parts.append(curve([place(x, y) for x, y in zip(grid[seen], heights[seen])], INK, dashes[channel]))
    for i, channel in enumerate(tables):
        x = LEFT + i * 112
        parts += [line(x, 46, x + 30, 46, INK, dashes[channel]), text(x + 36, 50, channel, 13.5, SOFT)]
    parts.append(
        text(
            LEFT + ACROSS,
            TOP + DOWN + 20,
            "log-odds of an attack, injection or jailbreak →",
            13.5,
            SOFT,
            anchor="end",
        )
    )
    return page(WIDTH, int(TOP + DOWN + 34), "False-alarm rates by channel", parts)


def _reached(table: RateTable, rate: float) -> float:
    """The log-odds at which a table has fallen to a rate, to a hundredth."""
    at = float(table.log_odds[0])
    while table.log_rate(at) > np.log(rate):
        at += 0.01
    return at


def _place(low: float, high: float, bottom: float, top: float, left: float = 8) -> Place:
    """From values to places in the frame."""

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + left + (x - low) / (high - low) * (ACROSS - left - 8)
        return across, TOP + 8 + (top - y) / (top - bottom) * (DOWN - 16)

    return place
