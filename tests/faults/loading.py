"""Faults while an engine is loaded: the bare doors answer by policy, hosts refuse to start; mended, all goes on."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests import tiny
from tests.faults.bench import CODEBOOK, POLICIES, Bench, Place, Unproven, is_bare
from tests.faults.fault import Fault, Prove
from tests.faults.plugin import armed

Damage = Callable[[Path], None]


def damaged(damage: Damage, *kinds: str) -> Prove:
    """Files are damaged before they are loaded, and put right afterwards."""

    def prove(bench: Bench, place: Place) -> str:
        said = ""
        for policy in _policies(place):
            folder = bench.copy()
            damage(folder)
            config = bench.config(
                policy, weights=str(folder / "weights"), codebook=str(folder / "codebook.safetensors")
            )
            said = _check_refused(bench, place, policy, config, kinds)
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(bench.folder / "sound", folder)
            bench.check_right(place, config)
        return said

    return prove


def failing(mode: str, *kinds: str, settings: Mapping[str, Any] | None = None) -> Prove:
    """Something fails while it is loaded, and works when it is tried again."""

    def prove(bench: Bench, place: Place) -> str:
        said = ""
        for policy in _policies(place):
            folder = bench.copy()  # settings of its own: what was loaded before is not asked
            config = bench.config(policy, weights=str(folder / "weights"), **settings or {})
            sys.modules.pop("tests.faults.importing", None)
            with armed(mode):
                said = _check_refused(bench, place, policy, config, kinds)
            bench.check_right(place, config)
        return said

    return prove


def _absent_plugin(bench: Bench, place: Place) -> str:
    said = ""
    for policy in _policies(place):
        config = bench.config(policy, plugins=("fault_matrix", "no_such_plugin"))
        said = _check_refused(bench, place, policy, config, ("PluginError",))
    bench.check_right(place, bench.config())
    return said


def _policies(place: Place) -> tuple[str, ...]:
    """A host that refuses to start asks no policy: the mildest will do."""
    return POLICIES if is_bare(place) else ("allow",)


def _check_refused(bench: Bench, place: Place, policy: str, config: Any, kinds: tuple[str, ...]) -> str:
    if is_bare(place):
        bench.check_policy(place, policy, config, kinds)
        return "by policy"
    seen = bench.send(place, place.benign, config)
    # NeMo raises an error of its own, with ours as its cause.
    if not isinstance(seen.raised, Exception) or seen.arrived or not any(kind in seen.told for kind in kinds):
        raise Unproven(f"no refusal at the start that names {' or '.join(kinds)}, but {seen.words()}")
    return "no start"


def _cut(name: str) -> Damage:
    def cut(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return cut


def _flipped(name: str, place: int) -> Damage:
    """Turns every bit of one byte; `place` counts from the end if it is below 0."""

    def flip(folder: Path) -> None:
        path = folder / name
        content = bytearray(path.read_bytes())
        content[place] ^= 0xFF
        path.write_bytes(content)

    return flip


def _weights_changed(folder: Path) -> None:
    """One byte of the embedding, the first tensor of the file; those behind the last tap are never read."""
    path = folder / _WEIGHTS
    start = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    _flipped(_WEIGHTS, start + 101)(folder)


def _of_another_detector(folder: Path) -> None:
    book = tiny.make_codebook(tiny.load(folder / "weights"), **{**CODEBOOK, "fingerprint": "f" * 64})
    (folder / "codebook.safetensors").write_bytes(book.to_bytes())


_WEIGHTS, _CODEBOOK = "weights/model.safetensors", "codebook.safetensors"

FAULTS = [
    Fault("weights missing", damaged(lambda folder: shutil.rmtree(folder / "weights"), "WeightsError")),
    Fault("weights cut", damaged(_cut(_WEIGHTS), "WeightsError")),
    Fault("weights changed by one byte", damaged(_weights_changed, "CodebookError", "DetectorError")),
    Fault("tokenizer damaged", damaged(_cut("weights/tokenizer.json"), "WeightsError")),
    Fault("codebook missing", damaged(lambda folder: (folder / _CODEBOOK).unlink(), "CodebookError")),
    Fault("codebook cut", damaged(_cut(_CODEBOOK), "CodebookError")),
    Fault("codebook's header damaged", damaged(_flipped(_CODEBOOK, 20), "CodebookError")),
    Fault("codebook changed by one byte", damaged(_flipped(_CODEBOOK, -3), "CodebookError")),
    Fault("codebook of another detector", damaged(_of_another_detector, "CodebookError")),
    Fault("backend finds no memory when loaded", failing("load: backend out of memory", "MemoryError")),
    Fault("backend gives NaN when loaded", failing("load: backend gives NaN", "DetectorError")),
    Fault("plugin that is asked for is not installed", _absent_plugin),
    Fault(
        "plugin that is asked for raises when imported",
        failing(
            "load: plugin raises when imported",
            "PluginError",
            settings={"plugins": ("fault_matrix", "fault_import")},
        ),
    ),
]
