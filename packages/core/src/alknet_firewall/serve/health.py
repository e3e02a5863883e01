"""`/healthz`, `/readyz`, `/metrics`, and loading the model while the server answers already."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from alknet_firewall import __version__
from alknet_firewall.errors import AlknetFirewallError
from alknet_firewall.firewall import Firewall
from alknet_firewall.serve.meters import Meters
from alknet_firewall.serve.observed import Tell, observe
from alknet_firewall.serve.problems import Problem

_AGAIN = 5.0  # s until a model that cannot be loaded is tried again
_log = logging.getLogger(__name__)


class Loader:
    """Loads the firewall of this process beside the event loop; what fails is tried again until it works.

    Attributes:
        ready: Whether it is loaded, has passed its self-test and has judged a text.
    """

    def __init__(self, firewall: Firewall, tell: Tell, meters: Meters) -> None:
        """Loads nothing yet.

        Args:
            firewall: To be loaded.
            tell: Is told what its detector does.
            meters: Count workers that are ready.
        """
        self._firewall, self._tell, self._meters = firewall, tell, meters
        self.ready = False

    async def run(self, again: float = _AGAIN) -> None:
        """Ends when the firewall is loaded.

        Args:
            again: Seconds between two tries.
        """
        while not self.ready:
            try:
                await asyncio.to_thread(self._load)
            except AlknetFirewallError as error:
                _log.error("not ready, and tried again in %g s: %s", again, error)
                await asyncio.sleep(again)
            except Exception as error:
                _log.error("not ready, and tried again in %g s: %s", again, type(error).__name__)
                await asyncio.sleep(again)

    def _load(self) -> None:
        self._firewall.warm_up()
        observe(self._firewall.engine, self._tell)
        self._meters.ready.set(1)
        self.ready = True
        model = self._firewall.engine.detector.model
        _log.info("ready: %s in %s, codebook of %s", model.backend, model.precision, self._named())

    def _named(self) -> str:
        return self._firewall.engine.codebook.fingerprint[:12]

    def state(self) -> Response:
        """What `/readyz` answers."""
        if not self.ready:
            detail = "The model is not loaded yet, or cannot be."
            hint = "Wait; if it stays so, the server's log says why."
            return Problem(503, "not-ready", detail, hint, {"retry-after": "1"}).response()
        model = self._firewall.engine.detector.model
        told = {"status": "ready", "version": __version__, "fingerprint": self._named()}
        return JSONResponse({**told, "backend": model.backend, "precision": model.precision})


def health_router(loader: Loader, meters: Meters) -> APIRouter:
    """The routes that those ask who watch the server."""
    router = APIRouter(tags=["health"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process is alive."""
        return {"status": "alive"}

    @router.get("/readyz", responses={503: {"description": "Not loaded yet."}})
    async def readyz() -> Response:
        """The model is loaded, passed its self-test and judged a text; 503 before."""
        return loader.state()

    @router.get("/metrics")
    async def metrics() -> Response:
        """Counts for Prometheus, of all workers."""
        return Response(meters.page(), media_type=CONTENT_TYPE_LATEST)

    return router
