"""A codebook of the behavior `deception` alone, or beside the behaviors of another codebook.

Its attacks are rows labelled `deception`, its benign text rows labelled `honest`: it is told apart from honest
statements, not from other harmless text, and its false-alarm rates are those of honest statements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from alknet_firewall.codebook.codebook import Codebook
from alknet_firewall.codebook.lexical import folded_ids
from alknet_firewall.codebook.readout import BUILT_IN, Readout
from alknet_firewall.compile.compiler import Progress, assembled, compile_group
from alknet_firewall.compile.corpus import choose_rows, cut_rows
from alknet_firewall.compile.evidence import FEWEST, HeldOut
from alknet_firewall.compile.features import make_features
from alknet_firewall.compile.folds import fold_of_sources
from alknet_firewall.compile.rows import Row
from alknet_firewall.compile.settings import CompileSettings
from alknet_firewall.compile.states import StateStore
from alknet_firewall.detector.detector import Detector
from alknet_firewall.errors import CodebookError, DataError
from alknet_firewall.sae.config import SAEError
from alknet_firewall.sae.sae import SAE
from alknet_firewall.sae.states import residual_states

DECEPTION = "deception"
HONEST = "honest"
_SAMPLED = 64  # windows from which the typical length of states is learnt


def compile_deception(
    rows: Sequence[Row],
    detector: Detector,
    settings: CompileSettings,
    cache: Path,
    *,
    saes: Sequence[SAE] = (),
    readouts: Mapping[str, Readout] = BUILT_IN,
    provenance: Mapping[str, Any] | None = None,
    detector_name: str = "",
    progress: Progress = lambda stage, share: None,
) -> tuple[Codebook, HeldOut]:
    """Compiles a codebook that knows `deception` alone, off unless a configuration turns it on.

    Args:
        rows: Those labelled `deception` and `honest` are used.
        detector: It must read `settings.taps`; it may read others, which the codebook then lists, too.
        settings: Choices; there is no cascade. With `basis` "sae" each tap needs an autoencoder.
        cache: Folder for hidden states.
        saes: Autoencoders, one for each of `settings.taps`.
        readouts: Those at hand, by name.
        provenance: Added to what the codebook says of its origin.
        detector_name: The detector in words.
        progress: Told of every stage.

    Returns:
        The codebook, and the evidence on sources that were left out.

    Raises:
        DataError: There are too few rows, or too few sources to leave any out.
        SAEError: An autoencoder is missing, or of another model.
    """
    settings = replace(settings, cascade=None, stretch=0)
    labelled = [row for row in rows if row.label in (DECEPTION, HONEST)]
    corpus = cut_rows(choose_rows(labelled, settings), detector.tokenizer, settings)
    if min(corpus.label(DECEPTION).sum(), corpus.label(HONEST).sum()) < FEWEST:
        raise DataError(f"needs at least {FEWEST} rows labelled {DECEPTION} and {FEWEST} labelled {HONEST}")
    found = _by_tap(saes, settings.taps) if settings.basis == "sae" else {}
    lengths = _typical_lengths(detector, corpus.ids[:: max(1, len(corpus.ids) // _SAMPLED)]) if found else {}
    fold_of = fold_of_sources(corpus, settings)
    store = StateStore(detector, corpus.ids, cache)
    store.compute(lambda done, total: progress("hidden states", done / total))
    folded = folded_ids(detector.tokenizer.vocabulary)
    own = {tap: (sae, lengths[tap]) for tap, sae in found.items()}
    features = make_features(corpus, store, folded, settings, readouts, own)
    group = compile_group(
        corpus, fold_of, features, folded, [DECEPTION], "off", (HONEST,), settings, readouts, progress
    )
    codebook = assembled(
        detector, detector_name, settings, corpus, provenance, behaviors=group.behaviors, combined={}, group=(),
    )  # fmt: skip
    return codebook, group.held_out


def beside(base: Codebook, addition: Codebook) -> Codebook:
    """The behaviors of both in one codebook; those of `addition` must not be known to `base`.

    Raises:
        CodebookError: They are of different detectors, windows or precisions, or cannot be read in the same pass.
    """
    if (base.fingerprint, base.window) != (addition.fingerprint, addition.window):
        raise CodebookError("the codebooks are of different detectors, taps or windows: they cannot share a pass")
    if not set(base.precisions) <= set(addition.precisions):
        raise CodebookError(f"made in {', '.join(addition.precisions)}, not in all of {', '.join(base.precisions)}")
    known = sorted(set(base.behaviors) & set(addition.behaviors))
    if known:
        raise CodebookError(f"{', '.join(known)} is in both codebooks")
    for name, behavior in addition.behaviors.items():
        if behavior.lexicon is not None:
            raise CodebookError(f"{name} has a table of words of its own: compile it without words")
        if base.cascade is not None and set(behavior.coordinates.taps.tolist()) != {min(base.taps)}:
            raise CodebookError(f"{name} has to read the first tap, {min(base.taps)}: most windows stop there")
    told = {"beside": dict(addition.provenance)}
    return replace(
        base, behaviors={**base.behaviors, **addition.behaviors}, provenance={**base.provenance, **told}
    )


def _by_tap(saes: Sequence[SAE], taps: Sequence[int]) -> dict[int, SAE]:
    found = {sae.config.tap: sae for sae in saes}
    if set(found) != set(taps):
        told = ", ".join(map(str, sorted(found))) or "none"
        raise SAEError(f"taps {', '.join(map(str, taps))} need an autoencoder each; there are some for {told}")
    return found


def _typical_lengths(detector: Detector, windows: Sequence[Any]) -> dict[int, float]:
    """By tap, the median over tokens of the root mean square of a state's numbers."""
    found: dict[int, list[Any]] = {tap: [] for tap in detector.taps}
    for _, states in residual_states(detector, windows):
        for tap, own in states.items():
            found[tap].append(np.sqrt((own**2).mean(1)))
    return {tap: float(np.median(np.concatenate(own))) for tap, own in found.items()}
