"""Chooses an environment's class: the only place that asks which provider it has."""

from __future__ import annotations

from pathlib import Path

from moltghost.config import AwsCloudSpec, read_environment
from moltghost.environments.environment import Environment


def open_environment(project: Path, name: str) -> Environment:
    """The environment of that name; neither its cluster nor its cloud is asked yet.

    Args:
        project: folder with ``Pulumi.yaml``.
        name: the environment's.

    Raises:
        Refused: its config isn't there or is invalid.
    """
    config = read_environment(project, name)
    # Each class loads what its provider needs: boto3, or the embedded cluster's own code.
    if isinstance(config.cloud, AwsCloudSpec):
        from moltghost.environments.aws import AwsEnvironment

        return AwsEnvironment(project, config, config.cloud)
    if config.cloud.kubeconfig:
        from moltghost.environments.own_cluster import OwnClusterEnvironment

        return OwnClusterEnvironment(project, config)
    from moltghost.environments.embedded import EmbeddedEnvironment

    return EmbeddedEnvironment(project, config)
