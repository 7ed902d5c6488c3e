"""What our own containers say of their work: lines of JSON in their logs.

A line has ``stage`` and either ``message`` or ``done``, ``total``, ``rate`` (bytes a second) and
``eta`` (seconds): images/agent-tools/internal/progress.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError
from moltghost.kube.pod_diagnosis import LiveObject, container_statuses
from moltghost.labels import LOADER_CONTAINER, WEIGHTS_CONTAINER
from moltghost.progress import transfer_detail

# The containers that report, in the order in which they work; the others' logs are users' own.
_REPORTING = (WEIGHTS_CONTAINER, LOADER_CONTAINER)


@dataclass(frozen=True)
class Said:
    """One line.

    Args:
        fraction: share done in 0..1 where it is known.
    """

    stage: str
    detail: str
    fraction: float | None = None


def parse(line: str) -> Said | None:
    """The line, None if it is no report."""
    try:
        found: Any = json.loads(line)
    except ValueError:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("stage"), str):
        return None
    if "done" not in found:
        return Said(found["stage"], str(found.get("message", "")))
    total, done = _number(found.get("total")), _number(found["done"])
    eta = found.get("eta")
    left = _number(eta) if eta is not None else None
    detail = transfer_detail(int(done), int(total), _number(found.get("rate")), left)
    return Said(found["stage"], detail, min(done / total, 1.0) if total else None)


def last_words(client: Client, pod: LiveObject) -> str:
    """How far the container of a model server's pod is that works now; empty where none says it.

    Costs one request while the pod copies or loads, and none otherwise.
    """
    for status in container_statuses(pod):
        at_work = "running" in status.get("state", {}) and not status.get("started")
        if status["name"] in _REPORTING and at_work:
            said = _last_line(client, pod, status["name"])
            return f"{said.stage}: {said.detail}" if said and said.detail else ""
    return ""


def _last_line(client: Client, pod: LiveObject, container: str) -> Said | None:
    metadata = pod["metadata"]
    try:
        lines = list(client.log_tail(metadata["name"], metadata["namespace"], container))
    except ApiError:
        return None  # the container has just ended, or its node is simulated
    return next(filter(None, map(parse, reversed(lines))), None)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
