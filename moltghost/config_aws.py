"""The part of a stack's config that describes an environment on AWS."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from ipaddress import IPv4Network, ip_network
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

# Zones in which EKS can't put its control plane: EKS user guide, "Amazon EKS networking
# requirements for VPC and clusters".
ZONES_WITHOUT_CONTROL_PLANE = frozenset({"use1-az3", "usw1-az2", "cac1-az3"})
MIN_ZONES, MAX_ZONES = 2, 4

# A /17 leaves /20 for each zone's isolated nodes; AWS allows no VPC larger than /16.
_VPC_PREFIXES = (16, 17)
_KUBELET_MINORS_OLDER = 3
_SERVICE_NETWORK = ip_network("172.20.0.0/16")
# The Docker bridge of EKS images and Pod Identity's link-local address stay free.
_DIRECTIONS = {
    "north": "n",
    "south": "s",
    "east": "e",
    "west": "w",
    "central": "c",
    "northeast": "ne",
    "northwest": "nw",
    "southeast": "se",
    "southwest": "sw",
}
# Retention periods that CloudWatch Logs accepts, from a month up.
_RETENTIONS = Literal[30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 3653]


GpuPoolName = Literal["l40s", "a100-40", "a100-80", "h100", "h200", "rtx-pro-6000"]
"""A GPU pool is called after its GPU kind."""


class Spec(BaseModel):
    """What a person writes; unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def zone_prefix(region: str) -> str:
    """The start of a region's zone ids: ``use1`` for ``us-east-1``.

    Raises:
        ValueError: the name isn't built like a commercial region's.
    """
    area, _, rest = region.partition("-")
    direction, _, number = rest.rpartition("-")
    if direction not in _DIRECTIONS or not number.isdigit():
        raise ValueError(f"{region!r} isn't a region; write it like us-east-1")
    return f"{area}{_DIRECTIONS[direction]}{number}"


def _checked_region(region: str) -> str:
    zone_prefix(region)
    return region


def _checked_vpc(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; write a network like 10.40.0.0/16") from None
    if not isinstance(network, IPv4Network) or not network.is_private:
        raise ValueError(f"{text} is not private IPv4 space; take one of 10.0.0.0/8")
    if network.prefixlen not in _VPC_PREFIXES:
        raise ValueError(
            f"{text} doesn't hold a /20 for each zone's nodes, or is larger than AWS allows; "
            f"take a /16 or a /17"
        )
    if network.overlaps(_SERVICE_NETWORK):
        raise ValueError(f"{text} overlaps the cluster's services ({_SERVICE_NETWORK})")
    return str(network)


def _checked_public(text: str) -> str:
    network = ip_network(text)
    if network.prefixlen == 0:
        raise ValueError(
            f"{text} opens the API server to everyone; name your own networks, or leave "
            f"public_cidrs empty and come by a VPN or peering from a network in private_cidrs"
        )
    return str(network)


def _checked_private(text: str) -> str:
    network = ip_network(text)
    if not network.is_private or network.prefixlen == 0:
        raise ValueError(f"{text} is not private space; networks of the internet are public_cidrs")
    return str(network)


def _checked_principal(arn: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:(role|user)/[\w+=,.@/-]+", arn):
        raise ValueError(
            f"{arn!r} isn't a role; write arn:aws:iam::ACCOUNT:role/NAME. For people of IAM "
            f"Identity Center that is the role .../aws-reserved/sso.amazonaws.com/..."
        )
    return arn


Principal = Annotated[str, AfterValidator(_checked_principal)]
"""The ARN of an IAM role (or user) that may reach the cluster."""

OwnerName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
"""The ``owner`` of agents, a label's value."""

ZoneId = Annotated[str, Field(pattern=r"^[a-z]{2,3}[nsewc]{1,2}\d-az\d$")]
"""A zone's id, such as ``use1-az4``; letters (us-east-1a) differ from account to account."""

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]

GroupName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,29}$")]


