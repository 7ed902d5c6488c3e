"""How programs reach AWS and the cluster in it: never with a stored credential."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from moltghost.planning.aws.names import AwsScope


def aws_provider(scope: AwsScope) -> aws.Provider:
    """The provider of the environment's region; credentials of another account are refused."""
    return aws.Provider("aws", region=scope.region, allowed_account_ids=[scope.account_id])


def kubeconfig(scope: AwsScope, cluster: aws.eks.Cluster) -> pulumi.Output[str]:
    """A kubeconfig whose user asks AWS for a token at each use. It holds no secret."""
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": scope.name,
            "contexts": [
                {"name": scope.name, "context": {"cluster": scope.name, "user": scope.name}}
            ],
            "clusters": [
                {
                    "name": scope.name,
                    "cluster": {
                        "server": cluster.endpoint,
                        "certificate-authority-data": cluster.certificate_authority.apply(
                            lambda authority: authority.data
                        ),
                    },
                }
            ],
            "users": [{"name": scope.name, "user": {"exec": _token_command(scope)}}],
        }
    )


def _token_command(scope: AwsScope) -> dict[str, Any]:
    command = ["eks", "get-token", "--cluster-name", scope.name, "--region", scope.region]
    return {
        # As `aws eks update-kubeconfig` writes it: `get-token` answers with this version unless the
        # client asks for another, and lightkube knows no newer one.
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        # Whatever form of output the user has set for the AWS CLI.
        "args": [*command, "--output", "json"],
        "interactiveMode": "Never",
        "installHint": "the AWS CLI, version 2, is needed to reach this cluster",
    }
