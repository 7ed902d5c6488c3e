"""What is left in EC2 after an environment went, asked of moto over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from moltghost.aws.clients import Clients
from moltghost.aws.leftovers import Leftovers, find_leftovers
from moltghost.errors import Failed
from tests.aws.simulated import SimulatedAccount

WHERE = "us-east-1"
TAGS = {"moltghost.dev/environment": "dev"}


@pytest.fixture
def ec2() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("ec2", region_name=WHERE)


def tags(**values: str) -> list[dict[str, str]]:
    return [{"Key": key.replace("__", "/"), "Value": value} for key, value in values.items()]


IMAGES: list[str] = []  # moto takes seconds to list its images, which are always the same


def run(ec2: Any, cluster: str) -> str:
    if not IMAGES:
        IMAGES.extend(each["ImageId"] for each in ec2.describe_images()["Images"])
    image = IMAGES[0]
    own = [{"Key": f"kubernetes.io/cluster/{cluster}", "Value": "owned"}]
    made = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": own}],
    )
    return str(made["Instances"][0]["InstanceId"])


def found() -> Leftovers:
    return find_leftovers(Clients(WHERE), "moltghost-dev", TAGS)


def test_an_account_without_anything_of_the_environment_has_nothing_left(ec2: Any) -> None:
    run(ec2, "moltghost-prod")
    assert found() == Leftovers(region=WHERE)
    assert found().notes == ()


def test_a_running_and_a_stopped_machine_are_left_and_an_ended_one_is_not(ec2: Any) -> None:
    running, stopped, ended = (run(ec2, "moltghost-dev") for _ in range(3))
    ec2.stop_instances(InstanceIds=[stopped])
    ec2.terminate_instances(InstanceIds=[ended])
    left = found()
    assert set(left.instances) == {running, stopped}
    assert left.end_instances.startswith(
        "aws ec2 terminate-instances --region us-east-1 --instance-ids i-"
    )


def test_a_disk_that_no_machine_has_is_left_with_the_command_that_deletes_it(ec2: Any) -> None:
    own = [{"Key": "moltghost.dev/environment", "Value": "dev"}]
    disk = ec2.create_volume(
        AvailabilityZone=f"{WHERE}a",
        Size=1,
        TagSpecifications=[{"ResourceType": "volume", "Tags": own}],
    )["VolumeId"]
    ec2.create_volume(AvailabilityZone=f"{WHERE}a", Size=1)
    left = found()
    assert left.volumes == (disk,)
    (note,) = left.notes
    assert f"for id in {disk}; do aws ec2 delete-volume --volume-id $id" in note


def test_an_interface_of_the_network_plugin_that_no_machine_has_is_left(ec2: Any) -> None:
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    own = [{"Key": "cluster.k8s.amazonaws.com/name", "Value": "moltghost-dev"}]
    interface = ec2.create_network_interface(
        SubnetId=subnet, TagSpecifications=[{"ResourceType": "network-interface", "Tags": own}]
    )["NetworkInterface"]["NetworkInterfaceId"]
    left = found()
    assert left.interfaces == (interface,)
    assert "subnets stay with them" in left.notes[0]


def test_without_the_permission_to_look_nothing_is_said_to_be_gone(
    account: SimulatedAccount,
) -> None:
    account.deny("DescribeInstances", "ec2:DescribeInstances")
    with pytest.raises(Failed, match=r"are left can't be said: .*ec2:DescribeInstances") as failed:
        find_leftovers(account.clients(), "moltghost-dev", TAGS)
    assert "aws ec2 describe-instances --region us-east-1" in failed.value.hint
