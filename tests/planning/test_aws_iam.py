"""IAM documents: valid actions, no wildcard that AWS could narrow, roles scoped to their pods."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import pytest

from moltghost.config import AgentSpec, StackName
from moltghost.planning.agent import plan_agent
from moltghost.planning.aws.iam import RolePlan, Statement, document
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.aws.platform import AwsPlatform
from moltghost.planning.aws.weights import reader_statements
from moltghost.planning.platform import plan_platform
from tests.planning.aws import cloud_plan, environment

# Actions that are no operation of the service's API: IAM's own reference, per service.
_PERMISSIONS_ONLY = {
    "s3:ListBucket",
    "s3:ListBucketMultipartUploads",
    "s3:ListMultipartUploadParts",
    "iam:PassRole",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "ecr:GetAuthorizationToken",
}
_SERVICES = {"servicequotas": "service-quotas"}


def agent_role(previous: bool = False) -> RolePlan:
    before = {"previous": {"model": "llama3.1-8b-q4", "context": "32k"}} if previous else {}
    spec = AgentSpec.model_validate(
        {
            "kind": "agent",
            "owner": "team-a",
            "model": "llama3.1-70b-q4",
            "context": "32k",
            **before,
        }
    )
    plan = plan_agent(StackName.parse("my-agent.prod"), spec, environment())
    assert plan.aws
    return plan.aws.role


def platform() -> AwsPlatform:
    found = plan_platform(environment()).aws
    assert found
    return found


def roles() -> list[RolePlan]:
    cloud = cloud_plan()
    addons = (*cloud.cluster.addons, *platform().addons)
    return [
        cloud.cluster.role,
        cloud.node_role,
        cloud.flow_log_role,
        cloud.karpenter.controller,
        cloud.karpenter.node,
        cloud.weights_builder,
        cloud.guards.scheduler_role,
        agent_role(),
        *(each.role for each in addons if each.role),
    ]


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    cloud = cloud_plan()
    for role in roles():
        for statement in (*role.trust, *role.statements):
            yield f"{role.name}/{statement.sid}", statement.to_json()
    for each in (cloud.agents_boundary, cloud.deployers_policy):
        for statement in each.statements:
            yield f"{each.name}/{statement.sid}", statement.to_json()
    policies = {
        "topic": cloud.guards.topic_policy,
        "queue": cloud.karpenter.queue_policy,
        "bucket": cloud.weights_bucket.policy,
        **{f"endpoint {each.service}": each.policy for each in cloud.network.endpoints},
        **{f"key {each.name}": each.policy for each in cloud.keys},
    }
    for name, text in policies.items():
        for statement in json.loads(text)["Statement"]:
            yield f"{name}/{statement['Sid']}", statement


@cache
def operations(service: str) -> set[str]:
    model = botocore.session.get_session().get_service_model(_SERVICES.get(service, service))
    return set(model.operation_names)


def test_every_action_exists() -> None:
    for where, statement in documents():
        if statement["Effect"] == "Deny":
            continue
        for action in statement["Action"]:
            service, _, name = action.partition(":")
            if action in _PERMISSIONS_ONLY:
                continue
            assert name in operations(service) or name in ("TagSession",), f"{where}: {action}"


def test_nothing_is_allowed_by_a_wildcard_action() -> None:
    for where, statement in documents():
        if statement["Effect"] == "Allow":
            assert not any("*" in action for action in statement["Action"]), where


def test_roles_name_their_resources_but_where_aws_knows_none() -> None:
    wide = {
        statement.sid
        for role in roles()
        for statement in role.statements
        if "*" in statement.resources
    }
    assert wide == {"DescribeOffers", "ListProfiles", "Prices", "Describe"}
    for role in roles():
        for statement in role.statements:
            if "*" in statement.resources:
                assert all(
                    re.match(r"(ec2:Describe|iam:List|pricing:Get)", action)
                    for action in statement.actions
                )


@pytest.mark.parametrize(
    ("actions", "resources", "said"),
    [
        (("s3:*",), ("arn:aws:s3:::b",), "name the actions"),
        (("*",), ("arn:aws:s3:::b",), "name the actions"),
        (("s3:GetObject",), ("*",), "doesn't say why"),
    ],
)
def test_a_statement_that_is_too_wide_cannot_be_made(
    actions: tuple[str, ...], resources: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        Statement(sid="Wide", actions=actions, resources=resources)


def test_a_document_open_to_any_principal_is_held_by_a_condition_or_a_resource() -> None:
    for where, statement in documents():
        if statement["Effect"] == "Allow" and "*" in statement.get("Principal", {}).get("AWS", ()):
            narrow = "Condition" in statement or "*" not in statement["Resource"]
            assert narrow, where


def test_a_role_of_pods_is_taken_on_only_by_its_service_account_of_this_cluster() -> None:
    (trust,) = agent_role().trust
    assert trust.principals == {"Service": ("pods.eks.amazonaws.com",)}
    equal = trust.conditions["StringEquals"]
    assert equal["aws:RequestTag/kubernetes-namespace"] == ("agent-my-agent",)
    assert equal["aws:RequestTag/kubernetes-service-account"] == ("model-server",)
    assert trust.conditions["ArnEquals"]["aws:SourceArn"] == (
        "arn:aws:eks:us-east-1:111122223333:cluster/moltghost-prod",
    )


def test_an_agent_reads_the_store_of_its_model_and_nothing_else() -> None:
    (read,) = (each for each in agent_role().statements if each.sid == "ReadStore")
    assert read.actions == ("s3:GetObject",)
    (resource,) = read.resources
    assert resource.endswith("/llama3.1-70b/Q4_K_M/*")


def test_during_an_update_an_agent_reads_both_stores() -> None:
    statements = {each.sid: each for each in agent_role(previous=True).statements}
    assert [
        each.rpartition("stores/")[2].split("/")[1] for each in statements["ReadStore"].resources
    ] == [
        "llama3.1-70b",
        "llama3.1-8b",
    ]
    assert len(statements["ListStore"].conditions["StringLike"]["s3:prefix"]) == 2


def test_karpenter_ends_only_nodes_of_its_own_cluster() -> None:
    (end,) = (each for each in roles()[3].statements if each.sid == "EndOwnNodes")
    assert end.conditions["StringEquals"] == {
        "aws:ResourceTag/kubernetes.io/cluster/moltghost-prod": ("owned",)
    }


def test_every_role_is_held_by_the_boundary_that_the_environment_names() -> None:
    boundary = "arn:aws:iam::111122223333:policy/boundary"
    cloud = cloud_plan(permissions_boundary=boundary)
    found = plan_platform(environment(permissions_boundary=boundary)).aws
    assert found
    ours = [
        cloud.cluster.role,
        cloud.node_role,
        cloud.flow_log_role,
        cloud.karpenter.controller,
        cloud.karpenter.node,
        cloud.weights_builder,
        cloud.guards.scheduler_role,
        *(each.role for each in (*cloud.cluster.addons, *found.addons) if each.role),
    ]
    assert {role.boundary for role in ours} == {boundary}
    assert all(len(role.name) <= 64 for role in ours)


def test_what_a_role_in_the_cluster_may_do_passes_the_endpoints_on_its_way() -> None:
    passed: dict[str, set[str]] = {}
    for endpoint in cloud_plan().network.endpoints:
        service = endpoint.service.partition(".")[0]
        for statement in json.loads(endpoint.policy)["Statement"]:
            passed.setdefault(service, set()).update(statement["Action"])
    cloud = cloud_plan()
    # These are taken on by services of AWS, outside of the network.
    outside = {cloud.flow_log_role.name, cloud.guards.scheduler_role.name, cloud.cluster.role.name}
    checked = 0
    for role in roles():
        for statement in role.statements if role.name not in outside else ():
            for action in statement.actions:
                service = action.partition(":")[0]
                if service in passed:
                    assert action in passed[service], f"{role.name}: {action}"
                    checked += 1
    assert checked > 50


def test_documents_are_no_longer_than_aws_takes() -> None:
    """IAM quotas count no white space: 10240 inline in a role, 2048 of trust; endpoints 20480."""

    def length(text: str) -> int:
        return len(re.sub(r"\s", "", text))

    for role in roles():
        assert length(document(role.statements)) <= 10_240, role.name
        assert length(document(role.trust)) <= 2_048, role.name
    for endpoint in cloud_plan().network.endpoints:
        assert len(endpoint.policy) <= 20_480, endpoint.service


def test_the_weights_job_reads_sources_adds_to_stores_and_deletes_nothing() -> None:
    bucket = "arn:aws:s3:::moltghost-weights-prod-111122223333"
    allowed = {
        (action, resource, bool(statement.conditions))
        for statement in cloud_plan().weights_builder.statements
        for action in statement.actions
        for resource in statement.resources
        if action.startswith("s3:")
    }
    assert allowed == {
        ("s3:GetObject", f"{bucket}/sources/*", False),
        ("s3:GetObject", f"{bucket}/stores/*", False),
        ("s3:PutObject", f"{bucket}/stores/*", False),
        ("s3:ListMultipartUploadParts", f"{bucket}/stores/*", False),
        ("s3:ListBucketMultipartUploads", bucket, False),
        # Unconditional, or a missing object would be answered 403 instead of 404.
        ("s3:ListBucket", bucket, False),
    }


@pytest.mark.parametrize("prefix", ["", "/", "sources/", "stores", "stores/ollama-1/m/Q8_0"])
def test_a_reader_is_given_stores_and_nothing_beside_them(prefix: str) -> None:
    scope = AwsScope(environment="prod", account_id="111122223333", region="us-east-1")
    with pytest.raises(ValueError, match="isn't a prefix of stores"):
        reader_statements(scope, "weights", prefix)
