"""Hidden states of the study's texts, kept in a folder: an interrupted run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file
from texts import Text, ids_before

from alknet_firewall.detector.detector import Detector, load_detector
from alknet_firewall.detector.tokenizer import Template
from alknet_firewall.detector.weights import open_weights
from alknet_firewall.plugins import load_plugins
from alknet_firewall.sae.states import residual_states

LAYERS = (3, 4, 5, 6, 9, 12, 15, 18, 21)
"""Counted from 0, as the published files do; layer i is tap i + 1."""
_SHARD = 128  # texts
_LONGEST = 200  # tokens of a text


def detector(threads: int) -> Detector:
    """The detector in fp32, up to the last layer of the study."""
    taps = tuple(layer + 1 for layer in LAYERS)
    return load_detector(
        open_weights(), taps, load_plugins().backends, precision="fp32", threads=threads, max_length=400
    )


class Tokens:
    """Token states of a list of texts.

    Attributes:
        start: First token of each text, (n + 1,).
    """

    def __init__(self, model: Detector, texts: Sequence[Text], folder: Path, name: str) -> None:
        """Reads what is missing in `folder`; texts with a `before` and a set that asks for it are read behind it."""
        self._paths: list[Path] = []
        tokenizer = model.tokenizer
        ids = [tokenizer.encode(text.text).ids[:_LONGEST] for text in texts]
        self.start = np.concatenate([[0], np.cumsum([len(one) for one in ids])])
        folder.mkdir(parents=True, exist_ok=True)
        for first in range(0, len(texts), _SHARD):
            here = list(range(first, min(first + _SHARD, len(texts))))
            prompts = [_prompt(model, texts[i]) for i in here]
            key = hashlib.sha256(model.fingerprint.encode())
            for i, prompt in zip(here, prompts):
                key.update(repr((prompt, ids[i].tolist())).encode())
            path = folder / f"{key.hexdigest()[:24]}.safetensors"
            self._paths.append(path)
            if not path.is_file():
                states = _read(model, [ids[i] for i in here], prompts)
                partial = path.with_suffix(".part")
                save_file(states, partial)
                partial.rename(path)
                print(f"states of {name}: {here[-1] + 1} of {len(texts)}", flush=True)

    def layer(self, layer: int) -> npt.NDArray[np.float32]:
        """States at a layer, (tokens, hidden)."""
        parts = [load_file(path)[f"tap.{layer + 1}"] for path in self._paths]
        return np.concatenate(parts).astype(np.float32)

    def means(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """The mean over each text's tokens of `values` (tokens, k): (n, k)."""
        sums = np.add.reduceat(values, self.start[:-1], axis=0)
        return sums / np.diff(self.start)[:, None].astype(np.float32)

    def last(self, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """`values` (tokens, k) at each text's last token: (n, k)."""
        return values[self.start[1:] - 1]


def _prompt(model: Detector, text: Text) -> tuple[int, ...]:
    """Tokens in front of a text that is read behind its prompt."""
    return ids_before(model.tokenizer, text) if text.before and text.of in ("own, prompted", "instructed") else ()


def _read(
    model: Detector, ids: Sequence[npt.NDArray[np.int32]], prompts: Sequence[tuple[int, ...]]
) -> dict[str, npt.NDArray[np.float16]]:
    """States of the texts' own tokens, one text behind the other, by tap."""
    framed = not any(prompts)
    whole = [np.concatenate([np.array(p, np.int32), own]) for p, own in zip(prompts, ids)]
    found = dict(residual_states(model, whole, None if framed else Template()))
    return {
        f"tap.{tap}": np.concatenate([found[i][tap][len(prompts[i]) :] for i in range(len(ids))]).astype(np.float16)
        for tap in model.taps
    }
