"""One sample of /metrics."""

from __future__ import annotations

import httpx
from prometheus_client.parser import text_string_to_metric_families


def value(gateway: httpx.Client, name: str, **labels: str) -> float | None:
    """A sample of /metrics, asked on a connection of its own, so that any of the processes answers;
    None: absent."""
    text = gateway.get("/metrics", headers={"Connection": "close"}).text
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    matches = [
        sample.value for sample in samples if sample.name == name and sample.labels == labels
    ]
    assert len(matches) < 2
    return matches[0] if matches else None
