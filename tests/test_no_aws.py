"""No test can call AWS, wherever it is: neither this process nor one that it starts."""

from __future__ import annotations

import subprocess
import sys

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from moltghost.aws.clients import Clients

_ASK = "import boto3; boto3.client('sts', region_name='us-east-1').get_caller_identity()"


@pytest.mark.parametrize("service", ["sts", "ec2", "eks", "s3", "pricing"])
def test_a_client_of_this_process_reaches_nobody(service: str) -> None:
    client = boto3.client(service, region_name="us-east-1")
    assert client.meta.endpoint_url == "http://127.0.0.1:9"


@pytest.mark.parametrize("service", ["kms", "budgets"])
def test_a_knock_at_an_endpoint_ends_there_too(service: str) -> None:
    clients = Clients("us-east-1")
    assert clients.address(service) == "http://127.0.0.1:9"
    with pytest.raises(EndpointConnectionError, match=r"http://127\.0\.0\.1:9"):
        clients.knock(clients.address(service))


def test_a_call_ends_at_a_closed_port_of_this_machine() -> None:
    with pytest.raises(EndpointConnectionError, match=r"http://127\.0\.0\.1:9"):
        boto3.client("sts", region_name="us-east-1").get_caller_identity()


def test_a_process_that_a_test_starts_reaches_nobody_either() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASK], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert 'Could not connect to the endpoint URL: "http://127.0.0.1:9/"' in done.stderr
