"""The AWS part of an agent's plan: its role, which reads the one store of its model."""

from __future__ import annotations

from moltghost.labels import AGENT_LABEL, OWNER_LABEL
from moltghost.planning.aws.cloud import AwsCloudPlan
from moltghost.planning.aws.deployers import agents_boundary_arn
from moltghost.planning.aws.flows import POD_IDENTITY
from moltghost.planning.aws.iam import RolePlan, Statement, trust_of_pods
from moltghost.planning.aws.names import AwsScope
from moltghost.planning.aws.weights import reader_statements
from moltghost.planning.base import Plan
from moltghost.store_layout import prefix_of


class AwsAgent(Plan):
    """Who an agent's model server is to AWS."""

    scope: AwsScope
    namespace: str
    service_account: str
    role: RolePlan
    identity_cidr: str
    identity_port: int
    tags: dict[str, str]


def plan_aws_agent(
    cloud: AwsCloudPlan,
    agent: str,
    owner: str,
    namespace: str,
    service_account: str,
    store_urls: tuple[str, ...],
) -> AwsAgent:
    """Decide the identity of an agent.

    Args:
        cloud: the plan of the cloud layer.
        agent: the agent's name.
        owner: who answers for it; a tag, so that cost can be told apart.
        namespace: the agent's namespace.
        service_account: the model server's.
        store_urls: the stores that it may read: the model's, and the one's before an update.
    """
    bucket = cloud.weights_bucket.bucket
    address, port = POD_IDENTITY
    return AwsAgent(
        scope=cloud.scope,
        namespace=namespace,
        service_account=service_account,
        role=RolePlan(
            name=cloud.scope.role_name(f"agent-{agent}"),
            trust=(trust_of_pods(cloud.scope, namespace, service_account),),
            statements=_statements(cloud, bucket, store_urls),
            boundary=agents_boundary_arn(cloud.scope),
        ),
        identity_cidr=address,
        identity_port=port,
        tags={**cloud.tags, AGENT_LABEL: agent, OWNER_LABEL: owner},
    )


def _statements(
    cloud: AwsCloudPlan, bucket: str, store_urls: tuple[str, ...]
) -> tuple[Statement, ...]:
    prefixes = tuple(prefix_of(url) for url in dict.fromkeys(store_urls))
    found: dict[str, Statement] = {}
    for prefix in prefixes:
        for statement in reader_statements(cloud.scope, bucket, prefix):
            before = found.get(statement.sid)
            found[statement.sid] = _merged(before, statement) if before else statement
    return tuple(found.values())


def _merged(one: Statement, other: Statement) -> Statement:
    """Both statements as one: the resources of both, and for lists the prefixes of both."""
    conditions = {
        test: {
            key: tuple(dict.fromkeys((*values, *other.conditions[test][key])))
            for key, values in keys.items()
        }
        for test, keys in one.conditions.items()
    }
    resources = tuple(dict.fromkeys((*one.resources, *other.resources)))
    return one.model_copy(update={"resources": resources, "conditions": conditions})
