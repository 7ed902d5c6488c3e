"""Good examples of our own walls, of the real SDK types; each argument makes one of them wrong."""

from __future__ import annotations

import json
from typing import Any

import pulumi_kubernetes as k8s
from pulumi_aws import ec2, route53
from pulumi_kubernetes.admissionregistration import v1 as admission

from tests.policies import parts as p

NAMES = (
    *("moltghost-agent-namespaces", "moltghost-agent-pods", "moltghost-agent-pods-stay"),
    *("moltghost-agent-secrets", "moltghost-agent-services"),
    *("moltghost-gpu-nodes", "moltghost-gpu-nodes-stay"),
)


def admission_walls(
    opts: p.Opts, *, without: str = "", actions: tuple[str, ...] = ("Deny",), fails: str = "Fail"
) -> None:
    """The admission policies of a platform with their bindings."""
    for name in NAMES:
        if name == without:
            continue
        metadata = k8s.meta.v1.ObjectMetaArgs(name=name)
        admission.ValidatingAdmissionPolicy(
            name,
            metadata=metadata,
            spec=admission.ValidatingAdmissionPolicySpecArgs(
                failure_policy=fails,
                match_constraints=admission.MatchResourcesArgs(
                    resource_rules=[admission.NamedRuleWithOperationsArgs(resources=["pods"])]
                ),
                validations=[admission.ValidationArgs(expression="has(object.metadata.labels)")],
            ),
            opts=opts,
        )
        admission.ValidatingAdmissionPolicyBinding(
            name,
            metadata=metadata,
            spec=admission.ValidatingAdmissionPolicyBindingSpecArgs(
                policy_name=name, validation_actions=list(actions)
            ),
            opts=opts,
        )


def endpoint(opts: p.Opts, **condition: Any) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": ["sts:AssumeRole"], "Resource": "*"}
    document = json.dumps({"Statement": [{**statement, "Condition": condition}]})
    ec2.VpcEndpoint(
        "sts",
        vpc_id="vpc-1",
        service_name="com.amazonaws.us-east-1.sts",
        policy=document if condition else None,
        tags=p.TAGS,
        opts=opts,
    )


def network(opts: p.Opts, *, fail_open: str = "DISABLED", action: str = "BLOCK") -> None:
    """A VPC with an isolated subnet and a firewall of names."""
    vpc = ec2.Vpc("vpc", cidr_block="10.0.0.0/16", tags=p.TAGS, opts=opts)
    tags = {**p.TAGS, "moltghost.dev/tier": "isolated"}
    subnet = ec2.Subnet("isolated", vpc_id=vpc.id, tags=tags, opts=opts)
    table = ec2.RouteTable("isolated", vpc_id=vpc.id, tags=p.TAGS, opts=opts)
    ec2.RouteTableAssociation("isolated", subnet_id=subnet.id, route_table_id=table.id, opts=opts)
    names = route53.ResolverFirewallDomainList("all", domains=["*"], tags=p.TAGS, opts=opts)
    group = route53.ResolverFirewallRuleGroup("rules", tags=p.TAGS, opts=opts)
    route53.ResolverFirewallRule(
        "all",
        action=action,
        priority=1,
        firewall_domain_list_id=names.id,
        firewall_rule_group_id=group.id,
        opts=opts,
    )
    route53.ResolverFirewallRuleGroupAssociation(
        "rules",
        vpc_id=vpc.id,
        firewall_rule_group_id=group.id,
        priority=101,
        tags=p.TAGS,
        opts=p.Opts.merge(opts, p.Opts(depends_on=[group])),
    )
    route53.ResolverFirewallConfig(
        "config", resource_id=vpc.id, firewall_fail_open=fail_open, opts=opts
    )


def cluster_with_cni(opts: p.Opts, name: str = "vpc-cni") -> None:
    cluster = p.cluster(opts)
    strict = {"enableNetworkPolicy": "true", "env": {"NETWORK_POLICY_ENFORCING_MODE": "strict"}}
    p.addon(p.Opts.merge(opts, p.Opts(depends_on=[cluster])), strict, name)
