"""What does the work of screening: detector, codebook and plugins, bound to settings.

    text - normalise - tokenise - window - detector - readout - codebook - compose - Verdict

`Engine.judge` walks the chain, or `Engine.judging` in steps; a `Tally` keeps the strongest window of each behavior,
`Engine.verdict` turns the tally into an answer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from alknet_firewall.behavior import Behavior, Evidence, Passage
from alknet_firewall.codebook.codebook import Codebook, bundled_codebook, load_codebook
from alknet_firewall.codebook.compose import Finding, compose, decide_alone, decide_together
from alknet_firewall.codebook.readout import normalised
from alknet_firewall.codebook.spans import evidence_range
from alknet_firewall.config import FirewallConfig
from alknet_firewall.detector.batches import framed_batches
from alknet_firewall.detector.detector import Detector, load_detector
from alknet_firewall.detector.growing import GrowingText
from alknet_firewall.detector.protocol import FloatArray, Stage, States
from alknet_firewall.detector.weights import Weights, open_weights
from alknet_firewall.errors import CodebookError, DetectorError
from alknet_firewall.passages import SLICE_CHARS, Piece, slice_pieces
from alknet_firewall.plugins import Plugins, load_plugins
from alknet_firewall.policy import action_of, check_settings, group_of, limit_of, thresholds_of
from alknet_firewall.verdict import Action, Span, Verdict

_Result = TypeVar("_Result")
_GATHERED = 64  # windows that are sorted by length before they are put into batches
_CHARS_A_TOKEN = 64
"""No text that says anything has so many characters a token: more are long text, however little is left of it."""


@dataclass
class Engine:
    """A loaded firewall: detector, codebook and plugins, bound to settings that were checked against them."""

    config: FirewallConfig
    codebook: Codebook
    detector: Detector
    plugins: Plugins
    behaviors: Mapping[str, Behavior]
    off: frozenset[str] = frozenset()
    """Behaviors that are assessed only because the cascade goes by the whole group, and say nothing."""

    def judge(self, texts: Sequence[str], channels: Sequence[str]) -> list[Verdict]:
        """Screens texts, all at once as far as memory allows; a fault is raised."""
        return _run(self.judging(texts, channels))

    def judging(self, texts: Sequence[str], channels: Sequence[str]) -> Generator[None, None, list[Verdict]]:
        """As `judge`, in steps of at most a slice of text or a batch of the detector; returns the verdicts."""
        tallies = yield from self._seeing(texts, channels)
        return [self.verdict(tally, channel) for tally, channel in zip(tallies, channels)]

    def see(self, text: str, channel: str) -> Tally:
        """What `judge` sees of a text."""
        [tally] = _run(self._seeing([text], [channel]))
        return tally

    def _seeing(self, texts: Sequence[str], channels: Sequence[str]) -> Generator[None, None, list[Tally]]:
        tallies = [Tally() for _ in texts]
        for found in self._read(texts, channels, tallies):
            if found is not None:
                index, piece, evidence = found
                self.add(tallies[index], piece, evidence)
            yield
        return tallies

    def add(self, tally: Tally, piece: Piece, evidence: Mapping[str, Evidence]) -> None:
        """Adds what was found in a window to what was seen of its text."""
        tally.add(piece, evidence, group_of(self.config, self.codebook))

    def windows(self, text: str, channel: str) -> Iterator[Mapping[str, Evidence]]:
        """By behavior, what is found in each window of a text (not always in the order of the text)."""
        for found in self._read([text], [channel], [Tally()]):
            if found is not None:
                yield found[2]

    def _read(
        self, texts: Sequence[str], channels: Sequence[str], tallies: Sequence[Tally]
    ) -> Iterator[tuple[int, Piece, Mapping[str, Evidence]] | None]:
        """Windows of texts with what was found in them: the number of the text, the window, the evidence.

        None stands behind each slice: there may be nothing in it, and whoever reads may want to stop.
        """
        waiting: list[tuple[int, Piece]] = []
        window, tokenizer = self.codebook.window, self.detector.tokenizer
        for index, text in enumerate(texts):
            for end, cut in slice_pieces(text, tokenizer, window.size, window.overlap):
                self.reaches(end, tallies[index])
                for piece in self.allowed(cut, tallies[index]):
                    waiting.append((index, piece))
                    if len(waiting) == _GATHERED:
                        yield from self.assessed(waiting, channels)
                        waiting = []
                yield None
                if tallies[index].truncated:
                    break
        yield from self.assessed(waiting, channels)

    def reaches(self, end: int, tally: Tally) -> None:
        """Notes that the next slice of a text ends at a character: `on_long` holds for long text without tokens, too.

        A hundred million invisible characters, or one and the same, are few tokens and much work.
        """
        most = max(2 * SLICE_CHARS, _CHARS_A_TOKEN * self.config.max_tokens)
        if self.config.on_long != "screen_all" and end > most:
            tally.truncated = True

    def allowed(self, cut: Iterable[Piece], tally: Tally) -> Iterator[Piece]:
        """Those of the windows of a text that are to be read, up to what `on_long` allows; the tally notes it."""
        window = self.codebook.window
        if tally.truncated:
            return
        for piece in cut:
            if piece.decoded is not None:  # said before in another way: bounded, and no more of the text
                yield piece
                continue
            new_tokens = len(piece.ids) - (window.overlap if tally.tokens else 0)
            left = self.config.max_tokens - tally.tokens
            if self.config.on_long != "screen_all" and new_tokens > left:
                tally.truncated = True
                tally.tokens += left
                if left > 0:  # what is still allowed is read, too
                    yield piece.head(len(piece.ids) - new_tokens + left)
                return
            tally.tokens += new_tokens
            if not piece.replaced:  # what it means is read in a view
                yield piece

    def assessed(
        self, waiting: Sequence[tuple[int, Piece]], channels: Sequence[str]
    ) -> Iterator[tuple[int, Piece, Mapping[str, Evidence]]]:
        """Runs the detector over windows, each to the depth that it needs, and assesses them; in any order.

        Args:
            waiting: Windows, each with the number of its text.
            channels: Of the texts.
        """
        template = self.detector.tokenizer.template
        for places, batch in framed_batches([piece.ids for _, piece in waiting], template):
            read: list[dict[int, FloatArray]] = [{} for _ in batch]
            rows = np.arange(len(batch))  # those of the batch that have come this far
            stage = self.detector.model.begin(batch)
            for tap in self.detector.taps:
                _check_states(stage, len(rows), max(len(batch[row]) for row in rows))
                for own, row in zip(normalised(stage.states), rows.tolist()):
                    read[row][tap] = own[len(template.prefix) : len(batch[row])]
                further = []
                last = tap == self.detector.taps[-1]
                for at, row in enumerate(rows.tolist()):
                    index, piece = waiting[places[row]]
                    if not last and self.codebook.cascade is None:  # everything is read to the end
                        further.append(at)
                        continue
                    evidence = self.assess(piece, channels[index], read[row])
                    if not last and self.goes_on(evidence, channels[index]):
                        further.append(at)
                    else:
                        yield index, piece, evidence
                if not further:
                    break
                stage = self.detector.model.resume(stage, np.array(further))
                rows = rows[further]

    def assessed_growing(self, piece: Piece, channel: str, growing: GrowingText) -> Mapping[str, Evidence]:
        """Assesses a window that may become longer; only its new tokens are run."""
        template = self.detector.tokenizer.template
        framed = np.concatenate([template.prefix, piece.ids, template.suffix]).astype(np.int32)
        begin = len(template.prefix)
        states: dict[int, FloatArray] = {}
        stage = growing.begin(framed, lasting=begin + len(piece.ids))
        for tap in self.detector.taps:
            _check_states(stage, 1, len(framed))
            states[tap] = normalised(stage.states[0, begin : len(framed)])
            if tap == self.detector.taps[-1]:
                break
            if self.codebook.cascade is not None:
                evidence = self.assess(piece, channel, states)
                if not self.goes_on(evidence, channel):
                    return evidence
            stage = growing.resume(stage)
        return self.assess(piece, channel, states)

    def assess(self, piece: Piece, channel: str, states: States) -> dict[str, Evidence]:
        """What each behavior finds in a window, from states as `Passage` has them."""
        suffix = len(self.detector.tokenizer.template.suffix)
        passage = Passage(piece.text, piece.ids, piece.offsets, states, suffix)
        try:
            return {name: behavior.assess([passage], channel)[0] for name, behavior in self.behaviors.items()}
        except SystemExit as error:  # of a plugin: no exception of the kind that becomes a verdict by policy
            raise DetectorError("a behavior asked the process to end while it assessed a text") from error

    def goes_on(self, found: Mapping[str, Evidence], channel: str) -> bool:
        """Whether the cascade reads a window on to the next tap."""
        odds = [found[name].log_odds for name in self.codebook.group if name in found]
        bands = self.codebook.cascade or {}
        return bool(odds) and float(np.logaddexp.reduce(odds)) >= bands[channel]

    def verdict(self, tally: Tally, channel: str) -> Verdict:
        """What is to be done with a text of which this was seen."""
        findings = {name: self._finding(name, tally, channel) for name in tally.strongest}
        decisions = []
        group = group_of(self.config, self.codebook)
        if group and findings:
            table = self.codebook.combined[channel]
            log_rate = table.log_rate(tally.group_log_odds, tally.windows)
            rate = table.rate(tally.group_log_odds, tally.windows)
            together = [findings[name] for name in group]
            decisions.append(decide_together(together, log_rate, rate, thresholds_of(self.config)))
        for name, finding in findings.items():
            if name not in group and name not in self.off:
                limit = limit_of(self.config, name, self.behaviors[name])
                decisions.append(decide_alone(finding, thresholds_of(self.config, name), limit))
        decision = compose(decisions)
        action = decision.action
        if tally.truncated:
            action = max(action, Action(self.config.on_long), key=lambda action: action.severity)
        return Verdict(
            action=action,
            score=decision.score,
            false_alarm_rate=decision.false_alarm_rate,
            alarms=decision.alarms,
            channel=channel,
            tokens=tally.tokens,
            truncated=tally.truncated,
        )

    def _finding(self, name: str, tally: Tally, channel: str) -> Finding:
        behavior, strongest = self.behaviors[name], tally.strongest[name]
        log_odds = strongest.evidence.log_odds
        log_rate = float(behavior.log_false_alarm_rate(log_odds, channel, tally.windows))
        rate = float(behavior.false_alarm_rate(log_odds, channel, tally.windows))
        if not (
            0 <= rate <= 1 and log_rate <= 0
        ):  # a rate that is no number compares as neither rare nor common
            raise DetectorError(f"behavior {name!r} gave a false-alarm rate of {rate} (logarithm {log_rate})")
        return Finding(
            behavior=name,
            log_odds=log_odds,
            log_rate=log_rate,
            rate=rate,
            contributions=strongest.evidence.contributions,
            locate=lambda: _span(strongest.piece, strongest.evidence),
            decoded=strongest.piece.decoded,
        )


@dataclass(frozen=True)
class _Strongest:
    piece: Piece
    evidence: Evidence

    @property
    def rank(self) -> tuple[float, int, bool]:
        """The higher, the stronger; of equals the first in the text as it stands, in whatever order they were read."""
        return self.evidence.log_odds, -int(self.piece.origin[0, 0]), self.piece.decoded is None


@dataclass
class Tally:
    """What was seen of a text so far: bounded, however long it is."""

    tokens: int = 0
    windows: int = 0
    truncated: bool = False
    group_log_odds: float = -np.inf
    strongest: dict[str, _Strongest] = field(default_factory=dict)

    def copy(self) -> Tally:
        """One that goes on by itself."""
        return replace(self, strongest=dict(self.strongest))

    def add(self, piece: Piece, evidence: Mapping[str, Evidence], group: Sequence[str]) -> None:
        self.windows += 1
        in_group = [evidence[name].log_odds for name in group if name in evidence]
        if in_group:  # the odds of the kinds of attack add up
            self.group_log_odds = max(self.group_log_odds, float(np.logaddexp.reduce(in_group)))
        for name, found in evidence.items():
            if not np.isfinite(found.log_odds):
                raise DetectorError(f"behavior {name!r} gave log-odds of {found.log_odds}")
            new, best = _Strongest(piece, found), self.strongest.get(name)
            if best is None or new.rank > best.rank:
                self.strongest[name] = new


def load_engine(config: FirewallConfig) -> Engine:
    """Loads what a configuration names.

    Raises:
        AlknetFirewallError: Something cannot be loaded, or does not fit together; the message names both sides.
    """
    plugins = load_plugins(config.plugins)
    if config.codebook is None:
        codebook = bundled_codebook(plugins.readouts, config.trust)
    else:
        codebook = load_codebook(config.codebook, plugins.readouts, config.trust)
    weights = open_weights(config.weights, allow_moving_revision=config.allow_moving_revision)
    if max(codebook.taps) > weights.architecture.n_layers:
        raise _other_detector(codebook, weights, f"a model of {weights.architecture.n_layers} blocks")
    detector = load_detector(
        weights,
        codebook.taps,
        plugins.backends,
        backend=config.backend,
        precision=config.precision,
        allowed_precisions=codebook.precisions,
        threads=config.threads,
        max_length=codebook.window.size + 64,
    )
    if detector.fingerprint != codebook.fingerprint:
        raise _other_detector(codebook, weights, detector.fingerprint[:12])
    behaviors: dict[str, Behavior] = {**plugins.behaviors, **codebook.behaviors}
    check_settings(config, codebook, behaviors)
    if any(
        len(behavior.lexicon.folded) != detector.tokenizer.vocabulary_size
        for behavior in codebook.behaviors.values()
        if behavior.lexicon is not None
    ):
        raise CodebookError("the codebook's lexicon is not of the detector's vocabulary: the file is damaged")
    off = {name for name, behavior in behaviors.items() if action_of(config, name, behavior) == "off"}
    needed = set(
        codebook.group if codebook.cascade is not None and not off.issuperset(codebook.group) else ()
    )
    assessed = {name: behavior for name, behavior in behaviors.items() if name not in off or name in needed}
    return Engine(config, codebook, detector, plugins, assessed, frozenset(off))


def _run(steps: Generator[None, None, list[_Result]]) -> list[_Result]:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            results: list[_Result] = end.value
            return results


def _other_detector(codebook: Codebook, weights: Weights, found: str) -> CodebookError:
    return CodebookError(
        f"the codebook was compiled for another detector: it names {codebook.detector} "
        f"({codebook.fingerprint[:12]}), the weights are {weights.path} ({found}). "
        "Use the weights it was compiled for, or compile a codebook for these: alknet-firewall compile"
    )


def _check_states(stage: Stage, rows: int, longest: int) -> None:
    shape = stage.states.shape
    if len(shape) != 3 or shape[0] != rows or shape[1] < longest:
        raise DetectorError(f"the backend gave states of shape {shape} for {rows} texts of {longest} tokens")


def _span(piece: Piece, evidence: Evidence) -> Span | None:
    scores = evidence.token_scores
    if scores is None or scores.shape != piece.ids.shape or not np.isfinite(scores).all():
        return None  # an explanation that cannot be given must not stand in the way of a verdict
    first, last = evidence_range(piece.text, piece.offsets, scores)
    start, end = (int(piece.offsets[at]) for at in ((first, 0), (last - 1, 1)))
    blank = len(piece.text[start:end]) - len(
        piece.text[start:end].lstrip()
    )  # a token brings the space before it
    whole = int(piece.origin[first, 1] - piece.origin[first, 0])
    return Span(int(piece.origin[first, 0]) + (blank if blank < whole else 0), int(piece.origin[last - 1, 1]))
