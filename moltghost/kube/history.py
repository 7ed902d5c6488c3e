"""What an agent ran before: the cluster keeps a ReplicaSet for each state of its model server.

The Deployment controller copies the Deployment's annotations to the ReplicaSet that it makes, so
each of them carries the agent's config as it was applied then.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from moltghost.kube.client import Client
from moltghost.labels import (
    AGENT_LABEL,
    CONTEXT_ANNOTATION,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    MODEL_ANNOTATION,
    MODEL_SERVER,
    NAME_LABEL,
    QUANTIZATION_ANNOTATION,
    SPEC_ANNOTATION,
)

_REVISION = "deployment.kubernetes.io/revision"
_SERVER = {MANAGED_BY_LABEL: MANAGED_BY, NAME_LABEL: MODEL_SERVER}


@dataclass(frozen=True)
class Revision:
    """One state of an agent's model server.

    Args:
        number: the cluster's count; a state that comes back gets a new number.
        since: when its ReplicaSet was made, RFC 3339.
        current: it is what the Deployment asks for now.
        spec: the agent's config as it was applied then, as JSON.
    """

    number: int
    since: str
    model: str
    quantization: str
    context: int
    current: bool
    spec: str

    def to_json(self) -> dict[str, Any]:
        """Keys for scripts."""
        facts = asdict(self)
        del facts["spec"]
        return facts


def revisions(client: Client, agent: str) -> list[Revision]:
    """The states of an agent's model server that the cluster still keeps, newest first."""
    labels = {**_SERVER, AGENT_LABEL: agent}
    found = []
    for each in client.list("apps/v1", "ReplicaSet", labels=labels):
        metadata = each["metadata"]
        facts = metadata.get("annotations", {})
        if SPEC_ANNOTATION not in facts:
            continue
        template = each["spec"]["template"]["metadata"].get("annotations", {})
        found.append(
            Revision(
                number=int(facts.get(_REVISION, 0)),
                since=metadata["creationTimestamp"],
                model=template.get(MODEL_ANNOTATION, ""),
                quantization=template.get(QUANTIZATION_ANNOTATION, ""),
                context=int(template.get(CONTEXT_ANNOTATION, 0)),
                current=False,
                spec=facts[SPEC_ANNOTATION],
            )
        )
    found.sort(key=lambda revision: revision.number, reverse=True)
    return [
        Revision(**{**asdict(revision), "current": position == 0})
        for position, revision in enumerate(found)
    ]
