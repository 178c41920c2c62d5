"""What runs: GET /models, /healthz and /readyz."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, jsonify

from gateway.auth import Doorman
from gateway.cluster import GatewayLLM

status_app = Blueprint("status", __name__)


@status_app.get("/models")
def models() -> Response:
    """Every chat on the cluster, and never a key."""
    doorman: Doorman = current_app.extensions["doorman"]
    llm: GatewayLLM = current_app.extensions["llm"]
    doorman.require()
    return jsonify(models=llm.models())


@status_app.get("/healthz")
def healthz() -> Response:
    """This process lives."""
    return jsonify(ok=True)


@status_app.get("/readyz")
def readyz() -> Response:
    """The cluster answers, within 2 s; else CLUSTER_DOWN with the reason."""
    llm: GatewayLLM = current_app.extensions["llm"]
    llm.ready()
    return jsonify(ok=True)
