"""Who deploys agents can do that and no more: held against an evaluator of IAM's rules."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

import pytest
from moto import mock_aws

from moltghost.aws.preflight import PERMISSIONS
from moltghost.aws.preflight.account import CREDENTIALS
from moltghost.aws.preflight.principals import PRINCIPALS
from moltghost.planning.aws.iam import document
from moltghost.weights_store.bucket import Bucket, BucketLocation
from moltghost.weights_store.store import StoreState, read_store
from tests.planning.aws import ACCOUNT, cloud_plan
from tests.planning.test_aws_iam import agent_role
from tests.weights_store.stores import PREFIX, publish

AGENT_ROLE = f"arn:aws:iam::{ACCOUNT}:role/moltghost-prod-agent-mine"
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/moltghost-prod-agents-boundary"
IDENTITY = f"arn:aws:eks:us-east-1:{ACCOUNT}:podidentityassociation/moltghost-prod/a-1"
CLUSTER = f"arn:aws:eks:us-east-1:{ACCOUNT}:cluster/moltghost-prod"
BUCKET = f"arn:aws:s3:::moltghost-weights-prod-{ACCOUNT}"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k-1"
WEIGHTS_KEY = {"kms:ResourceAliases": "alias/moltghost-prod-weights"}
VIA_S3 = {"kms:ViaService": "s3.us-east-1.amazonaws.com"}
TESTS: dict[str, Callable[[str | None, tuple[str, ...]], bool]] = {
    "StringEquals": lambda has, wanted: has in wanted,
    "StringLike": lambda has, wanted: has is not None and any(fnmatchcase(has, w) for w in wanted),
    "ForAnyValue:StringEquals": lambda has, wanted: has in wanted,
    "Null": lambda has, wanted: (has is None) == (wanted == ("true",)),
}


def deployer(action: str, resource: str, context: dict[str, str] | None = None) -> bool:
    """IAM's evaluation of statements that only allow."""
    return any(
        action in each.actions
        and any(fnmatchcase(resource, pattern) for pattern in each.resources)
        and all(
            TESTS[test]((context or {}).get(key), wanted)
            for test, pairs in each.conditions.items()
            for key, wanted in pairs.items()
        )
        for each in cloud_plan().deployers_policy.statements
    )


AGENT = {"aws:ResourceTag/moltghost.dev/agent": "mine"}
PLATFORM = {"aws:ResourceTag/moltghost.dev/environment": "prod"}
ASKED = {"aws:RequestTag/moltghost.dev/agent": "mine"}
HELD = {"iam:PermissionsBoundary": BOUNDARY}
MAY = [
    ("iam:CreateRole", AGENT_ROLE, HELD),
    ("iam:PutRolePolicy", AGENT_ROLE, HELD),
    ("iam:DeleteRole", AGENT_ROLE, {}),
    ("iam:PassRole", AGENT_ROLE, {"iam:PassedToService": "pods.eks.amazonaws.com"}),
    ("eks:CreatePodIdentityAssociation", CLUSTER, ASKED),
    ("eks:TagResource", IDENTITY, ASKED),
    ("eks:DeletePodIdentityAssociation", IDENTITY, AGENT),
    ("eks:DescribeCluster", CLUSTER, {}),
    ("s3:GetObject", f"{BUCKET}/{PREFIX}store.json", {}),
    ("kms:Decrypt", KEY, {**WEIGHTS_KEY, **VIA_S3}),
]
MAY_NOT = [
    ("iam:CreateRole", AGENT_ROLE, {}),
    ("iam:CreateRole", AGENT_ROLE, {"iam:PermissionsBoundary": f"{BOUNDARY}-of-mine"}),
    ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/moltghost-prod-karpenter", HELD),
    ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/moltghost-prod-karpenter", HELD),
    ("iam:PutRolePolicy", f"arn:aws:iam::{ACCOUNT}:role/moltghost-dev-agent-a", HELD),
    ("iam:DeleteRolePermissionsBoundary", AGENT_ROLE, {}),
    ("iam:PutRolePermissionsBoundary", AGENT_ROLE, HELD),
    ("iam:AttachRolePolicy", AGENT_ROLE, HELD),
    ("iam:CreatePolicyVersion", BOUNDARY, {}),
    ("iam:PassRole", AGENT_ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}),
    ("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/moltghost-prod-karpenter", {}),
    ("eks:CreatePodIdentityAssociation", CLUSTER, {}),
    ("eks:DeletePodIdentityAssociation", IDENTITY, PLATFORM),
    ("eks:UpdatePodIdentityAssociation", IDENTITY, PLATFORM),
    ("eks:TagResource", IDENTITY, {**PLATFORM, **ASKED}),
    ("eks:TagResource", CLUSTER, ASKED),
    ("eks:CreateAccessEntry", CLUSTER, {}),
    ("eks:UpdateClusterConfig", CLUSTER, {}),
    ("s3:GetObject", f"{BUCKET}/{PREFIX}blobs/sha256-0", {}),
    ("s3:GetObject", f"{BUCKET}/{PREFIX}manifests/registry.ollama.ai/moltghost/agent/current", {}),
    ("s3:GetObject", f"{BUCKET}/sources/store.json", {}),
    ("s3:PutObject", f"{BUCKET}/{PREFIX}store.json", {}),
    ("kms:Decrypt", KEY, WEIGHTS_KEY),
    ("kms:Decrypt", KEY, {"kms:ResourceAliases": "alias/moltghost-prod-disks", **VIA_S3}),
    ("ec2:RunInstances", f"arn:aws:ec2:us-east-1:{ACCOUNT}:instance/i-1", {}),
]


