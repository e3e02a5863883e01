"""Features of autoencoders as codebooks read them: folded, kept, and the same as the autoencoder's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from alknet_firewall.behavior import Passage
from alknet_firewall.codebook.codebook import Codebook, parse_codebook
from alknet_firewall.codebook.model import Coordinates
from alknet_firewall.codebook.readout import BUILT_IN, normalised
from alknet_firewall.codebook.splines import Splines
from alknet_firewall.errors import CodebookError
from alknet_firewall.sae import SAE, SAEConfig, SAEError
from alknet_firewall.sae.files import tensor_shapes
from alknet_firewall.sae.fold import fold

FloatArray = npt.NDArray[np.float32]
STATES = (np.random.default_rng(5).standard_normal((30, 8)) * 3).astype(np.float32)
WIDE = (np.random.default_rng(6).standard_normal((60, 256)) * 3).astype(np.float32)


def make(architecture: str, width: int = 8, **settings: object) -> SAE:
    k = 4 if architecture == "topk" else 0
    config = SAEConfig(architecture, width, 24, k=k, **settings)  # type: ignore[arg-type]
    generator = np.random.default_rng(1)
    weights = {
        name: generator.standard_normal(shape).astype(np.float32)
        for name, shape in tensor_shapes(config).items()
    }
    return SAE(config, weights)


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated"])
@pytest.mark.parametrize("apply", [True, False])
def test_what_is_rescaled_folds_exactly(architecture: str, apply: bool) -> None:
    sae = make(architecture, normalize_activations="constant_norm_rescale", apply_b_dec_to_input=apply)
    folded = fold(sae, normalised(STATES), 1.0)
    assert np.allclose(folded.codes(normalised(STATES)), sae.encode(STATES), atol=1e-4)
    assert (folded.thresholds >= 0).all()


@pytest.mark.parametrize("architecture", ["standard", "jumprelu", "gated"])
def test_states_of_the_typical_length_fold_exactly(architecture: str) -> None:
    sae = make(architecture)
    assert np.allclose(
        fold(sae, normalised(STATES), 2.5).codes(normalised(STATES)), sae.encode(normalised(STATES) * 2.5), atol=1e-4
    )


def test_a_layer_norm_is_nearly_the_same() -> None:
    sae = make("standard", 256, normalize_activations="layer_norm")
    ours, theirs = fold(sae, normalised(WIDE), 1.0).codes(normalised(WIDE)), sae.encode(WIDE)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.999


@pytest.mark.parametrize("rescale", [True, False])
def test_topk_has_as_many_active_on_average(rescale: bool) -> None:
    sae = make(
        "topk", 256, normalize_activations="constant_norm_rescale", rescale_acts_by_decoder_norm=rescale
    )
    folded = fold(sae, normalised(WIDE), 1.0)
    codes, theirs = folded.codes(normalised(WIDE)), sae.encode(WIDE)
    assert (codes > 0).sum(1).mean() == pytest.approx(4, abs=1)
    both = (codes > 0) & (theirs > 0)
    assert np.allclose(codes[both], theirs[both], atol=1e-2) and both.sum() > 0.7 * (theirs > 0).sum()


def test_other_activations_are_refused() -> None:
    with pytest.raises(SAEError, match="tanh-relu"):
        fold(make("standard", activation="tanh-relu"), STATES, 1.0)


def _coordinates(sae: SAE) -> Coordinates:
    folded = fold(sae, normalised(STATES), 1.0)
    chosen = [3, 7, 11]
    directions = np.concatenate([folded.directions[chosen], np.eye(8, dtype=np.float32)[:1]])
    return Coordinates(
        np.full(4, 1, np.int32),
        ("sae:3", "sae:7", "sae:11", "mean"),
        np.zeros_like(directions),
        directions,
        np.append(folded.offsets[chosen], np.float32(0.5)),
        np.append(folded.thresholds[chosen], np.float32(0)),
    )


def test_coordinates_are_means_of_features() -> None:
    sae = make("jumprelu", normalize_activations="constant_norm_rescale")
    (values,), (parts,) = _coordinates(sae).read({1: normalised(STATES)}, 2, BUILT_IN)
    own = sae.encode(STATES[:-2])
    assert np.allclose(values[:3], own[:, [3, 7, 11]].mean(0), atol=1e-4)
    assert np.allclose(values[3], normalised(STATES)[:-2, 0].mean() + 0.5, atol=1e-4)
    assert np.allclose(parts[:-2, :3], own[:, [3, 7, 11]] / 28, atol=1e-4) and not parts[-2:].any()


def test_a_codebook_keeps_features(make_codebook: object) -> None:
    book: Codebook = make_codebook()  # type: ignore[operator]
    name, behavior = next(iter(book.behaviors.items()))
    width = behavior.coordinates.directions.shape[1]
    directions = np.random.default_rng(0).standard_normal((2, width)).astype(np.float32)
    coordinates = Coordinates(
        np.full(2, behavior.coordinates.taps.min(), np.int32), ("sae:5", "sae:9"), np.zeros_like(directions), directions,
        np.array([0.1, -0.2], np.float32), np.array([0.3, 0.0], np.float32),
    )  # fmt: skip
    knots = np.tile(np.linspace(0, 1, 4), (2, 1))
    changed = replace(
        behavior, coordinates=coordinates, benign=Splines.through(knots, -knots), attack=Splines.through(knots, knots),
        weights=np.ones((len(behavior.weights), 2), np.float32), lexicon=None, word_weights=None,
    )  # fmt: skip
    content = replace(book, behaviors={**book.behaviors, name: changed}).to_bytes()
    again = parse_codebook(content, "made").behaviors[name]
    assert again.coordinates.readouts == ("sae:5", "sae:9")
    assert again.coordinates.thresholds is not None
    assert np.array_equal(again.coordinates.thresholds, coordinates.thresholds)
    tap = int(coordinates.taps[0])
    states = {tap: normalised(np.random.default_rng(1).standard_normal((6, width)).astype(np.float32))}
    ids, offsets = np.zeros(6, np.int32), np.zeros((6, 2), np.int32)
    if again.coordinates.missing(states) == 0:
        (evidence,) = again.assess([Passage("", ids, offsets, states)], "response")
        assert f"feature 5 of tap {tap}" in evidence.contributions
        assert sum(evidence.contributions.values()) == pytest.approx(evidence.log_odds)
    for bad in (None, np.array([0.3, -1], np.float32), np.zeros(3, np.float32)):
        spoilt = replace(changed, coordinates=replace(coordinates, thresholds=bad))
        with pytest.raises(CodebookError, match="thresholds"):
            parse_codebook(replace(book, behaviors={**book.behaviors, name: spoilt}).to_bytes(), "made")
