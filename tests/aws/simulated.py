"""A simulated AWS account in which all is well, and ways to spoil it.

Calls pass botocore's own validation of parameters; answers are validated against the service's
model before they are returned. Only the wire is missing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.validate import ParamValidator

from moltghost.aws.clients import Clients

ACCOUNT = "111122223333"
REGION = "us-east-1"
ZONES = ("use1-az1", "use1-az2", "use1-az4", "use1-az6")
OFFERED = {
    "g6e.2xlarge": ZONES,
    "p4de.24xlarge": ("use1-az4", "use1-az6"),
    "p5.4xlarge": (*ZONES, "use1-az3"),
    "m7i.large": ZONES,
}
QUOTAS = {
    "L-DB2E81BA": 768.0,
    "L-417A185B": 768.0,
    "L-1216C47A": 256.0,
    "L-3819A6DF": 0.0,
    "L-7212CCBC": 0.0,
    "L-C4BD4855": 0.0,
    "L-34B43A08": 5.0,
}
PRICES = {"g6e.2xlarge": "2.2420800000", "p5.4xlarge": "6.88", "m7i.large": "0.1008"}
Params = dict[str, Any]
Answer = dict[str, Any] | Callable[[Params], dict[str, Any]]


@dataclass(frozen=True)
class Fault:
    """An error of the service."""

    code: str
    message: str = "simulated"
    status: int = 400


def day(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


class SimulatedAccount:
    def __init__(self) -> None:
        self.quotas = dict(QUOTAS)
        self.calls: list[tuple[str, Params]] = []
        self._lock = threading.Lock()
        self._answers: dict[str, Answer | Fault | Exception] = self._healthy()
        self._delays: dict[str, float] = {}
        self.knocks: list[str] = []
        self._ways: dict[str, Exception | float] = {}

    def cut(self, host: str, how: Exception | float) -> None:
        """Have no way to a host ("" for all): a fault of botocore's, or seconds that pass."""
        self._ways[host] = how

    def knock(self, url: str) -> None:
        host = urlsplit(url).hostname or ""
        self.knocks.append(host)
        way = self._ways.get(host, self._ways.get(""))
        if isinstance(way, Exception):
            raise way
        time.sleep(way or 0)

    def answer(self, operation: str, answer: Answer) -> None:
        """Have an operation return this, or what this returns."""
        self._answers[operation] = answer

    def fail(self, operation: str, fault: Fault | Exception) -> None:
        """Have an operation fail; ``Fault`` is the service's, another error botocore's."""
        self._answers[operation] = fault

    def deny(self, operation: str, action: str = "") -> None:
        message = f"User is not authorized to perform: {action} on resource" if action else ""
        self.fail(operation, Fault("AccessDeniedException", message, 403))

    def hang(self, operation: str, seconds: float) -> None:
        self._delays[operation] = seconds

    def clients(self, region: str = REGION) -> Clients:
        """Clients that ask this account from now on."""
        _STAGE.account = self
        return _clients(region)

    def called(self, operation: str) -> list[Params]:
        return [params for name, params in self.calls if name == operation]

    def serve(self, model: Any, params: Params) -> tuple[Any, dict[str, Any]]:
        """The HTTP status and the parsed answer of a call."""
        with self._lock:
            self.calls.append((model.name, params))
        time.sleep(self._delays.get(model.name, 0))
        answer = self._answers.get(model.name)
        if answer is None:
            raise AssertionError(f"nothing is simulated for {model.name}")
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            try:
                answer = answer(params)
            except _FaultError as error:
                answer = error.fault
        if isinstance(answer, Fault):
            meta = {"HTTPStatusCode": answer.status, "HTTPHeaders": {}}
            error = {"Code": answer.code, "Message": answer.message}
            return SimpleNamespace(status_code=answer.status), {
                "Error": error,
                "ResponseMetadata": meta,
            }
        report = ParamValidator().validate(answer, model.output_shape)
        assert not report.has_errors(), report.generate_report()
        return SimpleNamespace(status_code=200), {**answer, "ResponseMetadata": {}}

    def _quota(self, params: Params) -> dict[str, Any]:
        if params["QuotaCode"] not in self.quotas:
            raise _FaultError(Fault("NoSuchResourceException"))
        return {"Quota": {"Value": self.quotas[params["QuotaCode"]]}}

    def _healthy(self) -> dict[str, Answer | Fault | Exception]:
        role = f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me"
        return {
            "GetCallerIdentity": {"Account": ACCOUNT, "Arn": role, "UserId": "AROA:me"},
            "DescribeRegions": {
                "Regions": [{"RegionName": REGION, "OptInStatus": "opt-in-not-required"}]
            },
            "DescribeAvailabilityZones": {
                "AvailabilityZones": [
                    {"ZoneId": zone, "State": "available"} for zone in (*ZONES, "use1-az3")
                ]
            },
            "DescribeInstanceTypeOfferings": offerings(OFFERED),
            "GetServiceQuota": self._quota,
            "GetAWSDefaultServiceQuota": {"Quota": {"Value": 0.0}},
            "DescribeInstances": instances(),
            "DescribeCapacityReservations": {"CapacityReservations": []},
            "DescribeSubnets": {"Subnets": []},
            "DescribeClusterVersions": cluster_version("STANDARD_SUPPORT", day(300), day(660)),
            "GetParameter": {"Parameter": {"Value": "ami-0123456789abcdef0"}},
            "DescribeImages": describe_images,
            "HeadBucket": {"BucketRegion": REGION},
            "DescribeKey": {"KeyMetadata": {"KeyId": "key-1", "KeyState": "Enabled"}},
            "GetRole": iam_role,
            "GetUser": lambda params: {"User": _identity("User", params["UserName"])},
            "GetPolicy": lambda params: {"Policy": {"Arn": params["PolicyArn"]}},
            "GetProducts": products(PRICES),
            "DescribeCluster": Fault("ResourceNotFoundException", status=404),
        }


