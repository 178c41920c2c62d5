"""What runs: GET /models, /metrics, /healthz and /readyz."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from gateway import __version__
from gateway.errors import GatewayError
from gateway.web import metrics, services
from gateway.web.description import Description, described
from gateway.web.schemas import CHAT, FINE, LIVES, schema_object

status_app = Blueprint("status", __name__)

MODELS = schema_object(models={"type": "array", "items": CHAT})


@status_app.get("/models")
@described(Description("Every chat and its state.", MODELS))
def models() -> Response:
    """Return every chat on the cluster, and never a key."""
    return jsonify(models=services.models())


@status_app.get("/metrics")
@described(Description("Metrics for Prometheus.", {}, streams=metrics.CONTENT_TYPE, fails=()))
def metrics_page() -> Response:
    """Return what Prometheus reads; without a cluster, what this machine's processes know."""
    services.require_all_chats()
    try:
        models = services.models()
    except GatewayError:
        models = None
    return Response(metrics.page(models), content_type=metrics.CONTENT_TYPE)


@status_app.get("/healthz")
@described(Description("This process lives; its version.", LIVES, scope=None, fails=()))
def healthz() -> Response:
    """Say that this process lives."""
    return jsonify(ok=True, version=__version__)


@status_app.get("/readyz")
@described(Description("The cluster answers.", FINE, scope=None))
def readyz() -> Response:
    """Say whether the cluster answers within 2 s; else CLUSTER_DOWN with the reason."""
    services.llm().ready()
    return jsonify(ok=True)
