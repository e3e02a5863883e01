"""The detector's tokenizer: plain text in, ids and character offsets out; never a control token from text.

The tokenizer is built without any added (special) tokens, so that `<|im_end|>` in a text is split like every other
text. Control tokens enter only through the template.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer as HfTokenizer
from tokenizers import decoders, models, pre_tokenizers

from alknet_firewall.detector.weights import FolderWeights, GgufWeights, Weights, read_json
from alknet_firewall.errors import WeightsError
from alknet_firewall.files import told


@dataclass(frozen=True, slots=True)
class Template:
    """The token ids around a text: the frame of one user turn.

    Attributes:
        prefix: Ids before the text.
        suffix: Ids after it; the state at the last one is the readout `template_end`.
    """

    prefix: tuple[int, ...] = ()
    suffix: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoding:
    """A tokenized text.

    Attributes:
        ids: Token ids, int32, shape (n_tokens,).
        offsets: Half-open character ranges, int32, shape (n_tokens, 2).
    """

    ids: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int32]

    def __len__(self) -> int:
        """Number of tokens."""
        return len(self.ids)


class Tokenizer:
    """Text to ids with offsets, through the `tokenizers` library.

    Attributes:
        vocabulary_size: Number of token ids.
        template: The ids around every text.
    """

    def __init__(self, backend: HfTokenizer, control_ids: dict[str, int]) -> None:
        """Wraps a `tokenizers` tokenizer that has no added tokens; `control_ids` are those of the template."""
        self._backend = backend
        self._control = np.array(sorted(control_ids.values()), np.int32)
        self.vocabulary_size = backend.get_vocab_size(with_added_tokens=False)
        self.template = self._chat_template(control_ids)

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """Token strings by id, as stored (byte-level tokens are not decoded)."""
        return tuple(self._backend.id_to_token(i) or "" for i in range(self.vocabulary_size))

    def encode(self, text: str) -> Encoding:
        """Tokenizes `text` as plain text."""
        encoding = self._backend.encode(text, add_special_tokens=False)
        ids = np.array(encoding.ids, np.int32)
        if len(self._control) and (from_text := np.isin(ids, self._control)).any():
            # Some kinds of tokenizer know `</s>` as a word: in a text it is no more than any other word.
            ids[from_text] = self._plain
        return Encoding(ids, np.array(encoding.offsets, np.int32).reshape(-1, 2))

    @property
    def _plain(self) -> int:
        """An id that stands for nothing in particular."""
        ids = [i for i in self._backend.encode("?", add_special_tokens=False).ids if i not in self._control]
        return ids[0] if ids else int(np.setdiff1d(np.arange(self.vocabulary_size), self._control)[0])

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def digest(self) -> str:
        """SHA-256 over what decides the ids: the model, its normalizer and pre-tokenizer, and the template."""
        described = json.loads(self._backend.to_str())
        kept = {key: described.get(key) for key in ("normalizer", "pre_tokenizer")}
        model = described.get("model", {})
        kept["vocab"], kept["merges"] = model.get("vocab"), model.get("merges")
        kept["template"] = [self.template.prefix, self.template.suffix]
        kept["control"] = self._control.tolist()  # never from text: which they are decides ids, too
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

    def _chat_template(self, control_ids: dict[str, int]) -> Template:
        start, end = control_ids.get("<|im_start|>"), control_ids.get("<|im_end|>")
        if start is not None and end is not None:  # ChatML: SmolLM2, Qwen and many more
            role, newline, reader = (
                self.encode(part).ids.tolist() for part in ("user\n", "\n", "assistant\n")
            )
            return Template((start, *role), (end, *newline, start, *reader))
        # No chat markup: the first control token stands in front, as an attention sink apart from the text.
        return Template(tuple(sorted(control_ids.values())[:1]), ())


def load_tokenizer(weights: Weights) -> Tokenizer:
    """Builds the tokenizer that belongs to `weights`.

    Raises:
        WeightsError: There is none, or it is damaged or of a kind that cannot be read.
    """
    if isinstance(weights, GgufWeights):
        return _from_gguf(weights.file.metadata, weights.path)
    if isinstance(weights, FolderWeights):
        return _from_json(read_json(weights.path / "tokenizer.json"), weights.path / "tokenizer.json")
    raise WeightsError(f"{weights.path}: weights of {type(weights).__name__} bring no tokenizer")


_PRE_TOKENIZERS = ("smollm", "gpt-2", "default")  # all read as transformers reads them from GGUF: byte-level
_GGUF_CONTROL = 3  # token type of control tokens in GGUF


def _from_gguf(metadata: dict[str, Any], path: Path) -> Tokenizer:
    if metadata.get("tokenizer.ggml.model") != "gpt2":
        raise WeightsError(
            f"{path}: its tokenizer is {metadata.get('tokenizer.ggml.model')!r}; readable is 'gpt2'"
        )
    if metadata.get("tokenizer.ggml.pre", "gpt-2") not in _PRE_TOKENIZERS:
        raise WeightsError(
            f"{path}: its text is split by {metadata['tokenizer.ggml.pre']!r}; readable are "
            f"{', '.join(_PRE_TOKENIZERS)}. Point `weights` at a folder with tokenizer.json instead"
        )
    try:
        tokens: list[str] = metadata["tokenizer.ggml.tokens"]
        merges = [tuple(merge.split(" ", 1)) for merge in metadata["tokenizer.ggml.merges"]]
        backend = HfTokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=merges))
        kinds: list[int] = metadata["tokenizer.ggml.token_type"]
        control = {token: i for i, (token, kind) in enumerate(zip(tokens, kinds)) if kind == _GGUF_CONTROL}
    except Exception as error:  # the Rust library raises plain Exception
        raise WeightsError(f"{path}: its tokenizer is damaged ({told(error)})") from error
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return Tokenizer(backend, control)


def _from_json(described: dict[str, Any], path: Path) -> Tokenizer:
    plain = {**described, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    try:
        added = described.get("added_tokens", [])
        control = {token["content"]: int(token["id"]) for token in added if token.get("special")}
        return Tokenizer(HfTokenizer.from_str(json.dumps(plain)), control)
    except Exception as error:  # the Rust library raises plain Exception
        raise WeightsError(f"{path}: its tokenizer is damaged ({told(error)})") from error
