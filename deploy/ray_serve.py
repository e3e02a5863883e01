"""The server on a Ray cluster: `serve run deploy.ray_serve:app` (Ray Serve, `pip install "ray[serve]"`).

Each replica has a model of its own, loaded when it starts. Settings come from the environment of the nodes:
`ALKNET_FIREWALL_*` and `ALKNET_SERVE_*`, see docs/deployment.md.
"""

from __future__ import annotations

from fastapi import FastAPI
from ray import serve

CORES = 2  # a replica; as many threads does its detector use
_BUSY = 16  # requests at work in a replica that are worth another one


def application() -> FastAPI:
    """The application of one replica; called there, so nothing of a model travels over the network."""
    import os

    os.environ.setdefault("ALKNET_FIREWALL_THREADS", str(CORES))
    from alknet_firewall.serve.asgi import create

    return create()


deployment = serve.deployment(
    name="alknet-firewall",
    ray_actor_options={"num_cpus": CORES},
    # The application refuses what is too much for it, with 503; Ray must not queue without end before that.
    max_ongoing_requests=256,
    max_queued_requests=1024,
    autoscaling_config={"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": _BUSY},
    graceful_shutdown_timeout_s=30,
    health_check_period_s=10,
)(serve.ingress(application)())
app = deployment.bind()
