"""The document that nodeadm reads on a node: typed, so that a slip doesn't keep it from joining."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any, Literal

from pydantic import Field

from moltghost.planning.base import Plan

API_VERSION = "node.eks.aws/v1alpha1"
_BOUNDARY = "moltghost-node-config"


class LocalStorage(Plan):
    """What becomes of a node's NVMe disks."""

    strategy: Literal["RAID0", "RAID10", "Mount"]


class NodeConfig(Plan):
    """``NodeConfig`` as nodeadm v1alpha1 has it, without ``cluster``: EKS adds that itself.

    Source: awslabs/amazon-eks-ami, nodeadm/api/v1alpha1.
    """

    local_storage: LocalStorage | None = None
    kubelet: dict[str, Any] = Field(default_factory=dict)
    """Fields of KubeletConfiguration."""

    def document(self) -> dict[str, Any]:
        """The document as nodeadm reads it."""
        spec: dict[str, Any] = {}
        if self.local_storage:
            spec["instance"] = {"localStorage": self.local_storage.model_dump()}
        if self.kubelet:
            spec["kubelet"] = {"config": self.kubelet}
        return {"apiVersion": API_VERSION, "kind": "NodeConfig", "spec": spec}

    def user_data(self) -> str:
        """User data of a launch template: MIME with this document as its one part, in base64."""
        return b64encode(self.mime().encode()).decode()

    def mime(self) -> str:
        """The MIME text; JSON is YAML, which is what nodeadm parses."""
        return (
            "MIME-Version: 1.0\n"
            f'Content-Type: multipart/mixed; boundary="{_BOUNDARY}"\n\n'
            f"--{_BOUNDARY}\n"
            "Content-Type: application/node.eks.aws\n\n"
            f"{json.dumps(self.document(), sort_keys=True)}\n"
            f"--{_BOUNDARY}--\n"
        )
