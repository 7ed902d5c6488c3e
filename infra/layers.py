"""How the layers of an environment find each other: flat outputs, read by StackReference."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s

from moltghost.config import NAMESPACE, StackName
from moltghost.project import ENVIRONMENT_PROJECT, Project


def project() -> Project:
    """The project that is running, and the one that has its environments."""
    name = pulumi.get_project()
    other = pulumi.Config(NAMESPACE).get(ENVIRONMENT_PROJECT)
    return Project(name=name, environment_project=other or name)


def output_of(stack: StackName, name: str) -> pulumi.Output[str]:
    """An output of a stack of the environment: its cloud or its platform."""
    owner = project().environment_project
    reference = pulumi.StackReference(f"{pulumi.get_organization()}/{owner}/{stack}")
    return reference.require_output(name)


def cluster_provider(kubeconfig: pulumi.Input[str]) -> k8s.Provider:
    """The provider for everything in the cluster.

    ``kubeconfig`` is a path, or on AWS the text of one that asks for a token at each use: the
    credentials themselves are in no state. A field that somebody changed by hand is set right, as
    the embedded engine does it, not left as a conflict.
    """
    return k8s.Provider(
        "cluster", kubeconfig=kubeconfig, enable_server_side_apply=True, enable_patch_force=True
    )
