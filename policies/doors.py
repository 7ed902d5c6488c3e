"""Doors from outside: Services, ways in, load balancers, and volumes of nodes' folders."""

from __future__ import annotations

from collections.abc import Iterator

from .reading import get, has, items, mapping, quantity
from .rule import CRITICAL, MEDIUM, Config, rule
from .subject import Subject

_SERVICE = "kubernetes:core/v1:Service"
_QUOTA = "kubernetes:core/v1:ResourceQuota"
_VOLUME = "kubernetes:core/v1:PersistentVolume"
_BALANCERS = ("aws:lb/loadBalancer:LoadBalancer", "aws:alb/loadBalancer:LoadBalancer")
# Objects that lead in from outside wherever a controller for them runs.
_WAYS_IN = (
    "kubernetes:networking.k8s.io/v1:Ingress",
    *(
        f"kubernetes:gateway.networking.k8s.io/v1:{kind}"
        for kind in ("Gateway", "HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute", "UDPRoute")
    ),
    "kubernetes:networking.istio.io/v1:Gateway",
    "kubernetes:networking.istio.io/v1:VirtualService",
    "kubernetes:traefik.io/v1:IngressRoute",
    "kubernetes:traefik.io/v1:IngressRouteTCP",
    "kubernetes:projectcontour.io/v1:HTTPProxy",
    "kubernetes:route.openshift.io/v1:Route",
    "kubernetes:elbv2.k8s.aws/v1:TargetGroupBinding",
)


@rule(
    why="Ollama has no authentication of its own, and agents are private.",
    fix="use type ClusterIP, and port-forward or a VPN to reach it",
    severity=CRITICAL,
    types=(_SERVICE, *_WAYS_IN, *_BALANCERS),
    sources=("CP no-public-services", "C-0256", "C-0274"),
)
def service_not_exposed(subject: Subject, _config: Config) -> Iterator[str]:
    """No Service is reachable from outside the cluster."""
    if subject.type in _WAYS_IN:
        yield "it leads in from outside"
        return
    if subject.type in _BALANCERS:
        if get(subject.props, "internal") is not True:
            yield "it balances load from the internet: internal is not true"
        return
    kind = get(subject.props, "spec.type", "ClusterIP")
    if kind == "ExternalName":
        yield "it stands for a name outside the cluster (ExternalName)"
    elif kind != "ClusterIP":
        yield f"it is of type {kind}, which is reachable from outside the cluster"
    if items(subject.props, "spec.externalIPs"):
        yield "it has externalIPs"


@rule(
    why="A pod that claims the volume has the folder, past the rule against hostPath.",
    fix="use a StorageClass, whose volumes are disks of their own",
    severity=CRITICAL,
    types=(_VOLUME,),
    sources=("C-0048",),
)
def volume_no_node_folder(volume: Subject, _config: Config) -> Iterator[str]:
    """No volume is a folder or a disk of a node."""
    for kind in ("hostPath", "local"):
        if has(volume.props, f"spec.{kind}"):
            path = get(volume.props, f"spec.{kind}.path", "?")
            yield f"it is {path} of a node ({kind})"


@rule(
    why="It stops also a Service that is made later, by hand.",
    fix='set services.loadbalancers and services.nodeports to "0"',
    severity=MEDIUM,
    types=(_QUOTA,),
)
def quota_no_exposure(subject: Subject, _config: Config) -> Iterator[str]:
    """Quotas allow no load balancers and no node ports."""
    hard = mapping(subject.props, "spec.hard")
    for key in ("services.loadbalancers", "services.nodeports"):
        if key in hard and quantity(hard[key]):
            yield f"it allows {hard[key]} of {key}"
        elif key not in hard:
            yield f"it doesn't bound {key}"
