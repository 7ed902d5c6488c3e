"""Our own walls are there: admission, the deployers' wall, endpoints, DNS, routes, the CNI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .cluster import ADDON, CLUSTER
from .escalation import names_whom
from .identity import statements
from .instances import NODE_POOL
from .nodes import NODE_CLASS, SUBNET
from .reading import as_list, get, has, items, mapping, matches
from .rule import CRITICAL, HIGH, Config, rule, stack_rule, texts
from .subject import Subject

_ADMISSION = "kubernetes:admissionregistration.k8s.io/v1"
_WALL = f"{_ADMISSION}:ValidatingAdmissionPolicy"
_WALL_BINDING = f"{_ADMISSION}:ValidatingAdmissionPolicyBinding"
_PEOPLE = "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding"
_VPC = "aws:ec2/vpc:Vpc"
_ROUTE = "aws:ec2/route:Route"
_ROUTE_TABLE = "aws:ec2/routeTable:RouteTable"
_ROUTES_OF = "aws:ec2/routeTableAssociation:RouteTableAssociation"
_ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
_DNS = "aws:route53/resolverFirewall"
_DNS_CONFIG = f"{_DNS}Config:ResolverFirewallConfig"
_DNS_RULE = f"{_DNS}Rule:ResolverFirewallRule"
_DNS_LIST = f"{_DNS}DomainList:ResolverFirewallDomainList"
_DNS_OF = f"{_DNS}RuleGroupAssociation:ResolverFirewallRuleGroupAssociation"
_TIER, _ISOLATED = "moltghost.dev/tier", "isolated"


@rule(
    why="A policy that only warns, or that a fault of the API server skips, is no wall.",
    fix="set failurePolicy Fail and validationActions [Deny], and leave nothing out",
    severity=CRITICAL,
    types=(_WALL, _WALL_BINDING),
)
def admission_denies(wall: Subject, _config: Config) -> Iterator[str]:
    """Admission policies refuse what they find, whatever happens."""
    if wall.type == _WALL_BINDING:
        if "Deny" not in items(wall.props, "spec.validationActions"):
            yield "it refuses nothing: validationActions doesn't have Deny"
        if mapping(wall.props, "spec.matchResources"):
            yield "it leaves objects out (matchResources)"
        return
    if get(wall.props, "spec.failurePolicy", "Fail") != "Fail":
        yield "a fault lets everything in: failurePolicy is not Fail"
    if not items(wall.props, "spec.matchConstraints.resourceRules"):
        yield "it looks at nothing: it has no resourceRules"
    asked = [str(get(each, "expression", "")).strip() for each in _validations(wall)]
    if not asked or any(each in ("true", "") for each in asked):
        yield "it asks nothing of what it looks at"


def _validations(wall: Subject) -> Sequence[Any]:
    return items(wall.props, "spec.validations")


@stack_rule(
    why="Deployers may make any pod that admission doesn't refuse.",
    fix="declare the policy and its binding, or take it out of the rule's list",
    severity=CRITICAL,
    types=(NODE_POOL, _WALL_BINDING, _PEOPLE),
    schema={
        "walls": texts(
            [
                *("moltghost-agent-namespaces", "moltghost-agent-pods"),
                *("moltghost-agent-pods-stay", "moltghost-agent-secrets"),
                *("moltghost-agent-services", "moltghost-gpu-nodes"),
                "moltghost-gpu-nodes-stay",
            ],
            "Admission policies of a stack that has NodePools.",
        ),
        "people": texts(["moltghost.dev:deployers"], "Groups of people who deploy agents."),
        "peoplesWalls": texts(
            ["moltghost-deployers"], "Admission policies of a stack that gives them a role."
        ),
    },
)
def admission_complete(
    subjects: Sequence[Subject], config: Config
) -> Iterator[tuple[Subject, str]]:
    """Where pools are made or people get roles, the admission policies for them are bound."""
    walls = {each.object_name for each in subjects if each.type == _WALL}
    bindings = [each for each in subjects if each.type == _WALL_BINDING]
    bound = {str(get(each.props, "spec.policyName", "")) for each in bindings}
    for binding in bindings:
        name = str(get(binding.props, "spec.policyName", ""))
        if walls and name not in walls:
            yield binding, f"it binds the policy {name}, which the stack doesn't have"
    pools = sorted((each for each in subjects if each.type == NODE_POOL), key=lambda s: s.urn)
    people = [each for each in subjects if each.type == _PEOPLE and _of_people(each, config)]
    for first, wanted in ((pools, config["walls"]), (people, config["peoplesWalls"])):
        for name in wanted if first else ():
            if name not in walls & bound:
                what = "declared" if name not in walls else "bound"
                yield first[0], f"the admission policy {name} is not {what} in its stack"


def _of_people(binding: Subject, config: Config) -> bool:
    named = {str(get(each, "name", "")) for each in items(binding.props, "subjects")}
    return bool(named & set(config["people"]))


@rule(
    why="An endpoint without a policy of its own reaches every account's buckets and keys.",
    fix="give it a policy that names buckets, or the account in a condition",
    severity=HIGH,
    types=(_ENDPOINT,),
    sources=("EKS BPG multitenancy",),
)
def endpoint_policies(endpoint: Subject, _config: Config) -> Iterator[str]:
    """Endpoints of the network lead to what is named, or to the own account."""
    if not has(endpoint.props, "policy"):
        yield "it has no policy, so it leads everywhere"
        return
    for statement in statements(get(endpoint.props, "policy")):
        actions = [str(each) for each in as_list(statement.get("Action"))]
        everything = [each for each in actions if each == "*" or each.endswith(":*")]
        if everything or "NotAction" in statement:
            yield f"it allows {', '.join(everything) or 'all but a few actions (NotAction)'}"
        resources = [str(each) for each in as_list(statement.get("Resource"))]
        wide = "NotResource" in statement or any(_is_any(each) for each in resources)
        if wide and not names_whom(statement):
            yield "it leads to any account's: no resource and no account is named"


def _is_any(resource: str) -> bool:
    return resource.rpartition(":")[2].rstrip("/*") == ""


@stack_rule(
    why="An agent that is taken over sends what it knows through any name or route that is open.",
    fix="restore the firewall of names, and give isolated subnets a route table without routes",
    severity=CRITICAL,
    types=(_VPC, SUBNET),
    sources=("EKS BPG multitenancy",),
)
def network_walled(subjects: Sequence[Subject], _config: Config) -> Iterator[tuple[Subject, str]]:
    """Agents' subnets have no route out, and only names that are needed can be resolved."""
    for vpc in (each for each in subjects if each.type == _VPC):
        about = [each for each in subjects if vpc.urn in each.needs]
        for problem in _dns_problems(about, subjects):
            yield vpc, problem
        if not any(each.type == SUBNET and _is_isolated(each) for each in about):
            yield vpc, "no subnet of it is isolated"
    for subnet in (each for each in subjects if each.type == SUBNET and _is_isolated(each)):
        for problem in _route_problems(subnet, subjects):
            yield subnet, problem


