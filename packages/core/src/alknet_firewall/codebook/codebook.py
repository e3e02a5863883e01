"""The artefact: behaviors with their directions, densities and calibration, tied to one detector.

Stored as safetensors (no code can hide in it) with one JSON document as metadata, under a checksum (`seal.py`).
Compiling twice gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from alknet_firewall.codebook.calibration import RateTable
from alknet_firewall.codebook.model import CodebookBehavior, Coordinates, Lexicon
from alknet_firewall.codebook.readout import ATTENTION, BUILT_IN, PEAK, Readout, is_feature
from alknet_firewall.codebook.seal import Seal, Tensors, Unsealed, opened, packed
from alknet_firewall.codebook.signature import Trust, check_signature
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.errors import CodebookError
from alknet_firewall.files import printable, read_bounded, told
from alknet_firewall.verdict import CHANNELS

FORMAT = 3
_WITHOUT_STRETCHES = 2
"""Format of the codebooks before, which read all windows as a whole."""
BUNDLED = "the bundled codebook"
MAX_BYTES = 64 << 20
_MAX_KNOTS = 64  # splines are solved for in memory that grows with its square
_MOST_COORDINATES = 4096  # of all behaviors
_MOST_BEHAVIORS = 64
_WIDEST = 4096  # tokens of a window
_LONGEST_NAME = 200  # characters of what is shown: names of behaviors, of the detector, of readouts
_OWN = "own"  # a table behind another: of the traffic where it is used
_TYPES = {
    "taps": "I32", "queries": "F32", "directions": "F32", "offsets": "F32", "thresholds": "F32", "weights": "F32",
    "knots": "F64", "benign": "F64", "attack": "F64", "words": "F16", "rarity": "F16", "folded": "U32",
    "log_odds": "F64", "log_rates": "F64", "tail": "F64",
}  # fmt: skip
"""What each tensor is stored as, by the last part of its name: a smaller type would grow when it is read."""


@dataclass(frozen=True)
class Window:
    """How a text is cut: windows of `size` tokens, each sharing `overlap` with the one before."""

    size: int
    overlap: int


@dataclass(frozen=True)
class Codebook:
    """What screening knows.

    Attributes:
        fingerprint: Of the detector that it was compiled for.
        detector: That detector in words.
        taps: The taps that its coordinates read, ascending.
        precisions: Those that its calibration holds for.
        window: How text is cut.
        behaviors: By name.
        combined: By channel, false-alarm rates of the behaviors of `group` taken together.
        group: Behaviors whose odds add up to one decision.
        cascade: By channel, the log-odds of the group from which a window is read on to the next tap; None if every
            window is read to the last one.
        provenance: Where it came from: sources, counts, licences, revision, seed, figures.
    """

    fingerprint: str
    detector: str
    taps: tuple[int, ...]
    precisions: tuple[str, ...]
    window: Window
    behaviors: Mapping[str, CodebookBehavior]
    combined: Mapping[str, RateTable]
    group: tuple[str, ...]
    cascade: Mapping[str, float] | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The safetensors form."""
        tensors: Tensors = {}
        described: dict[str, Any] = {}
        lexicon = next((b.lexicon for b in self.behaviors.values() if b.lexicon is not None), None)
        if lexicon is not None:
            tensors["lexicon.rarity"] = lexicon.rarity.astype(np.float16)
            tensors["lexicon.folded"] = lexicon.folded.astype(np.uint32)
        for name, behavior in self.behaviors.items():
            described[name] = _pack_behavior(behavior, tensors)
        for channel, table in self.combined.items():
            _pack_table(table, f"combined.{channel}", tensors)
        metadata = {
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "detector": self.detector,
            "taps": list(self.taps),
            "precisions": list(self.precisions),
            "window": [self.window.size, self.window.overlap],
            "behaviors": described,
            "group": list(self.group),
            "combined": sorted(self.combined),
            "cascade": None if self.cascade is None else dict(self.cascade),
            "provenance": _finite(self.provenance),
        }
        return packed(tensors, metadata)


def load_codebook(
    path: Path, readouts: Mapping[str, Readout] = BUILT_IN, trust: Trust | None = None
) -> Codebook:
    """Reads a codebook, checking everything before it is used.

    Args:
        path: A file that `alknet-firewall compile` wrote.
        readouts: Those at hand, by name.
        trust: Whose signature is demanded; None: nobody's.

    Raises:
        CodebookError: The file is missing, damaged, of a newer format, needs a readout that is not there, or lacks the
            signature that is demanded.
    """
    return parse_codebook(codebook_bytes(path), str(path), readouts, trust)


