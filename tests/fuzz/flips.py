"""Flipped bytes in every artefact that decides verdicts: each flip is refused, or does not change any score.

    codebook   the bundled one: the checksum refuses every flip
    weights    the default GGUF file: what is read up to the last tap, and the tokenizer, is in the fingerprint
    graph      a compiled graph in the cache: named by its hash, made again where it differs
    note       the note that says which graph: the same
    state      a stored conversation: its checksum refuses every change of what it says

Most flips of the weights lie in tensors. For them it is shown that the digest which the codebook is tied to changes:
over the one block of numbers that holds the flipped byte, which stands for the digest over all.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from alknet_firewall.codebook.codebook import codebook_bytes, parse_codebook
from alknet_firewall.config import FirewallConfig
from alknet_firewall.detector.cache import cached_file
from alknet_firewall.detector.tokenizer import load_tokenizer
from alknet_firewall.detector.weights import _GGUF_BLOCK, GgufWeights, default_weights_path
from alknet_firewall.errors import CodebookError, StateError, WeightsError
from alknet_firewall.firewall import Firewall
from alknet_firewall.stream.conversation_state import from_state, to_state
from tests import tiny
from tests.fuzz.binaries import scratch

_KEPT_EVERY = 200  # flips
REFUSED, REBUILT, NO_EFFECT, WRONG = "refused", "made again", "without effect", "NOT NOTICED"


@dataclass(frozen=True)
class Artefact:
    """Something to flip bytes of.

    Attributes:
        name: Of it.
        size: Its bytes.
        flip: Takes a place and a mask that is not 0; what came of it.
        close: Takes away what it needed.
    """

    name: str
    size: int
    flip: Callable[[int, int], str]
    close: Callable[[], None] = lambda: None


def codebook() -> Artefact:
    """The bundled codebook."""
    content = codebook_bytes(None)

    def flip(place: int, mask: int) -> str:
        try:
            parse_codebook(_flipped(content, place, mask), "flipped")
        except CodebookError:
            return REFUSED
        return WRONG

    return Artefact("codebook", len(content), flip)


def weights() -> Artefact:
    """The default weights: opened with one byte flipped, and compared where a codebook would compare."""
    path, folder = default_weights_path(), scratch()
    taps = max(parse_codebook(codebook_bytes(None), "bundled").taps)
    read = ["token_embd.weight", *(f"blk.{i}.{part}.weight" for i in range(taps) for part in _GGUF_BLOCK)]
    original = GgufWeights(path)
    sound = _identity(original, read)
    data_start = min(info.offset for info in original.file._tensors.values())
    copy = folder / "flipped.gguf"
    shutil.copyfile(path, copy)
    with copy.open("r+b") as file:
        data = mmap.mmap(file.fileno(), 0)

    def flip(place: int, mask: int) -> str:
        if place >= data_start:
            return _flip_of_a_tensor(place, mask)
        data[place] ^= mask
        try:
            return NO_EFFECT if _identity(GgufWeights(copy), read) == sound else REFUSED
        except WeightsError:
            return REFUSED
        finally:
            data[place] ^= mask

    def _flip_of_a_tensor(place: int, mask: int) -> str:
        for name in read:
            raw, kind, _ = original.file._raw(name)  # raw: (blocks, bytes of a block)
            at = place - original.file._tensors[name].offset
            if 0 <= at < raw.size:
                block = raw[at // kind.bytes][None]
                flipped = block.copy()
                flipped[0, at % kind.bytes] ^= mask
                same = kind.decode(block).tobytes() == kind.decode(flipped).tobytes()
                return NO_EFFECT if same else REFUSED  # other numbers, another fingerprint
        return NO_EFFECT  # padding, or a block behind the last tap: never read

    def close() -> None:
        data.close()
        shutil.rmtree(folder)

    return Artefact("weights", path.stat().st_size, flip, close)


def _identity(opened: GgufWeights, read: list[str]) -> object:
    """All that decides scores but for the numbers in the tensors: where they lie, and how they are read."""
    shapes = [opened.file._tensors.get(name) for name in read]
    shape = opened.architecture  # what does not fit the tensors' shapes is refused when the graph is written
    sizes = (shape.hidden_size, shape.mlp_size, shape.vocabulary, shape.n_layers >= (len(read) - 1) // len(_GGUF_BLOCK))
    return shape.mathematics(), sizes, load_tokenizer(opened).digest(), shapes


def _cached_graph() -> tuple[Path, Path, Path, bytes]:
    folder, content = scratch(), random.Random(0).randbytes(100_000)
    os.environ["ALKNET_FIREWALL_CACHE"] = str(folder)
    graph = cached_file("graphs", "one", lambda: content, ".onnx")
    assert isinstance(graph, Path)
    [note] = [each for each in graph.parent.iterdir() if each != graph]
    return folder, graph, note, content


def graph() -> Artefact:
    """A graph in the cache."""
    folder, path, _, content = _cached_graph()
    return Artefact("graph", len(content), _in_cache(path, content), lambda: shutil.rmtree(folder))


def note() -> Artefact:
    """The note of a graph in the cache."""
    folder, _, path, content = _cached_graph()
    return Artefact("note", path.stat().st_size, _in_cache(path, content), lambda: shutil.rmtree(folder))


def _in_cache(path: Path, content: bytes) -> Callable[[int, int], str]:
    sound = path.read_bytes()

    def flip(place: int, mask: int) -> str:
        path.write_bytes(_flipped(sound, place, mask))
        made = []
        found = cached_file("graphs", "one", lambda: made.append(1) or content, ".onnx")  # type: ignore[func-returns-value]
        right = isinstance(found, Path) and found.read_bytes() == content
        return WRONG if not right else REBUILT if made else NO_EFFECT

    return flip


def state() -> Artefact:
    """A stored conversation, as JSON."""
    folder = scratch()
    firewall = Firewall(FirewallConfig(**tiny.write_firewall(folder))).warm_up()  # type: ignore[arg-type]
    engine, conversation = firewall.engine, firewall.conversation()
    for text, channel in (("zzz zz zzz", "user"), ("zzzz zzzz", "document"), ("hello", "user")):
        conversation.add(text, channel)
    content = json.dumps(conversation.state()).encode()

    def flip(place: int, mask: int) -> str:
        try:
            found = from_state(json.loads(_flipped(content, place, mask)), engine)
        except (StateError, ValueError):
            return REFUSED
        return NO_EFFECT if to_state(found, engine) == conversation.state() else WRONG

    return Artefact("state", len(content), flip, lambda: shutil.rmtree(folder))


ARTEFACTS: dict[str, Callable[[], Artefact]] = {
    "codebook": codebook, "weights": weights, "graph": graph, "note": note, "state": state,
}  # fmt: skip


def flips(artefact: Artefact, seed: int, numbers: range) -> Iterator[tuple[int, int, int, str]]:
    """Flips some bits of one byte at random places: number, place, mask, and what came of it."""
    for number in numbers:
        generator = random.Random(f"{seed}/{artefact.name}/{number}")
        place, mask = generator.randrange(artefact.size), generator.randrange(1, 256)
        yield number, place, mask, artefact.flip(place, mask)


def flip_all(
    count: int, seed: int, folder: Path | None, wanted: list[str] | None, report: Callable[[str], None]
) -> int:
    """Flips `count` bytes of each artefact, those of earlier runs included; exit status 1 if one was not noticed.

    Raises:
        ValueError: An artefact is unknown, or the folder is of another seed.
    """
    file = None if folder is None else folder / f"flips-{seed}.json"
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    told: dict[str, dict[str, int]] = {}
    if file is not None and file.is_file():
        told = json.loads(file.read_text(encoding="utf-8"))

    def keep() -> None:
        if file is not None:
            file.with_suffix(".new").write_text(json.dumps(told), encoding="utf-8")
            os.replace(file.with_suffix(".new"), file)

    clean = True
    for name in wanted or list(ARTEFACTS):
        if name not in ARTEFACTS:
            raise ValueError(f"artefact {name!r} is unknown; there are {', '.join(ARTEFACTS)}")
        counts = told.setdefault(name, {})
        artefact = ARTEFACTS[name]()
        try:
            for number, place, mask, came in flips(artefact, seed, range(sum(counts.values()), count)):
                counts[came] = counts.get(came, 0) + 1
                if came == WRONG:
                    report(f"{name}: byte {place} flipped by {mask:#04x} was not noticed")
                if number % _KEPT_EVERY == 0:
                    keep()
        finally:
            artefact.close()
            keep()
        clean = clean and WRONG not in counts
        report(f"{name}: {sum(counts.values()):,} flips: " + ", ".join(f"{n:,} {came}" for came, n in sorted(counts.items())))
    return 0 if clean else 1


def _flipped(content: bytes, place: int, mask: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= mask
    return bytes(changed)