class EndpointSpec(Spec):
    """Who reaches the API server, beside the cluster's own nodes."""

    public_cidrs: tuple[Annotated[str, AfterValidator(_checked_public)], ...] = ()
    """Networks that may also come over the internet; empty: no public endpoint."""
    private_cidrs: tuple[Annotated[str, AfterValidator(_checked_private)], ...] = ()
    """Networks that come over a VPN or peering of yours; without a rule the cluster's security
    group lets in its own nodes only."""


class SystemNodesSpec(Spec):
    """Nodes of Karpenter and the add-ons."""

    instance_type: str = "m7i.large"
    count: int = Field(default=2, ge=2, le=6)


class ReservationSpec(Spec):
    """Capacity that has been bought already; nothing here buys any."""

    id: Annotated[str, Field(pattern=r"^cr-[0-9a-f]{8,17}$")]
    kind: Literal["on-demand", "capacity-block"]
    instance_type: str
    zone_id: ZoneId
    count: int = Field(ge=1)
    ends: datetime | None = None
    """When a Capacity Block ends; EC2 terminates its instances from 30 minutes before."""

    @model_validator(mode="after")
    def _block_ends(self) -> ReservationSpec:
        if (self.kind == "capacity-block") != (self.ends is not None):
            raise ValueError(
                f"reservation {self.id}: a capacity-block has an end ('ends: 2027-01-31T11:30:00Z',"
                f" as aws ec2 describe-capacity-reservations says), an on-demand one has none"
            )
        if self.ends and self.ends.tzinfo is None:
            raise ValueError(f"reservation {self.id}: write 'ends' with its zone, e.g. ...Z")
        return self


def kubelet_version(release_version: str) -> str:
    """The minor version of Kubernetes of an EKS image: ``1.36`` of ``1.36.2-20260818``."""
    return release_version.rpartition(".")[0]


class FixedGroupSpec(Spec):
    """A managed node group of constant size, for a pool that doesn't come from Karpenter."""

    pool: GpuPoolName
    instance_type: str
    nodes: int = Field(ge=0)
    zone_id: ZoneId
    release_version: Annotated[str, Field(pattern=r"^1\.\d\d\.\d+-\d{8}$")]
    """The EKS image of its nodes, ``1.36.2-20260818``. It follows nothing: EKS replaces the nodes
    of a group whose image changes, and fails at the first that an agent runs on."""
    reservation: str | None = None
    """Id of a reservation of this spec; Karpenter then leaves it alone."""

    @property
    def kubernetes_version(self) -> str:
        """The kubelet's minor version, ``1.36``."""
        return kubelet_version(self.release_version)


