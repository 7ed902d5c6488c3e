"""The names that a network's resolver answers. Any other name doesn't exist there."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from moltghost.components.aws.options import child_of

# Rules apply in this order; AWS reserves priorities of associations below 100 and above 9900.
_ALLOW, _BLOCK, _ASSOCIATION = 100, 200, 101


class DnsFirewall(pulumi.ComponentResource):
    """An allow list in front of the resolver, closed when the firewall itself fails."""

    def __init__(
        self,
        name: str,
        place_name: str,
        domains: Sequence[str],
        vpc_id: pulumi.Input[str],
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("moltghost:aws:DnsFirewall", name, None, opts)
        self._name, self._tags = place_name, tags
        group = aws.route53.ResolverFirewallRuleGroup(
            "dns-rules", name=place_name, tags=tags, opts=child_of(self)
        )
        allowed, rest = self._list("allowed", domains), self._list("everything", ["*"])
        rules: list[pulumi.Resource] = [
            aws.route53.ResolverFirewallRule(
                "dns-allow",
                name="allow",
                priority=_ALLOW,
                action="ALLOW",
                firewall_domain_list_id=allowed.id,
                firewall_rule_group_id=group.id,
                # Names that an allowed name points to, such as those of load balancers.
                firewall_domain_redirection_action="TRUST_REDIRECTION_DOMAIN",
                opts=child_of(self),
            ),
            aws.route53.ResolverFirewallRule(
                "dns-block",
                name="block",
                priority=_BLOCK,
                action="BLOCK",
                block_response="NXDOMAIN",
                firewall_domain_list_id=rest.id,
                firewall_rule_group_id=group.id,
                opts=child_of(self),
            ),
        ]
        aws.route53.ResolverFirewallConfig(
            "dns-firewall", resource_id=vpc_id, firewall_fail_open="DISABLED", opts=child_of(self)
        )
        aws.route53.ResolverFirewallRuleGroupAssociation(
            "dns-rules-of-network",
            name=place_name,
            firewall_rule_group_id=group.id,
            vpc_id=vpc_id,
            priority=_ASSOCIATION,
            tags=tags,
            opts=child_of(self, after=rules),
        )
        self.register_outputs({})

    def _list(self, what: str, domains: Sequence[str]) -> aws.route53.ResolverFirewallDomainList:
        return aws.route53.ResolverFirewallDomainList(
            f"dns-{what}",
            name=f"{self._name}-{what}",
            domains=list(domains),
            tags=self._tags,
            opts=child_of(self),
        )
