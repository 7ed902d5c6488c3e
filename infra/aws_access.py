"""How programs reach AWS and the cluster in it: never with a stored credential."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from moltghost.planning.aws.names import Place


def aws_provider(place: Place) -> aws.Provider:
    """The provider of the environment's region; credentials of another account are refused."""
    return aws.Provider("aws", region=place.region, allowed_account_ids=[place.account_id])


def kubeconfig(place: Place, cluster: aws.eks.Cluster) -> pulumi.Output[str]:
    """A kubeconfig whose user asks AWS for a token at each use. It holds no secret."""
    return pulumi.Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": place.name,
            "contexts": [
                {"name": place.name, "context": {"cluster": place.name, "user": place.name}}
            ],
            "clusters": [
                {
                    "name": place.name,
                    "cluster": {
                        "server": cluster.endpoint,
                        "certificate-authority-data": cluster.certificate_authority.apply(
                            lambda authority: authority.data
                        ),
                    },
                }
            ],
            "users": [{"name": place.name, "user": {"exec": _token_command(place)}}],
        }
    )


def _token_command(place: Place) -> dict[str, Any]:
    command = ["eks", "get-token", "--cluster-name", place.name, "--region", place.region]
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