@pytest.mark.parametrize(("action", "resource", "context"), MAY)
def test_a_deployer_may(action: str, resource: str, context: dict[str, str]) -> None:
    assert deployer(action, resource, context)


@pytest.mark.parametrize(("action", "resource", "context"), MAY_NOT)
def test_a_deployer_may_not(action: str, resource: str, context: dict[str, str]) -> None:
    assert not deployer(action, resource, context)


def test_a_deployer_may_ask_all_that_preflight_asks() -> None:
    asked = {*PERMISSIONS, *CREDENTIALS.permissions} - {"sts:GetCallerIdentity"}
    asked -= {*PRINCIPALS.permissions}  # of who brings an environment up
    granted = {a for each in cloud_plan().deployers_policy.statements for a in each.actions}
    assert asked <= granted


def test_a_deployer_may_ask_all_that_a_deploy_asks_of_the_weights_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL")  # moto answers at AWS's own addresses only
    asked: list[tuple[str, str]] = []

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        asked.append((model.name, "/".join(filter(None, (BUCKET, params.get("Key"))))))

    with mock_aws():
        bucket = Bucket(BucketLocation(bucket=BUCKET.rpartition(":")[2]))
        bucket.client.create_bucket(Bucket=bucket.name)
        publish(bucket)
        bucket.client.meta.events.register("before-parameter-build.s3", note)
        assert read_store(bucket, PREFIX).state is StoreState.COMPLETE
    actions = {"ListObjectsV2": "s3:ListBucket", "GetObject": "s3:GetObject"}
    assert {operation for operation, _ in asked} == set(actions)
    for operation, resource in asked:
        assert deployer(actions[operation], resource), operation


def test_an_agents_role_is_within_the_boundary_that_deployers_have_to_set() -> None:
    plan, role = cloud_plan(permissions_boundary=f"arn:aws:iam::{ACCOUNT}:policy/b"), agent_role()
    assert role.boundary == BOUNDARY
    assert plan.agents_boundary.name == BOUNDARY.rpartition("/")[2]
    most = {action for each in plan.agents_boundary.statements for action in each.actions}
    assert {action for each in role.statements for action in each.actions} == most
    assert most == {"s3:GetObject", "s3:ListBucket", "kms:Decrypt"}
    within = plan.agents_boundary.statements[0].resources
    (read,) = (each for each in role.statements if each.sid == "ReadStore")
    assert all(any(fnmatchcase(one, w) for w in within) for one in read.resources)


@pytest.mark.parametrize("which", ["agents_boundary", "deployers_policy"])
def test_a_policy_of_the_account_is_no_longer_than_iam_takes(which: str) -> None:
    plan: Any = getattr(cloud_plan(), which)
    text = document(plan.statements)
    assert len(re.sub(r"\s", "", text)) <= 6_144  # IAM quotas, managed policies
    assert len(plan.name) <= 128
    assert len({each["Sid"] for each in json.loads(text)["Statement"]}) == len(plan.statements)
