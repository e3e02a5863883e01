"""Other detectors behind one small interface, so that they can judge the same rows.

Each is imported only when it is asked for; one that is not installed says what to install.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from alknet_firewall.compile.rows import Row
from alknet_firewall.errors import AlknetFirewallError, DataError
from alknet_firewall.evaluate.baselines import fit_tfidf, keyword_hits
from alknet_firewall.evaluate.needed import needed


class Peer(Protocol):
    """A detector of attacks.

    Attributes:
        name: What tables call it.
        threshold: The score above which the detector itself would flag a text; None if it does not say.
    """

    @property
    def name(self) -> str: ...

    @property
    def threshold(self) -> float | None: ...

    def score(self, texts: Sequence[str]) -> list[float]:
        """One finite number a text, higher is worse."""
        ...


@dataclass(frozen=True)
class TextPeer:
    """A peer that judges one text at a time."""

    name: str
    judge: Callable[[str], float]
    threshold: float | None = None

    def score(self, texts: Sequence[str]) -> list[float]:
        return [float(self.judge(text)) for text in texts]


@dataclass(frozen=True)
class BatchPeer:
    """A peer that judges several texts at once."""

    name: str
    judge: Callable[[Sequence[str]], list[float]]
    threshold: float | None = None

    def score(self, texts: Sequence[str]) -> list[float]:
        return self.judge(texts)


def open_peer(name: str, calibration: Sequence[Row] = (), seed: int = 0) -> Peer:
    """Opens a peer.

    Args:
        name: `keywords`, `tfidf`, `guardian`, `llm-guard`, `llm-guard:FOLDER`, `hf:FOLDER`, or `module:function`.
        calibration: Labelled rows, for those that are fitted.
        seed: Of the fit.

    Raises:
        AlknetFirewallError: It is unknown, not installed, or cannot be loaded; the message says what to do.
    """
    kind, _, rest = name.partition(":")
    if name == "keywords":
        return TextPeer(name, keyword_hits, threshold=0.0)
    if name == "tfidf":
        if not calibration:
            raise DataError("the peer tfidf is fitted first: give labelled rows with --calibration")
        needed("sklearn", "tfidf", "pip install 'alknet-firewall[evaluate]'")
        return BatchPeer(name, fit_tfidf(calibration, seed), threshold=0.0)
    if name == "guardian":
        return _guardian()
    if kind == "llm-guard":
        return _llm_guard(name, rest)
    if kind == "hf" and rest:
        from alknet_firewall.evaluate.transformers_peer import open_classifier

        return BatchPeer(name, open_classifier(Path(rest)), threshold=0.5)
    if kind and rest:
        return TextPeer(name, _function(kind, rest))
    raise DataError(
        f"there is no peer {name[:80]!r}; there are keywords, tfidf, guardian, llm-guard, llm-guard:FOLDER, "
        "hf:FOLDER and module:function"
    )


def _guardian() -> Peer:
    remedy = "pip install securevector-guardian-model"
    package = needed("svguardian", "guardian", remedy)
    model = needed("svguardian.model.pure_infer", "guardian", remedy)
    analyze = needed("svguardian.serve", "guardian", remedy).analyze
    try:
        guardian = model.PureGuardian.load(package.resolve_runtime(download=False))  # it lies in the wheel
    except (OSError, ValueError) as error:
        raise AlknetFirewallError(f"the peer guardian has no model that can be read ({error})") from error

    def score(text: str) -> float:
        found = analyze(text, guardian)  # it tells how sure it is of its answer, whichever that is
        return float(found["confidence"] if found["is_threat"] else 1 - found["confidence"])

    # It flags from its threshold on, and tells four digits.
    return TextPeer("guardian", score, threshold=float(guardian.threshold) - 1e-4)


def _llm_guard(name: str, folder: str) -> Peer:
    remedy = "pip install llm-guard, in an environment of its own (it pins torch and transformers)"
    scanners = needed("llm_guard.input_scanners.prompt_injection", name, remedy)
    needed("llm_guard.util", name, remedy).configure_logger(
        "CRITICAL", stream=sys.stderr
    )  # it logs every text
    model = None
    if folder:
        models = needed("llm_guard.model", name, remedy)
        options = dict(scanners.V2_MODEL.pipeline_kwargs)
        model = models.Model(path=str(Path(folder).resolve()), pipeline_kwargs=options)
    try:
        scanner = scanners.PromptInjection(model=model)
    except Exception as error:  # what it raises without its model depends on the versions of four libraries
        raise AlknetFirewallError(
            f"the peer {name} could not load its model ({type(error).__name__}). It fetches it from a hub at the first "
            "use; without a network, name a local copy: llm-guard:FOLDER"
        ) from error
    return TextPeer(
        name, lambda text: float(scanner.scan(text)[2]), threshold=0.0
    )  # risk in tenths, from -1 to 1


def _function(module: str, function: str) -> Callable[[str], float]:
    sys.path.insert(0, str(Path.cwd()))  # as `python -m` does
    try:
        found = getattr(importlib.import_module(module), function, None)
    except ImportError as error:
        raise DataError(f"{module}:{function}: the module cannot be imported ({error})") from error
    finally:
        sys.path.pop(0)
    if not callable(found):
        raise DataError(f"{module}:{function}: {module} has no function {function}")
    judge: Callable[[str], float] = found
    return judge
