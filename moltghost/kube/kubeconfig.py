"""Where the file lies that lets programs into an environment's cluster."""

from __future__ import annotations

from pathlib import Path

from moltghost import paths
from moltghost.planning.environment import CloudPlan


def kubeconfig_path(cloud: CloudPlan) -> Path:
    """The kubeconfig of an environment: what a person named, or what we write on this machine."""
    found = cloud.kubeconfig
    return Path(found.path) if found.path else paths.state_home() / found.written_to