def bundled_codebook(readouts: Mapping[str, Readout] = BUILT_IN, trust: Trust | None = None) -> Codebook:
    """The codebook that comes with the package.

    Raises:
        CodebookError: It is missing or damaged, or lacks the signature that is demanded.
    """
    return parse_codebook(codebook_bytes(None), BUNDLED, readouts, trust)


def codebook_bytes(path: Path | None) -> bytes:
    """The file of a codebook as it is, unchecked but for its size; None: the one that comes with the package.

    Raises:
        CodebookError: It is missing, cannot be read, or is larger than any codebook.
    """
    if path is None:
        try:
            return files("alknet_firewall").joinpath("data", "codebook.safetensors").read_bytes()
        except OSError as error:
            raise CodebookError(f"{BUNDLED} is missing from this installation ({error.strerror})") from error
    try:
        return read_bounded(path, MAX_BYTES)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise CodebookError(f"{path}: cannot be read ({told(error)})") from error


def parse_codebook(
    content: bytes, where: str, readouts: Mapping[str, Readout] = BUILT_IN, trust: Trust | None = None
) -> Codebook:
    """As `load_codebook`, from bytes; `where` names them in errors."""
    try:
        seal = opened(content)
        if trust is not None:
            check_signature(seal, trust, where)
        return _parsed(seal, content, where, readouts)
    except CodebookError:
        raise
    except Unsealed as error:
        raise CodebookError(
            f"{where}: damaged, or changed after it was written ({error}); get it again, or compile it again"
        ) from error
    except (
        SafetensorError,
        LookupError,
        ValueError,
        TypeError,
        ArithmeticError,
        AttributeError,
        RecursionError,
    ) as error:
        raise CodebookError(
            f"{where}: damaged or not a codebook ({type(error).__name__}: {printable(str(error))})"
        ) from error


def _parsed(seal: Seal, content: bytes, where: str, readouts: Mapping[str, Readout]) -> Codebook:
    told_format = seal.metadata["format"]
    if told_format not in (_WITHOUT_STRETCHES, FORMAT):
        raise CodebookError(
            f"{where}: codebook format {printable(str(told_format), 40)}, this version reads format {FORMAT}; "
            "upgrade alknet-firewall, or compile the codebook again"
        )
    for name, entry in seal.entries.items():
        _expect(_TYPES.get(name.rsplit(".", 1)[-1]) == entry.dtype, f"tensor {name!r} is of type {entry.dtype}")
    tensors: Tensors = load(content)
    for name, tensor in tensors.items():
        with np.errstate(over="ignore"):  # what float32 cannot hold counts as infinite
            sound = tensor.dtype.kind in "iu" or np.isfinite(tensor.astype(np.float32)).all()
        if not sound:
            raise CodebookError(f"{where}: tensor {printable(name)!r} holds NaN or infinity; the file is damaged")
    return _unpack(seal.metadata, tensors, readouts)


