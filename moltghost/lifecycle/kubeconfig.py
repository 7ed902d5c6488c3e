"""The kubeconfig of an environment on AWS: kept as a file that asks AWS for a token at each use."""

from __future__ import annotations

from pathlib import Path

from moltghost.config import AwsCloudSpec, EnvironmentConfig, StackName
from moltghost.engines.interface import UNKNOWN_TEXT, Engine
from moltghost.errors import Refused
from moltghost.files import write_private
from moltghost.kube.kubeconfig import kubeconfig_path
from moltghost.lifecycle.environments import is_embedded
from moltghost.planning.cloud import plan_cloud


def kubeconfig_of(environment: EnvironmentConfig, engine: Engine) -> Path:
    """The path of an environment's kubeconfig; on AWS it is written from the cloud stack's output.

    The file holds the cluster's address and certificate and the command that gets a token, no
    credential.

    Raises:
        Refused: the environment isn't up, or another engine keeps its stack.
    """
    path = kubeconfig_path(plan_cloud(environment)).expanduser()
    if isinstance(environment.cloud, AwsCloudSpec):
        return _written(path, StackName(environment.name, "cloud"), engine)
    if not path.is_file():
        raise Refused(
            f"the cluster of environment {environment.name} isn't running: {path} isn't there",
            f"moltghost up {environment.name}" if is_embedded(environment) else "create the file",
        )
    return path


def _written(path: Path, stack: StackName, engine: Engine) -> Path:
    if str(stack) not in {each.name for each in engine.stacks()}:
        raise Refused(
            f"stack {stack} isn't up, so its cluster has no kubeconfig",
            f"moltghost up {stack}; or, where the Pulumi CLI has it elsewhere: "
            f"pulumi stack output kubeconfig --stack {stack} > {path}",
        )
    text = engine.outputs(str(stack)).get("kubeconfig")
    if not isinstance(text, str) or text == UNKNOWN_TEXT:
        raise Refused(
            f"stack {stack} has no output kubeconfig: its last up didn't end",
            f"moltghost up {stack}",
        )
    write_private(path, text, durable=True)
    return path
