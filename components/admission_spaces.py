"""What admission asks of agents' namespaces, and of Services and Secrets in them."""

from __future__ import annotations

from moltghost.components.admission_rule import Rule
from moltghost.labels import (
    AGENT_LABEL,
    AGENT_NAMESPACE_PREFIX,
    OWNER_LABEL,
    POD_SECURITY_VERSION,
    POOLS_ANNOTATION,
    TYPES_ANNOTATION,
)
from moltghost.planning.platform import PlatformPlan
from moltghost.planning.weights import WEIGHTS_POOL

_ENFORCE = "pod-security.kubernetes.io/enforce"


def namespace_rules(plan: PlatformPlan) -> list[Rule]:
    """What a namespace called agent-NAME must carry; its pods are held to what it carries."""
    pools = f"'{POOLS_ANNOTATION}'"
    allowed = ", ".join(f"'{each.name}'" for each in plan.every_pool if each.name != WEIGHTS_POOL)
    return [
        Rule(
            f"has(object.metadata.labels) && '{AGENT_LABEL}' in object.metadata.labels && "
            f"'{AGENT_NAMESPACE_PREFIX}' + object.metadata.labels['{AGENT_LABEL}'] == "
            "object.metadata.name",
            f"a namespace called agent-NAME carries the label {AGENT_LABEL}=NAME",
        ),
        Rule(
            f"has(object.metadata.labels) && '{OWNER_LABEL}' in object.metadata.labels",
            f"an agent's namespace names its owner in the label {OWNER_LABEL}",
        ),
        Rule(
            f"has(object.metadata.labels) && '{_ENFORCE}' in object.metadata.labels && "
            f"object.metadata.labels['{_ENFORCE}'] == 'restricted'",
            "an agent's namespace enforces Pod Security 'restricted'",
        ),
        Rule(
            # Without it, or with an old one, parts of the level aren't looked at.
            f"has(object.metadata.labels) && '{_ENFORCE}-version' in object.metadata.labels && "
            f"object.metadata.labels['{_ENFORCE}-version'] == '{POD_SECURITY_VERSION}'",
            f"an agent's namespace enforces Pod Security in the version {POD_SECURITY_VERSION}",
        ),
        Rule(
            "has(object.metadata.annotations) && "
            f"'{POOLS_ANNOTATION}' in object.metadata.annotations && "
            f"'{TYPES_ANNOTATION}' in object.metadata.annotations",
            "an agent's namespace names the pools and instance types of its plan "
            "in its annotations",
        ),
        Rule(
            # What it has may stay: a pool that is gone must not lock its agents up.
            f"has(object.metadata.annotations) && {pools} in object.metadata.annotations && "
            f"(object.metadata.annotations[{pools}].split(',').all(p, p in [{allowed}]) || "
            f"oldObject != null && has(oldObject.metadata.annotations) && "
            f"{pools} in oldObject.metadata.annotations && "
            f"oldObject.metadata.annotations[{pools}] == object.metadata.annotations[{pools}])",
            "an agent may use the environment's pools, and none whose nodes reach the internet",
        ),
    ]


SERVICE_RULES = [
    Rule(
        "!has(object.spec.type) || object.spec.type == 'ClusterIP'",
        "a Service of an agent is reached inside the cluster alone (type ClusterIP)",
    ),
    Rule(
        # Traffic of every pod to these addresses would go to the agent (CVE-2020-8554).
        "!has(object.spec.externalIPs) || object.spec.externalIPs.size() == 0",
        "a Service of an agent takes no address but its own (no externalIPs)",
    ),
    Rule(
        "!has(object.spec.externalName) || object.spec.externalName == ''",
        "a Service of an agent leads to its pods (no externalName)",
    ),
]

SECRET_RULES = [
    Rule(
        # The controller fills a Secret of type service-account-token with the account's token.
        "has(object.type) && object.type == 'Opaque'",
        "a Secret in an agent's namespace has the type Opaque, so it holds no token of an account",
    ),
]