def _unpack(metadata: Mapping[str, Any], tensors: Tensors, readouts: Mapping[str, Readout]) -> Codebook:
    lexicon = None
    if "lexicon.rarity" in tensors:
        rarity, folded = tensors["lexicon.rarity"], tensors["lexicon.folded"]
        _expect(rarity.ndim == 1 and folded.ndim == 1 and len(rarity) > 0, "lexicon is misshapen")
        lexicon = Lexicon(folded.astype(np.uint64), rarity.astype(np.float32))
    listed = metadata["behaviors"]
    _expect(isinstance(listed, dict) and 0 < len(listed) <= _MOST_BEHAVIORS, f"not 1 to {_MOST_BEHAVIORS} behaviors")
    coordinates = sum(len(described["readouts"]) for described in listed.values())
    _expect(coordinates <= _MOST_COORDINATES, f"{coordinates} coordinates (at most {_MOST_COORDINATES})")
    behaviors = {
        _name(name): _unpack_behavior(name, described, tensors, lexicon, readouts)
        for name, described in listed.items()
    }
    taps = tuple(int(tap) for tap in metadata["taps"])
    _expect(
        all(set(b.coordinates.taps.tolist()) <= set(taps) for b in behaviors.values()), "a tap is not listed"
    )
    size, overlap = (int(value) for value in metadata["window"])
    _expect(0 <= overlap < size <= _WIDEST, f"window {size} with overlap {overlap}")
    _expect(isinstance(metadata["provenance"], dict), "its provenance is not an object")
    group = tuple(metadata["group"])
    _expect(set(group) <= set(behaviors), "a behavior of the group is missing")
    _expect(not group or set(metadata["combined"]) == set(CHANNELS), "the group lacks a channel")
    cascade = metadata["cascade"]
    if cascade is not None:
        _expect(set(cascade) == set(CHANNELS) and len(group) > 0, "the cascade lacks a channel")
        _expect(all(np.isfinite(band) for band in cascade.values()), "a band of the cascade is not finite")
    _expect(
        all(len(b.weights) in (1, len(taps) if cascade is not None else 1) for b in behaviors.values()),
        "a behavior has weights for other depths than the cascade",
    )
    shallow = [b for b in behaviors.values() if len(b.weights) == 1] if cascade is not None else []
    _expect(
        all(set(b.coordinates.taps.tolist()) <= {min(taps)} for b in shallow),
        "a behavior reads deeper than the first tap of the cascade and has no weights for windows that stop there",
    )
    return Codebook(
        fingerprint=_name(metadata["fingerprint"]),
        detector=_name(metadata["detector"]),
        taps=taps,
        precisions=tuple(_name(precision) for precision in metadata["precisions"]),
        window=Window(size, overlap),
        behaviors=behaviors,
        combined={channel: _unpack_table(f"combined.{channel}", tensors) for channel in metadata["combined"]},
        group=group,
        cascade=None if cascade is None else {channel: float(band) for channel, band in cascade.items()},
        provenance=metadata["provenance"],
    )


def _pack_behavior(behavior: CodebookBehavior, tensors: Tensors) -> dict[str, Any]:
    prefix, coordinates = behavior.name, behavior.coordinates
    tensors[f"{prefix}.taps"] = coordinates.taps.astype(np.int32)
    tensors[f"{prefix}.queries"] = coordinates.queries.astype(np.float32)
    tensors[f"{prefix}.directions"] = coordinates.directions.astype(np.float32)
    tensors[f"{prefix}.offsets"] = coordinates.offsets.astype(np.float32)
    if coordinates.thresholds is not None:
        tensors[f"{prefix}.thresholds"] = coordinates.thresholds.astype(np.float32)
    tensors[f"{prefix}.knots"] = behavior.benign.knots.astype(np.float64)
    tensors[f"{prefix}.benign"] = behavior.benign.values.astype(np.float64)
    tensors[f"{prefix}.attack"] = behavior.attack.values.astype(np.float64)
    tensors[f"{prefix}.weights"] = behavior.weights.astype(np.float32)
    if behavior.word_weights is not None:
        tensors[f"{prefix}.words"] = behavior.word_weights.astype(np.float16)
    for channel, table in behavior.tables.items():
        _pack_table(table, f"{prefix}.{channel}", tensors)
    return {
        "default_action": behavior.default_action,
        "readouts": list(coordinates.readouts),
        "biases": behavior.biases.tolist(),
        "channels": sorted(behavior.tables),
        "stretch": behavior.stretch,
    }


