"""What runs: GET /models, /healthz and /readyz."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from gateway import __version__, metrics, service
from gateway.errors import GatewayError

status_app = Blueprint("status", __name__)


@status_app.get("/models")
def models() -> Response:
    """Every chat on the cluster, and never a key."""
    service.require()
    return jsonify(models=service.llm().models())


@status_app.get("/metrics")
def metrics_page() -> Response:
    """What Prometheus reads; without a cluster, what this machine's processes know."""
    service.require()
    try:
        models = service.llm().models()
    except GatewayError:
        models = None
    return Response(metrics.page(models), content_type=metrics.CONTENT_TYPE)


@status_app.get("/healthz")
def healthz() -> Response:
    """This process lives."""
    return jsonify(ok=True, version=__version__)


@status_app.get("/readyz")
def readyz() -> Response:
    """The cluster answers, within 2 s; else CLUSTER_DOWN with the reason."""
    service.llm().ready()
    return jsonify(ok=True)