class _Stage:
    """Whom the clients ask. Making clients takes seconds, so all tests share them."""

    account: SimulatedAccount

    @staticmethod
    def remember(params: Params, context: Params, **_: Any) -> None:
        context["api_params"] = dict(params)

    def serve(self, model: Any, context: Params, **_: Any) -> tuple[Any, dict[str, Any]]:
        return self.account.serve(model, context["api_params"])

    def knock(self, url: str) -> None:
        self.account.knock(url)


_STAGE = _Stage()


@cache
def _clients(region: str) -> Clients:
    def session() -> boto3.Session:
        made = boto3.Session(region_name=region)
        made.events.register("before-parameter-build", _STAGE.remember)
        made.events.register("before-call", _STAGE.serve)
        return made

    return Clients(region, session=session, knock=_STAGE.knock)


class _FaultError(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def iam_role(params: Params) -> dict[str, Any]:
    return {"Role": {**_identity("Role", params["RoleName"]), "AssumeRolePolicyDocument": "{}"}}


def _identity(kind: str, name: str) -> dict[str, Any]:
    arn = f"arn:aws:iam::{ACCOUNT}:{kind.lower()}/{name}"
    return {
        "Path": "/",
        f"{kind}Name": name,
        f"{kind}Id": "AIDA0123456789ABCDEF",
        "Arn": arn,
        "CreateDate": day(-9),
    }


def describe_images(params: Params) -> dict[str, Any]:
    """EC2 and ECR both have an operation of this name."""
    if "repositoryName" in params:
        return {"imageDetails": [{"repositoryName": params["repositoryName"]}]}
    return {"Images": [{"ImageId": params["ImageIds"][0], "State": "available"}]}


def cluster_version(
    status: str, standard: datetime, extended: datetime, version: str = "1.36"
) -> dict[str, Any]:
    return {
        "clusterVersions": [
            {
                "clusterVersion": version,
                "versionStatus": status,
                "endOfStandardSupportDate": standard,
                "endOfExtendedSupportDate": extended,
            }
        ]
    }


def offerings(offered: dict[str, tuple[str, ...]]) -> Callable[[Params], dict[str, Any]]:
    """Two pages, so that a caller who reads one only is found out."""

    def answer(params: Params) -> dict[str, Any]:
        assert params["LocationType"] == "availability-zone-id"
        wanted = params["Filters"][0]["Values"]
        rows = [
            {"InstanceType": kind, "Location": zone, "LocationType": "availability-zone-id"}
            for kind, zones in offered.items()
            if kind in wanted
            for zone in zones
        ]
        half = len(rows) // 2
        if params.get("NextToken") == "second":
            return {"InstanceTypeOfferings": rows[half:]}
        return {"InstanceTypeOfferings": rows[:half], "NextToken": "second"}

    return answer


def instances(*running: dict[str, Any]) -> Callable[[Params], dict[str, Any]]:
    """One instance a page."""

    def answer(params: Params) -> dict[str, Any]:
        page = int(params.get("NextToken", "0"))
        rest = {"NextToken": str(page + 1)} if page + 1 < len(running) else {}
        found = [{"Instances": [running[page]]}] if running else []
        return {"Reservations": found, **rest}

    return answer


def product(kind: str, usd: str = "1.5", region: str = REGION, **attributes: str) -> str:
    """A product as the Pricing API's user guide shows it."""
    return json.dumps(
        {
            "product": {
                "productFamily": "Compute Instance",
                "attributes": {"instanceType": kind, "regionCode": region, **attributes},
                "sku": "SKU",
            },
            "serviceCode": "AmazonEC2",
            "terms": {
                "OnDemand": {
                    "SKU.JRTCKXETXF": {
                        "priceDimensions": {
                            "SKU.JRTCKXETXF.6YS6EN2CT7": {
                                "unit": "Hrs",
                                "pricePerUnit": {"USD": usd},
                            }
                        },
                        "effectiveDate": "2026-11-01T00:00:00Z",
                    }
                },
                "Reserved": {"SKU.38NPMPTW36": {"priceDimensions": {}}},
            },
            "publicationDate": "2026-11-20T18:00:00Z",
        }
    )


def products(prices: dict[str, str]) -> Callable[[Params], dict[str, Any]]:
    def answer(params: Params) -> dict[str, Any]:
        filters = {each["Field"]: each["Value"] for each in params["Filters"]}
        kind = filters["instanceType"]
        found = [product(kind, prices[kind], filters["regionCode"])] if kind in prices else []
        return {"PriceList": found, "FormatVersion": "aws_v1"}

    return answer


def reservation(identifier: str = "cr-0123456789abcdef0", **changes: Any) -> dict[str, Any]:
    return {
        "CapacityReservationId": identifier,
        "InstanceType": "p5.4xlarge",
        "AvailabilityZoneId": "use1-az1",
        "ReservationType": "default",
        "State": "active",
        "TotalInstanceCount": 2,
        "AvailableInstanceCount": 2,
        **changes,
    }


def reservations(*rows: dict[str, Any]) -> Callable[[Params], dict[str, Any]]:
    def answer(params: Params) -> dict[str, Any]:
        if "CapacityReservationIds" not in params:
            return {"CapacityReservations": list(rows)}
        wanted = params["CapacityReservationIds"]
        found = [row for row in rows if row["CapacityReservationId"] in wanted]
        if not found:
            raise _FaultError(Fault("InvalidCapacityReservationId.NotFound"))
        return {"CapacityReservations": found}

    return answer
