"""The same probes against moto where it is faithful: real requests on the wire, real parsing.

moto has no quotas of EC2, no reservations, no versions of EKS and no prices; those are simulated
in `tests/aws/simulated.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.ec2.responses import EC2Response
from moto.servicequotas.responses import ServiceQuotasResponse

from moltghost.aws.clients import Clients
from moltghost.aws.preflight.account import CREDENTIALS, REGION, ZONES
from moltghost.aws.preflight.cluster import ENDPOINT
from moltghost.aws.preflight.images import AMIS, IMAGES
from moltghost.aws.preflight.network import ADDRESSES
from moltghost.aws.preflight.offerings import OFFERINGS
from moltghost.aws.preflight.probe import Context, Probe
from moltghost.aws.preflight.quotas import QUOTAS
from moltghost.aws.preflight.runner import run_probes
from moltghost.aws.preflight.storage import BUCKET, KEYS
from moltghost.aws.request import RequestedSubnet
from moltghost.checks import Check
from tests.aws.requests import need, request

WHERE = "us-east-1"


@pytest.fixture
def moto() -> Iterator[boto3.Session]:
    with mock_aws():
        yield boto3.Session(region_name=WHERE)


def asked(probe: Probe, **changes: Any) -> dict[str, Check]:
    context = Context(
        request(account_id=DEFAULT_ACCOUNT_ID, **changes), Clients(request(**changes).region)
    )
    return {check.id: check for check in run_probes([probe], context)}


def test_account_region_and_zones_are_found(moto: boto3.Session) -> None:
    assert asked(CREDENTIALS)["credentials"].status == "ok"
    assert asked(REGION)["region"].status == "ok"
    assert asked(ZONES)["zones"].status == "ok"
    missing = asked(ZONES, zone_ids=("use1-az1", "use1-az9"))["zones"]
    assert "no zone use1-az9" in missing.found


def test_a_region_that_does_not_exist_is_a_blocker(moto: boto3.Session) -> None:
    assert asked(REGION, region="us-east-9")["region"].status == "blocker"


def test_types_are_offered_where_ec2_says_so(moto: boto3.Session) -> None:
    needs = (need("pool l40s", "g6e.2xlarge"), need("pool a100-80", "p4de.24xlarge"))

    found = asked(OFFERINGS, needs=needs)

    assert found["offering.l40s"].found == "g6e.2xlarge in use1-az1, use1-az2"
    assert found["offering.a100-80"].status == "blocker"
    assert "it is offered in use1-az4, use1-az6" in found["offering.a100-80"].found


def test_running_instances_are_read_off_the_wire(
    moto: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    # moto has neither: one answer each, in its own terms.
    monkeypatch.setattr(
        EC2Response,
        "describe_capacity_reservations",
        lambda _: ActionResult({"CapacityReservations": []}),
        raising=False,
    )
    monkeypatch.setattr(
        ServiceQuotasResponse, "get_service_quota", lambda _: '{"Quota": {"Value": 400}}'
    )
    ec2 = moto.client("ec2")
    image = ec2.describe_images()["Images"][0]["ImageId"]
    ec2.run_instances(ImageId=image, InstanceType="p5.48xlarge", MinCount=2, MaxCount=2)
    ec2.run_instances(
        ImageId=image,
        InstanceType="p5.48xlarge",
        MinCount=1,
        MaxCount=1,
        InstanceMarketOptions={"MarketType": "spot"},
    )
    found = asked(QUOTAS, needs=(need(),))["quota.L-417A185B"]

    assert "limit 400 vCPU, 384 in use" in found.found
    assert found.status == "warning"


def test_subnets_of_the_environment_have_free_addresses(moto: boto3.Session) -> None:
    ec2 = moto.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.40.0.0/16")["Vpc"]["VpcId"]
    tags = [{"Key": "moltghost.dev/environment", "Value": "prod"}]
    for cidr, tagged in (("10.40.0.0/24", tags), ("10.40.1.0/24", [])):
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr)["Subnet"]["SubnetId"]
        if tagged:
            ec2.create_tags(Resources=[subnet], Tags=tagged)
    subnets = tuple(
        RequestedSubnet(zone_id="use1-az1", cidr=cidr) for cidr in ("10.40.0.0/24", "10.40.1.0/24")
    )

    found = asked(ADDRESSES, subnets=subnets, addresses_now=251)

    assert found["addresses.free"].status == "ok"
    assert "251 addresses are free" in found["addresses.free"].found


def test_bucket_and_key_are_there_missing_or_dying(moto: boto3.Session) -> None:
    bucket, alias = "moltghost-weights-prod", "alias/moltghost-prod-weights"
    missing = asked(BUCKET, weights_bucket=bucket, scope="agent")["weights-store"]
    assert missing.status == "blocker"
    moto.client("s3").create_bucket(Bucket=bucket)
    assert asked(BUCKET, weights_bucket=bucket)["weights-store"].status == "ok"

    kms, name = moto.client("kms"), "kms-key.moltghost-prod-weights"
    assert asked(KEYS, scope="agent")[name].status == "blocker"
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    assert asked(KEYS)[name].status == "ok"
    kms.schedule_key_deletion(KeyId=key)
    assert f"cancel-key-deletion --key-id {key}" in asked(KEYS)[name].remedy


def test_images_are_there_or_not(moto: boto3.Session) -> None:
    image = f"{DEFAULT_ACCOUNT_ID}.dkr.ecr.{WHERE}.amazonaws.com/tools:1"
    ecr = moto.client("ecr")
    assert asked(IMAGES, images=(image,), scope="agent")["image.tools"].status == "blocker"
    ecr.create_repository(repositoryName="tools")
    assert asked(IMAGES, images=(image,), scope="agent")["image.tools"].status == "blocker"
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": "sha256:0"},
        "layers": [],
    }
    ecr.put_image(repositoryName="tools", imageManifest=json.dumps(manifest), imageTag="1")
    assert asked(IMAGES, images=(image,), scope="agent")["image.tools"].status == "ok"


def test_a_node_image_is_found_by_its_parameter(moto: boto3.Session) -> None:
    image = moto.client("ec2").describe_images()["Images"][0]["ImageId"]
    # moto reserves the name space /aws/ as AWS does, so the parameter has another name here.
    moto.client("ssm").put_parameter(Name="/eks/release/image_id", Value=image, Type="String")

    found = asked(AMIS, ami_parameters=("/eks/release/image_id", "/eks/gone/image_id"))

    assert found["ami.release"].status == "ok"
    assert found["ami.gone"].status == "blocker"


def test_a_cluster_that_is_not_there_blocks_an_agent_only(moto: boto3.Session) -> None:
    assert asked(ENDPOINT)["endpoint"].status == "ok"
    assert asked(ENDPOINT, scope="agent")["endpoint"].status == "blocker"


# --- Without moto: the wire itself -----------------------------------------------------------


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    """Answers every call on the wire, so that botocore's own retries and parsers run."""
    answers = Wire()
    new_session = boto3.Session

    def session(**values: Any) -> boto3.Session:
        made = new_session(**values)
        made.events.register("before-send", answers.serve)
        return made

    monkeypatch.setitem(Clients.__init__.__kwdefaults__, "session", session)
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    return answers