def _is_isolated(subnet: Subject) -> bool:
    return mapping(subnet.props, "tags").get(_TIER) == _ISOLATED


def _route_problems(subnet: Subject, subjects: Sequence[Subject]) -> Iterator[str]:
    """Its route table must be its own kind's, without a route of ours: AWS adds the local one."""
    links = [each for each in subjects if each.type == _ROUTES_OF and subnet.urn in each.needs]
    if not links:
        yield "it is isolated, but has no route table of its own"
    needed = {urn for each in links for urn in each.needs}
    for table in (each for each in subjects if each.type == _ROUTE_TABLE and each.urn in needed):
        routes = [each for each in subjects if each.type == _ROUTE and table.urn in each.needs]
        named = [each.title for each in routes]
        if items(table.props, "routes"):
            named.append(table.title)
        for name in named:
            yield f"it is isolated, but {name} leads out of it"


def _dns_problems(about: Sequence[Subject], subjects: Sequence[Subject]) -> Iterator[str]:
    links = [each for each in about if each.type == _DNS_OF]
    if not links:
        yield "no firewall of names (DNS) is associated with it"
        return
    config = [each for each in about if each.type == _DNS_CONFIG]
    if not any(get(each.props, "firewallFailOpen") == "DISABLED" for each in config):
        yield "its firewall of names lets everything through when it fails"
    needed = {urn for each in links for urn in each.needs}
    lists = {each.urn: each for each in subjects if each.type == _DNS_LIST}
    everything = False
    rules = [each for each in subjects if each.type == _DNS_RULE]
    for each in (one for one in rules if one.urn in needed or needed & set(one.needs)):
        action = get(each.props, "action")
        domains = {
            str(domain)
            for urn in each.needs
            if urn in lists
            for domain in items(lists[urn].props, "domains")
        }
        everything |= action == "BLOCK" and "*" in domains
        if action != "BLOCK" and "*" in domains:
            yield f"{each.title} lets every name through"
    if not everything:
        yield "its firewall of names blocks nothing but what is listed"


@rule(
    why="From a subnet with a way out, a model server that is taken over talks to anybody.",
    fix="select subnets by the tag moltghost.dev/tier=isolated",
    severity=HIGH,
    types=(NODE_CLASS,),
    schema={"outward": texts(["weights"], "Node classes whose nodes may go out.")},
)
def nodes_isolated(node_class: Subject, config: Config) -> Iterator[str]:
    """Nodes of agents are in isolated subnets."""
    if matches(node_class.object_name, config["outward"]):
        return
    terms = items(node_class.props, "spec.subnetSelectorTerms")
    if not terms or any(mapping(each, "tags").get(_TIER) != _ISOLATED for each in terms):
        yield "its nodes may be in subnets that aren't isolated"


@stack_rule(
    why="Without the add-on's strict mode NetworkPolicies are paper.",
    fix="declare the add-on vpc-cni with enableNetworkPolicy and the strict mode",
    severity=HIGH,
    types=(CLUSTER,),
    sources=("prowler eks_cluster_network_policy_enabled", "C-0205"),
)
def vpc_cni_declared(subjects: Sequence[Subject], _config: Config) -> Iterator[tuple[Subject, str]]:
    """A cluster has the add-on that enforces NetworkPolicies."""
    for cluster in (each for each in subjects if each.type == CLUSTER):
        own = [each for each in subjects if each.type == ADDON and cluster.urn in each.needs]
        if not any(get(each.props, "addonName") == "vpc-cni" for each in own):
            yield cluster, "it has no add-on vpc-cni, so EKS decides whether policies are enforced"