class AwsCloudSpec(Spec):
    """The lower layer of an environment on AWS."""

    kind: Literal["cloud"]
    provider: Literal["aws"]
    account_id: Annotated[str, Field(pattern=r"^\d{12}$")]
    """The account that everything belongs to, in quotes; another one's credentials are refused."""
    region: Annotated[str, AfterValidator(_checked_region)]
    zone_ids: tuple[ZoneId, ...]
    vpc_cidr: Annotated[str, AfterValidator(_checked_vpc)] = "10.40.0.0/16"
    nat: Literal["per-zone", "single"] = "per-zone"
    """``single`` saves two thirds of the gateways' price and fails with its zone."""
    kubernetes_version: Annotated[str, Field(pattern=r"^1\.\d\d$")] = "1.36"
    ami_release: Annotated[str, Field(pattern=r"^\d{8}$")] | None = None
    """Release date of the EKS images, ``20260818``; the tested one by default."""
    endpoint: EndpointSpec = EndpointSpec()
    admins: tuple[Principal, ...] = Field(min_length=1)
    """Who administers the cluster; nobody else does, the creator included."""
    deployers: dict[OwnerName, tuple[Principal, ...]] = Field(default_factory=dict)
    """Who deploys an owner's agents but can't touch the platform, nor those of other owners."""
    permissions_boundary: (
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:policy/.+$")] | None
    ) = None
    """A policy that no role of the platform may exceed; agents' roles have one of their own."""
    log_retention_days: _RETENTIONS = 365
    monthly_ceiling_usd: Decimal = Field(gt=0)
    """What the environment may cost in a month: the budget, and what preflight holds pools to."""
    alarm_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    system_nodes: SystemNodesSpec = SystemNodesSpec()
    image_digests: dict[GroupName, Digest] = Field(default_factory=dict)
    """Digest of each image in the environment's own registry, by its repository: ``ollama``."""
    reservations: tuple[ReservationSpec, ...] = ()
    fixed_groups: dict[GroupName, FixedGroupSpec] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> AwsCloudSpec:
        self._check_zones()
        self._check_capacity()
        return self

    def _check_zones(self) -> None:
        if not MIN_ZONES <= len(set(self.zone_ids)) <= MAX_ZONES:
            raise ValueError(
                f"zone_ids: EKS needs {MIN_ZONES} zones at least, and {MAX_ZONES} is the most that "
                f"the network is laid out for; see 'aws ec2 describe-availability-zones "
                f"--region {self.region} --query AvailabilityZones[].ZoneId'"
            )
        if len(set(self.zone_ids)) != len(self.zone_ids):
            raise ValueError("zone_ids: a zone is listed twice")
        prefix = zone_prefix(self.region)
        foreign = [zone for zone in self.zone_ids if not zone.startswith(f"{prefix}-")]
        if foreign:
            raise ValueError(
                f"zone_ids: {', '.join(foreign)} is not in {self.region}; its zone ids start with "
                f"{prefix}-"
            )
        unusable = sorted(ZONES_WITHOUT_CONTROL_PLANE.intersection(self.zone_ids))
        if unusable:
            raise ValueError(
                f"zone_ids: EKS can't put its control plane into {', '.join(unusable)}; "
                f"take another zone of {self.region}"
            )

    def _check_capacity(self) -> None:
        known = {reservation.id: reservation for reservation in self.reservations}
        for reservation in self.reservations:
            self._check_zone(reservation.zone_id, f"reservation {reservation.id}")
        for name, group in self.fixed_groups.items():
            self._check_zone(group.zone_id, f"fixed_groups.{name}")
            self._check_kubelet(name, group)
            if group.reservation is None:
                continue
            if group.reservation not in known:
                raise ValueError(
                    f"fixed_groups.{name}: {group.reservation} is not under 'reservations'"
                )
            held = known[group.reservation]
            if (held.instance_type, held.zone_id) != (group.instance_type, group.zone_id):
                raise ValueError(
                    f"fixed_groups.{name}: {held.id} is for {held.instance_type} in "
                    f"{held.zone_id}, not for {group.instance_type} in {group.zone_id}"
                )
            if group.nodes > held.count:
                raise ValueError(
                    f"fixed_groups.{name}: {held.id} holds {held.count} nodes, not {group.nodes}"
                )

    def _check_kubelet(self, name: str, group: FixedGroupSpec) -> None:
        """Kubernetes' version skew policy: a kubelet is never newer, and three minors older."""
        mine, theirs = (
            int(each[2:]) for each in (self.kubernetes_version, group.kubernetes_version)
        )
        if not 0 <= mine - theirs <= _KUBELET_MINORS_OLDER:
            raise ValueError(
                f"fixed_groups.{name}: nodes of {group.release_version} can't join a cluster of "
                f"{self.kubernetes_version}: a kubelet may be {_KUBELET_MINORS_OLDER} minor "
                f"versions older, and never newer"
            )

    def _check_zone(self, zone: str, where: str) -> None:
        if zone not in self.zone_ids:
            raise ValueError(
                f"{where}: the environment has no subnet in {zone}; add it to zone_ids"
            )
