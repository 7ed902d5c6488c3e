"""KWOK's configuration: which nodes it plays, and how (the stages).

Stages are objects of the cluster, so that what is simulated can be changed while it runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from moltghost.kube.agents import SIMULATED_ANNOTATION
from moltghost.local.simulated.instance_types import NodeType, capacities

STAGES = Path(__file__).parent / "stages"

SIMULATED_VALUE = "fake"

#: A StorageClass with this provisioner gets simulated volumes, in both binding modes.
VOLUME_PROVISIONER = "kwok.x-k8s.io/volume"

# Room for 65,000 pods; no packet is ever sent there.
_POD_RANGE = "10.128.0.0/16"
# Nothing listens there, so that `kubectl logs` is refused at once.
_NODE_ADDRESS = "127.0.0.2"
_LEASE_SECONDS = 40
_PARALLELISM = 16


def configuration() -> dict[str, object]:
    """Content of KWOK's configuration file."""
    return {
        "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
        "kind": "KwokConfiguration",
        "options": {
            "cidr": _POD_RANGE,
            "enableCRDs": ["Stage"],
            "manageNodesWithAnnotationSelector": f"{SIMULATED_ANNOTATION}={SIMULATED_VALUE}",
            "nodeIP": _NODE_ADDRESS,
            "nodeLeaseDurationSeconds": _LEASE_SECONDS,
            "nodeLeaseParallelism": _PARALLELISM,
            "nodePlayStageParallelism": _PARALLELISM,
            "podPlayStageParallelism": _PARALLELISM,
        },
    }


def stages(types: Iterable[NodeType]) -> list[str]:
    """YAML of every stage."""
    table = json.dumps(capacities(types), separators=(",", ":"))
    files = sorted(STAGES.glob("*.yaml"))
    return [file.read_text().replace("@CAPACITIES@", table) for file in files]
