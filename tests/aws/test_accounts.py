"""`moltghost preflight` on eight accounts: what a person reads, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from moltghost.cli.main import cli
from moltghost.errors import Refused
from tests.aws.projects import BLOCK, RESERVED, project
from tests.aws.simulated import (
    OFFERED,
    Fault,
    SimulatedAccount,
    day,
    offerings,
    reservation,
    reservations,
)
from tests.kube.clusters import pool

Spoil = Callable[[SimulatedAccount], None]
GPU_QUOTAS = {"L-DB2E81BA": 0.0, "L-417A185B": 0.0}


@pytest.fixture
def preflight(
    tmp_path: Path, account: SimulatedAccount, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    monkeypatch.setattr("moltghost.aws.preflight.Clients", account.clients)
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path / "state"))

    def run(*arguments: str, more: str = "") -> Result:
        folder = project(tmp_path, more)
        return CliRunner().invoke(
            cli, ["-C", str(folder), "preflight", *arguments], standalone_mode=False
        )

    return run


def new_account(account: SimulatedAccount) -> None:
    account.quotas.update({**GPU_QUOTAS, "L-1216C47A": 5.0})


def not_offered(account: SimulatedAccount) -> None:
    account.answer(
        "DescribeInstanceTypeOfferings", offerings({**OFFERED, "p5.4xlarge": ("use1-az6",)})
    )


def reserved_elsewhere(account: SimulatedAccount) -> None:
    account.answer(
        "DescribeCapacityReservations", reservations(reservation(AvailabilityZoneId="use1-az6"))
    )


def ending_block(account: SimulatedAccount) -> None:
    row = reservation(
        AvailabilityZoneId="use1-az2", ReservationType="capacity-block", EndDate=day(0.8)
    )
    account.answer("DescribeCapacityReservations", reservations(row))


def no_right_to_quotas(account: SimulatedAccount) -> None:
    account.deny("GetServiceQuota", "servicequotas:GetServiceQuota")


def spot_only(account: SimulatedAccount) -> None:
    account.quotas.update({**GPU_QUOTAS, "L-3819A6DF": 64.0, "L-C4BD4855": 384.0})


def throttled(account: SimulatedAccount) -> None:
    for operation in ("DescribeInstances", "DescribeInstanceTypeOfferings", "GetServiceQuota"):
        account.fail(operation, Fault("RequestLimitExceeded", status=503))


def well(_account: SimulatedAccount) -> None:
    pass


# what spoils it, more of the spec, exit code, sentences that must be there
ACCOUNTS: dict[str, tuple[Spoil, str, int, list[str]]] = {
    "new": (
        new_account,
        "",
        2,
        [
            "Running On-Demand P instances: limit 0 vCPU, 0 in use; 16 vCPU needed now, 48 with",
            "do: ask for more (AWS decides within hours to days): aws "
            "service-quotas request-service-quota-increase --service-code ec2 --quota-code "
            "L-417A185B --desired-value 48 --region us-east-1",
            "warning quota.L-1216C47A: Running On-Demand Standard",
            "environment prod can't come up: 2 blockers, 1 warning",
        ],
    ),
    "not-offered": (
        not_offered,
        "",
        2,
        ["do: add one of use1-az6 to the environment's zones"],
    ),
    "reserved-elsewhere": (
        reserved_elsewhere,
        RESERVED,
        2,
        [
            "it is in zone use1-az6, but pool h100 is in use1-az2, use1-az4",
            "a reservation can't be moved",
        ],
    ),
    "ending-block": (
        ending_block,
        BLOCK,
        0,
        [
            "usable until",
            "do: move its agents before (moltghost agent move)",
            "nothing was found that stops environment prod; look at 1 warning",
        ],
    ),
    "no-right-to-quotas": (
        no_right_to_quotas,
        "",
        0,
        [
            "16 vCPU needed now, 48 with everything full and surging (pool h100); "
            "no permission: servicequotas:GetServiceQuota was denied",
            "do: have servicequotas:GetServiceQuota granted",
        ],
    ),
    "spot-only": (
        spot_only,
        "",
        2,
        ["the 384 vCPU of spot quota L-C4BD4855 can't be used for on-demand nodes"],
    ),
    "well": (well, "", 0, ["nothing stops environment prod: all 30 checks are ok"]),
    "throttled": (
        throttled,
        "",
        0,
        [
            "AWS throttled DescribeInstanceTypeOfferings (RequestLimitExceeded), after retries",
            "do: wait a minute and run it again",
            "nothing was found that stops environment prod; look at 5 unknowns",
        ],
    ),
}


@pytest.mark.parametrize("name", ACCOUNTS)
def test_preflight_says_what_a_person_needs(
    name: str, account: SimulatedAccount, preflight: Callable[..., Result]
) -> None:
    spoil, more, code, sentences = ACCOUNTS[name]
    spoil(account)

    result = preflight("prod", more=more)

    text = " ".join(result.output.split(" "))
    assert [each for each in sentences if each not in flat(text) and each not in text] == []
    assert (result.return_value or 0) == code, text


def flat(text: str) -> str:
    """The text without the folding of the table."""
    return " ".join(text.split())


def test_only_what_is_not_ok_asks_for_something(preflight: Callable[..., Result]) -> None:
    assert "do: " not in preflight("prod").output


def test_what_must_be_done_is_the_last_that_is_read(
    account: SimulatedAccount, preflight: Callable[..., Result]
) -> None:
    new_account(account)
    text = preflight("prod").output
    order = ["kubernetes-version", "with every pool full", "\nwarning ", "\nblocker ", "can't come"]
    assert [text.index(each) for each in order] == sorted(text.index(each) for each in order)
    # A command stands on one line, to be copied.
    assert text.count("--region us-east-1\n") == 3


def test_json_has_the_keys_that_scripts_rely_on(
    account: SimulatedAccount, preflight: Callable[..., Result]
) -> None:
    new_account(account)

    result = preflight("prod", "--json")

    checks = json.loads(result.output)["checks"]
    assert {tuple(each) for each in checks} == {("id", "status", "found", "remedy")}
    assert {each["status"] for each in checks} == {"ok", "warning", "blocker"}
    assert result.return_value == 2


CLUSTER = {"cluster": {"status": "ACTIVE", "version": "1.36", "endpoint": "https://127.0.0.1:1"}}


def by_id(result: Result) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in json.loads(result.output)["checks"]}


def test_an_agent_asks_for_its_own_node_and_perhaps_one_for_its_runtime(
    account: SimulatedAccount, preflight: Callable[..., Result]
) -> None:
    account.answer("DescribeCluster", CLUSTER)

    found = by_id(preflight("prod", "--agent", "my-agent", "--json"))

    assert "16 vCPU needed now" in found["quota.L-417A185B"]["found"]
    assert "0 vCPU needed now, 2 with" in found["quota.L-1216C47A"]["found"]
    assert "quota.L-DB2E81BA" not in found
    assert "image.dcgm-exporter" not in found
    assert found["endpoint"]["status"] == "blocker"
    assert found["agent"]["status"] == "unknown"


def test_an_agent_needs_room_in_its_pool_where_the_cluster_answers(
    preflight: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    full = {"h100": pool("h100", 3, 3)}
    monkeypatch.setattr("moltghost.environments.environment.Environment.client", None)
    monkeypatch.setattr("moltghost.lifecycle.agents.running.list_agents", lambda *_: [])
    monkeypatch.setattr("moltghost.lifecycle.agents.room.pool_statuses", lambda _: full)

    found = by_id(preflight("prod", "--agent", "my-agent", "--json"))

    assert found["pool.h100"]["status"] == "blocker"
    assert "agent" not in found


def test_an_agent_on_reserved_nodes_needs_no_quota(
    account: SimulatedAccount, preflight: Callable[..., Result]
) -> None:
    account.quotas["L-417A185B"] = 0.0
    account.answer(
        "DescribeCapacityReservations", reservations(reservation(AvailabilityZoneId="use1-az2"))
    )

    found = by_id(preflight("prod", "--agent", "my-agent", "--json", more=RESERVED))

    assert found["reserved.h100"]["status"] == "ok"
    assert "0 vCPU needed now" in found["quota.L-417A185B"]["found"]


def test_a_stack_is_no_environment(preflight: Callable[..., Result]) -> None:
    result = preflight("my-agent.prod")

    assert "my-agent.prod is a stack, not an environment" in str(result.exception)
    assert "moltghost preflight prod --agent my-agent" in str(result.exception)


def test_the_cost_of_an_environment_is_shown_with_its_prices_sources(
    preflight: Callable[..., Result],
) -> None:
    text = flat(preflight("prod").output)

    assert "NAT gateways 2 about 0.090 us-east-1" in text
    assert "pool h100 (p5.4xlarge) 3 20.640 pricing-api of 2026-11-20" in text
    assert "0.60 $/h (435.87 $/month) with every pool empty" in text


def test_the_cost_in_json_adds_up(preflight: Callable[..., Result]) -> None:
    cost = json.loads(preflight("prod", "--json").output)["cost"]

    total = sum(line["usd_per_hour"] for line in cost["lines"])
    assert total == pytest.approx(cost["full_usd_per_hour"])
    assert cost["idle_usd_per_month"] == pytest.approx(435.87)
    assert cost["unpriced"] == []


def test_up_of_an_environment_asks_first_and_stops_at_a_blocker(
    tmp_path: Path, account: SimulatedAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moltghost.aws.preflight.Clients", account.clients)
    new_account(account)
    folder = project(tmp_path)
    with pytest.raises(Refused, match="preflight found what stops this") as refused:
        CliRunner().invoke(
            cli,
            ["-C", str(folder), "up", "prod", "--yes"],
            standalone_mode=False,
            catch_exceptions=False,
        )
    assert "L-417A185B" in str(refused.value)
    assert "aws service-quotas request-service-quota-increase" in refused.value.hint