def _unpack_behavior(
    name: str,
    described: Mapping[str, Any],
    tensors: Tensors,
    lexicon: Lexicon | None,
    readouts: Mapping[str, Readout],
) -> CodebookBehavior:
    names = tuple(_name(readout) for readout in described["readouts"])
    plugged = {name for name in names if not is_feature(name)} - {ATTENTION, PEAK}
    for missing in sorted(plugged - set(readouts)):
        raise CodebookError(
            f"behavior {name!r} needs the readout {missing!r}: install the plugin that brings it"
        )
    taps, queries = tensors[f"{name}.taps"], tensors[f"{name}.queries"]
    directions, offsets = tensors[f"{name}.directions"], tensors[f"{name}.offsets"]
    k = len(names)
    _expect(
        directions.ndim == 2 and queries.shape == directions.shape, f"directions of {name!r} are misshapen"
    )
    _expect(
        taps.shape == offsets.shape == (k,) == directions.shape[:1], f"coordinates of {name!r} are misshapen"
    )
    thresholds = tensors.get(f"{name}.thresholds")
    if thresholds is not None or any(map(is_feature, names)):
        sound = thresholds is not None and thresholds.shape == (k,) and bool((thresholds >= 0).all())
        _expect(sound, f"thresholds of {name!r} are misshapen")
    words = tensors.get(f"{name}.words")
    if words is not None:
        _expect(
            lexicon is not None and words.shape == lexicon.rarity.shape, f"words of {name!r} are misshapen"
        )
    knots, benign, attack = (
        tensors[f"{name}.{part}"].astype(np.float64) for part in ("knots", "benign", "attack")
    )
    weights = tensors[f"{name}.weights"].astype(np.float32)
    _expect(weights.ndim == 2 and len(weights) > 0, f"weights of {name!r} are misshapen")
    biases = np.array(described["biases"], np.float64)
    n_coordinates = k + (words is not None)
    _expect(knots.ndim == 2 and 2 <= knots.shape[1] <= _MAX_KNOTS, f"knots of {name!r} are misshapen")
    _expect(knots.shape == benign.shape == attack.shape, f"densities of {name!r} are misshapen")
    _expect(
        len(knots) == n_coordinates == weights.shape[1] and biases.shape == weights.shape[:1],
        f"weights of {name!r} are misshapen",
    )
    _expect(bool((np.diff(knots, axis=1) > 0).all()), f"knots of {name!r} do not ascend")
    _expect(bool(np.isfinite(biases).all()), f"a bias of {name!r} is not finite")
    _expect(set(described["channels"]) == set(CHANNELS), f"{name!r} lacks a channel")
    stretch = described.get("stretch", 0)
    _expect(type(stretch) is int and 0 <= stretch <= _WIDEST, f"stretches of {name!r} are of {stretch!r:.40} tokens")
    _expect(
        described["default_action"] in ("block", "review", "inform", "off"), f"action of {name!r} is unknown"
    )
    return CodebookBehavior(
        name=name,
        default_action=described["default_action"],
        coordinates=Coordinates(
            taps,
            names,
            queries.astype(np.float32),
            directions.astype(np.float32),
            offsets,
            None if thresholds is None else thresholds.astype(np.float32),
        ),
        benign=Splines.through(knots, benign),
        attack=Splines.through(knots, attack),
        weights=weights,
        biases=biases,
        tables={channel: _unpack_table(f"{name}.{channel}", tensors) for channel in described["channels"]},
        lexicon=lexicon,
        word_weights=None if words is None else words.astype(np.float32),
        readouts=readouts,
        stretch=stretch,
    )


def _pack_table(table: RateTable, prefix: str, tensors: Tensors) -> None:
    tensors[f"{prefix}.log_odds"] = table.log_odds.astype(np.float64)
    tensors[f"{prefix}.log_rates"] = table.log_rates.astype(np.float64)
    tensors[f"{prefix}.tail"] = np.array([table.decay, table.count, table.windows_exponent], np.float64)
    if table.own is not None:
        _pack_table(table.own, f"{prefix}.{_OWN}", tensors)


def _unpack_table(prefix: str, tensors: Tensors) -> RateTable:
    names = prefix.removesuffix(f".{_OWN}")
    _expect(names.rsplit(".", 1)[-1] in CHANNELS, f"{prefix!r} names no channel")
    log_odds, log_rates = tensors[f"{prefix}.log_odds"], tensors[f"{prefix}.log_rates"]
    decay, count, exponent = tensors[f"{prefix}.tail"]
    _expect(
        log_odds.ndim == 1 and log_odds.shape == log_rates.shape and len(log_odds) > 0,
        f"{prefix} is misshapen",
    )
    ordered = (np.diff(log_odds) > 0).all() and (np.diff(log_rates) <= 0).all() and log_rates[0] <= 1e-9
    _expect(bool(ordered) and decay > 0 and count >= 1, f"{prefix} is not a table of false-alarm rates")
    _expect(0 <= exponent <= 1, f"{prefix} counts windows by a power of {exponent}")
    own = None
    if names == prefix and f"{prefix}.{_OWN}.tail" in tensors:
        own = _unpack_table(f"{prefix}.{_OWN}", tensors)
    return RateTable(log_odds, log_rates, float(decay), float(count), float(exponent), own)


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: a figure that is not known is null."""
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _name(value: Any) -> str:
    """Something that is shown: in verdicts, errors and tables."""
    sound = isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and value.isprintable()
    _expect(sound, "a name is no short text")
    return str(value)


def _expect(condition: bool, why: str) -> None:
    if not condition:
        raise ValueError(why)
