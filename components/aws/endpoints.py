"""Doors to AWS's own services, each with a policy of what goes through it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.network import Network
from moltghost.components.aws.options import child_of
from moltghost.planning.aws.network import EndpointPlan, NetworkPlan

_HTTPS = 443


class Endpoints(pulumi.ComponentResource):
    """S3 by the routes of nodes; the APIs by interfaces in the control subnets."""

    def __init__(
        self,
        name: str,
        plan: NetworkPlan,
        network: Network,
        region: str,
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:Endpoints", name, None, opts)
        self._network, self._region, self._tags = network, region, tags
        self._group = aws.ec2.SecurityGroup(
            "endpoints-security-group",
            description="HTTPS from inside the network to the endpoints of AWS services",
            vpc_id=network.vpc.id,
            tags=tags,
            opts=child_of(self),
        )
        rule = aws.vpc.SecurityGroupIngressRule(
            "endpoints-https",
            security_group_id=self._group.id,
            description="HTTPS from inside the network",
            cidr_ipv4=plan.cidr,
            ip_protocol="tcp",
            from_port=_HTTPS,
            to_port=_HTTPS,
            tags=tags,
            opts=child_of(self),
        )
        self.ready: list[pulumi.Resource] = [rule, *map(self._endpoint, plan.endpoints)]
        """A node that starts before these finds neither its images nor the cluster."""
        self.register_outputs({})

    def _endpoint(self, plan: EndpointPlan) -> pulumi.Resource:
        name = plan.service.replace(".", "-")
        service = f"com.amazonaws.{self._region}.{plan.service}"
        if plan.kind == "Gateway":
            return aws.ec2.VpcEndpoint(
                f"endpoint-{name}",
                vpc_id=self._network.vpc.id,
                service_name=service,
                vpc_endpoint_type=plan.kind,
                route_table_ids=self._network.route_table_ids,
                policy=plan.policy,
                tags={**self._tags, "Name": name},
                opts=child_of(self),
            )
        return aws.ec2.VpcEndpoint(
            f"endpoint-{name}",
            vpc_id=self._network.vpc.id,
            service_name=service,
            vpc_endpoint_type=plan.kind,
            private_dns_enabled=True,
            subnet_ids=self._network.subnet_ids("control"),
            security_group_ids=[self._group.id],
            policy=plan.policy,
            tags={**self._tags, "Name": name},
            opts=child_of(self),
        )
