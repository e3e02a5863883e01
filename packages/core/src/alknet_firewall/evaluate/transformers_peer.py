"""Text classifiers in the form of Hugging Face transformers, from a local folder; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from alknet_firewall.errors import AlknetFirewallError, DataError
from alknet_firewall.evaluate.needed import needed

_BENIGN_NAMES = frozenset(
    "benign safe legit legitimate normal negative clean harmless label_0 0 no_injection".split()
)
_OVERLAP = 64  # tokens that two windows of a long text share
_WINDOWS = 16  # judged at once


def open_classifier(folder: Path) -> Callable[[Sequence[str]], list[float]]:
    """A function from texts to the probability that they are not benign.

    A text longer than the model's window is read in overlapping windows, and the worst counts.

    Raises:
        AlknetFirewallError: torch or transformers are missing, or the folder holds no such model.
    """
    name = f"hf:{folder}"
    remedy = "pip install 'alknet-firewall[torch]'"
    torch, transformers = needed("torch", name, remedy), needed("transformers", name, remedy)
    if not (folder / "config.json").is_file():
        raise DataError(f"{folder}: is no folder of a transformers model (there is no config.json in it)")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise AlknetFirewallError(f"{folder}: cannot be loaded as a text classifier ({error})") from error
    model.eval()
    benign = benign_label(model.config.id2label, folder)
    length = min(int(tokenizer.model_max_length), int(getattr(model.config, "max_position_embeddings", 512)))

    def attack_probability(text: str) -> float:
        windows = tokenizer(
            text, truncation=True, max_length=length, stride=min(_OVERLAP, length // 4),
            return_overflowing_tokens=True, padding=True, return_tensors="pt",
        )  # fmt: skip
        windows.pop("overflow_to_sample_mapping", None)
        with torch.no_grad():
            return max(_worst(part) for part in _parts(windows))

    def _worst(part: dict[str, Any]) -> float:
        return float(1 - torch.softmax(model(**part).logits.float(), dim=-1)[:, benign].min())

    return lambda texts: [attack_probability(text) for text in texts]


def benign_label(id2label: Mapping[int, str], folder: Path) -> int:
    """The one label of a classifier that means benign text.

    Raises:
        DataError: None, or more than one, has a name that says so.
    """
    found = [number for number, label in id2label.items() if str(label).strip().lower() in _BENIGN_NAMES]
    if len(found) != 1:
        names = ", ".join(map(str, id2label.values()))
        raise DataError(
            f"{folder}: which of its labels ({names}) means benign text? None or several are called {_few()}; wrap the "
            "model in a function of your own and give module:function"
        )
    return int(found[0])


def _few() -> str:
    return "BENIGN, SAFE, LEGIT, LABEL_0 or the like"


def _parts(windows: Mapping[str, Any]) -> list[dict[str, Any]]:
    count = len(windows["input_ids"])
    return [
        {name: values[start : start + _WINDOWS] for name, values in windows.items()}
        for start in range(0, count, _WINDOWS)
    ]