class Wire:
    def __init__(self) -> None:
        self.quota: tuple[int, dict[str, Any]] = (200, {"Quota": {"Value": 400.0}})
        self.seen: list[str] = []

    def serve(self, request: Any, event_name: str, **_: Any) -> AWSResponse:
        operation = event_name.rpartition(".")[2]
        self.seen.append(operation)
        if operation == "GetServiceQuota":
            status, content = self.quota
            return AWSResponse(request.url, status, {}, Raw(json.dumps(content)))
        return AWSResponse(request.url, 200, {}, Raw(f"<{operation}Response/>"))


class Raw:
    """A response's body as urllib3 hands it over."""

    def __init__(self, body: str) -> None:
        self._body = body.encode()

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._body


def test_throttling_is_retried_and_then_unknown(
    wire: Wire,
) -> None:
    wire.quota = (429, {"__type": "TooManyRequestsException", "message": "Rate exceeded"})

    found = asked(QUOTAS, needs=(need(),))["quota.L-417A185B"]

    assert found.status == "unknown"
    assert "throttled GetServiceQuota (TooManyRequestsException), after retries" in found.found
    assert wire.seen.count("GetServiceQuota") == 3


def test_a_refused_permission_on_the_wire_is_named_with_who_refuses_it(
    wire: Wire,
) -> None:
    message = (
        "User: arn:aws:iam::111122223333:user/me is not authorized to perform: "
        "servicequotas:GetServiceQuota because of an explicit deny in a service control policy"
    )
    wire.quota = (400, {"__type": "AccessDeniedException", "Message": message})

    found = asked(QUOTAS, needs=(need(),))["quota.L-417A185B"]

    assert found.status == "unknown"
    assert found.found.endswith(
        "no permission: servicequotas:GetServiceQuota was denied by a service control policy"
    )


def test_no_call_can_leave_for_aws() -> None:
    """Without moto and without a simulated account, the network is closed to tests."""
    for probe in (CREDENTIALS, OFFERINGS, BUCKET, QUOTAS):
        statuses = {check.status for check in asked(probe).values()}
        assert statuses == {"unknown"}
    with pytest.raises(AssertionError, match=r"a test tried to reach https://sts\."):
        boto3.client("sts", region_name=WHERE).get_caller_identity()
