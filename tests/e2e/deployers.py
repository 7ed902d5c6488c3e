"""People who deploy agents, before a real API server: the rights that the platform of AWS gives."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

from moltghost.labels import DEPLOYERS_GROUP, owner_group
from moltghost.local.build import programs
from tests.components.aws_stacks import declared
from tests.e2e.cluster_fixture import RunningCluster
from tests.wire import whole

_KINDS = ("ClusterRole", "ClusterRoleBinding")
_WALL = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")


def give_rights(cluster: RunningCluster) -> None:
    """Apply the deployers' roles and their wall, as the platform's stack declares them."""
    for each in declared("platform.prod"):
        kind = each.token.rpartition(":")[2]
        name = str(each.inputs.get("metadata", {}).get("name", ""))
        if kind in (*_KINDS, *_WALL) and name.startswith("moltghost-deployers"):
            cluster.client.apply(whole(each.inputs), manager="test")


def kubectl_as(cluster: RunningCluster, who: str, owner: str) -> Callable[..., str]:
    """kubectl as somebody who deploys the agents of an owner; it returns what it printed."""
    command = [str(programs.binary("kubectl")), "--kubeconfig", str(cluster.status.kubeconfig)]
    for group in (DEPLOYERS_GROUP, owner_group(owner)):
        command += ["--as-group", group]

    def run(*arguments: str, given: Any = None) -> str:
        done = subprocess.run(
            [*command, "--as", who, *arguments],
            input=json.dumps(given) if given else None,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.stdout + done.stderr

    return run
