"""The table: how many starts passed within how many queries, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from trial import Outcome

from alknet_firewall.evaluate.metrics import wilson

SAID = {
    "score": "alknet-firewall, score known", "verdict": "alknet-firewall, verdict known",
    "tfidf": "TF-IDF", "guardian": "securevector-guardian",
}  # fmt: skip
_EARLY = 100


def table(told: Sequence[tuple[str, str, Sequence[Outcome]]], limit: int) -> str:
    """Markdown: a row for each target and search, and one for the best search of each start.

    Queries, words and characters are medians over the starts that passed.
    """
    within = sorted({min(_EARLY, limit), limit})
    heads = [*(f"passed in {queries}" for queries in within), "held", "queries", "words changed", "characters added"]
    lines = [f"| target | search | starts | {' | '.join(heads)} |", "| --- | --- " + "| ---: " * (1 + len(heads)) + "|"]
    for name in dict.fromkeys(name for name, _, _ in told):
        own = [(search, done) for of, search, done in told if of == name and done]
        lines += [_line(name, search, done, within) for search, done in own]
        if len(own) > 1:
            lines.append(_line(name, "any of them", best_of([done for _, done in own]), within))
    return "\n".join(lines)


def best_of(searches: Sequence[Sequence[Outcome]]) -> list[Outcome]:
    """For each start that all searches were run from, the outcome with the fewest queries, one that passed if any did."""
    by_start: dict[str, list[Outcome]] = {}
    for done in searches:
        for one in done:
            by_start.setdefault(one.start, []).append(one)
    whole = [own for own in by_start.values() if len(own) == len(searches)]
    return [min(own, key=lambda one: (not one.evaded, one.queries)) for own in whole]


def _line(name: str, search: str, done: Sequence[Outcome], within: Sequence[int]) -> str:
    passed = [one for one in done if one.evaded]
    shares = [_share(sum(one.queries <= most for one in passed), len(done)) for most in within]
    costs = [[one.queries for one in passed], [one.words for one in passed], [one.added for one in passed]]
    medians = [f"{median(values):.0f}" if values else "" for values in costs]
    cells = [SAID.get(name, name), search, str(len(done)), *shares, str(len(done) - len(passed)), *medians]
    return f"| {' | '.join(cells)} |"


def _share(hits: int, n: int) -> str:
    if not n:
        return ""
    found = wilson(hits, n)
    return f"{found.value:.0%} ({found.low:.0%}-{found.high:.0%})"
