"""Whether AWS's endpoints are reached: what is asked, and what a person is told."""

from __future__ import annotations

import socket
import time
from typing import Any, NoReturn

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    SSLError,
)
from urllib3.util import connection

from moltghost.aws.clients import Clients
from moltghost.aws.preflight.apis import APIS, CALLED_BY_UP
from moltghost.aws.preflight.probe import Context
from moltghost.aws.preflight.runner import run_probes
from moltghost.checks import Check
from tests.aws.requests import request
from tests.aws.simulated import REGION, SimulatedAccount
from tests.components.aws_stacks import declared

KMS, PRICES = f"kms.{REGION}.amazonaws.com", f"api.pricing.{REGION}.amazonaws.com"
URL = f"https://{KMS}"
# Of Pulumi's modules, which services make their resources.
SERVICES = {
    "vpc": "ec2",
    "route53": "route53resolver",
    "cloudwatch/logGroup": "logs",
    "cloudwatch/eventRule": "events",
    "cloudwatch/eventTarget": "events",
}


def asked(account: SimulatedAccount, **changes: Any) -> dict[str, Check]:
    found = run_probes([APIS], Context(request(**changes), account.clients()))
    return {check.id: check for check in found}


def refused(
    text: str = "<pool>: Failed: [Errno 111] Connection refused",
) -> EndpointConnectionError:
    return EndpointConnectionError(endpoint_url=URL, error=OSError(text))


@pytest.mark.parametrize(
    ("scope", "stacks"),
    [("environment", ("prod", "platform.prod", "capacity")), ("agent", ("agent",))],
)
def test_every_service_that_makes_a_resource_is_asked(scope: str, stacks: tuple[str, ...]) -> None:
    tokens = {
        each.token.split(":")[1]
        for stack in stacks
        for each in declared(stack)
        if each.token.startswith("aws:")
    }
    made = {SERVICES.get(token) or token.partition("/")[0] for token in tokens}
    assert set(CALLED_BY_UP[scope]) == {SERVICES.get(each, each) for each in made} | {"sts"}


def test_endpoints_that_answer_are_one_line(account: SimulatedAccount) -> None:
    assert {name: check.found for name, check in asked(account).items()} == {
        "apis": "18 of AWS's 18 endpoints answer here"
    }
    assert {KMS, PRICES, "iam.amazonaws.com", "budgets.amazonaws.com"} <= set(account.knocks)


# host, scope, how it is cut, status, what the finding says, what the remedy says
CUTS: list[tuple[str, str, Exception, str, str, str]] = [
    (KMS, "environment", refused(), "blocker", "Connection refused", f"reach {KMS}:443"),
    (KMS, "agent", refused(), "warning", "Connection refused", f"reach {KMS}:443"),
    (PRICES, "environment", refused(), "warning", "can't be reached from here", "HTTPS_PROXY"),
    (
        KMS,
        "environment",
        SSLError(endpoint_url=URL, error=OSError("self-signed certificate")),
        "blocker",
        f"TLS with {KMS} fails: self-signed",
        "AWS_CA_BUNDLE",
    ),
    (
        KMS,
        "environment",
        ProxyConnectionError(proxy_url="http://proxy:3128"),
        "blocker",
        'proxy URL: "http://proxy:3128"',
        f"let HTTPS to {KMS} through, or add it to NO_PROXY",
    ),
    (
        KMS,
        "environment",
        ConnectTimeoutError(endpoint_url=URL),
        "unknown",
        "no answer in time",
        "network, proxy and VPN",
    ),
]


@pytest.mark.parametrize(("host", "scope", "how", "status", "found", "remedy"), CUTS)
def test_an_endpoint_that_does_not_answer_is_named_with_what_to_do(
    account: SimulatedAccount,
    host: str,
    scope: str,
    how: Exception,
    status: str,
    found: str,
    remedy: str,
) -> None:
    account.cut(host, how)

    checks = asked(account, scope=scope)

    (bad,) = (check for name, check in checks.items() if name != "apis")
    assert bad.id == ("api.kms" if host == KMS else "api.pricing")
    assert (bad.status, checks["apis"].status) == (status, "ok")
    assert found in bad.found
    assert remedy in bad.remedy


def test_a_machine_without_a_way_out_is_told_once(account: SimulatedAccount) -> None:
    account.cut("", refused())

    (only,) = asked(account).values()

    assert (only.id, only.status) == ("apis", "blocker")
    assert "none of AWS's 18 endpoints answers here: budgets.amazonaws.com can't" in only.found


def test_endpoints_are_asked_side_by_side(account: SimulatedAccount) -> None:
    asked(account)  # making clients takes its time once
    account.cut("", 0.3)
    start = time.monotonic()

    assert asked(account)["apis"].status == "ok"

    assert time.monotonic() - start < 2


def test_an_endpoint_that_hangs_costs_its_own_answer(
    account: SimulatedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(account)
    monkeypatch.setattr("moltghost.aws.preflight.apis._SECONDS", 1.0)
    account.cut(KMS, 20.0)

    found = asked(account)

    assert found["apis"].found == "17 of AWS's 18 endpoints answer here"
    assert found["api.kms"].status == "unknown"
    assert "no answer within 1 s (asked: the network)" in found["api.kms"].found


@pytest.mark.parametrize(
    ("code", "status"), [(socket.EAI_NONAME, "blocker"), (socket.EAI_AGAIN, "unknown")]
)
def test_a_name_that_is_not_there_is_told_from_a_resolver_that_did_not_answer(
    loopback: None, monkeypatch: pytest.MonkeyPatch, code: int, status: str
) -> None:
    def connect(*_: Any, **__: Any) -> NoReturn:
        raise socket.gaierror(code, "no answer")

    monkeypatch.setattr(connection, "create_connection", connect)

    found = run_probes([APIS], Context(request(), Clients(REGION)))

    assert [(check.id, check.status) for check in found] == [("apis", status)]
