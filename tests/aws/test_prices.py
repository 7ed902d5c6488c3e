from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from moltghost.aws.price_list import read_price
from moltghost.aws.prices import prices, prices_at_hand
from moltghost.errors import Failed
from tests.aws.simulated import REGION, Fault, SimulatedAccount, product

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_price_of_the_api_says_its_day_and_source(
    account: SimulatedAccount, tmp_path: Path
) -> None:
    found = prices(["p5.4xlarge"], account.clients(), cache=tmp_path, now=NOW)["p5.4xlarge"]

    assert (found.usd_per_hour, found.source) == (Decimal("6.88"), "pricing-api")
    assert (found.as_of, found.region, found.note) == ("2026-11-20", REGION, "")


def test_the_api_is_asked_with_the_filters_that_leave_one_product(
    account: SimulatedAccount, tmp_path: Path
) -> None:
    prices(["p5.4xlarge"], account.clients(), cache=tmp_path, now=NOW)

    (params,) = account.called("GetProducts")
    assert params["ServiceCode"] == "AmazonEC2"
    assert {each["Type"] for each in params["Filters"]} == {"TERM_MATCH"}
    assert {each["Field"]: each["Value"] for each in params["Filters"]} == {
        "instanceType": "p5.4xlarge",
        "regionCode": REGION,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }


def test_answers_are_kept_a_day_and_then_asked_for_again(
    account: SimulatedAccount, tmp_path: Path
) -> None:
    for hours in (0, 23, 25):
        now = NOW + timedelta(hours=hours)
        prices(["p5.4xlarge", "m7i.large"], account.clients(), cache=tmp_path, now=now)

    assert len(account.called("GetProducts")) == 4
    assert set(json.loads((tmp_path / f"{REGION}.json").read_text())) == {"p5.4xlarge", "m7i.large"}


@pytest.mark.parametrize("content", ["no json", "[]", '{"p5.4xlarge": {"usd_per_hour": "x"}}'])
def test_a_cache_that_can_not_be_read_is_no_cache(
    account: SimulatedAccount, tmp_path: Path, content: str
) -> None:
    (tmp_path / f"{REGION}.json").write_text(content)

    found = prices(["p5.4xlarge"], account.clients(), cache=tmp_path, now=NOW)

    assert found["p5.4xlarge"].source == "pricing-api"


@pytest.mark.parametrize(
    ("fault", "note"),
    [
        (Fault("AccessDeniedException", status=403), "pricing:GetProducts was denied"),
        (Fault("ThrottlingException"), "throttled"),
        (EndpointConnectionError(endpoint_url="https://api.pricing"), "can't be reached"),
    ],
)
def test_without_the_api_the_dated_table_serves_and_says_why(
    account: SimulatedAccount, tmp_path: Path, fault: Any, note: str
) -> None:
    account.fail("GetProducts", fault)

    found = prices(["p5.4xlarge", "g6e.xlarge"], account.clients(), cache=tmp_path, now=NOW)

    assert {each.source for each in found.values()} == {"catalogue"}
    assert {each.as_of for each in found.values()} == {"2026-07-20"}
    assert note in found["g6e.xlarge"].note
    assert len(account.called("GetProducts")) == 1
    assert not list(tmp_path.iterdir())


def test_a_price_of_the_table_for_another_region_is_marked_as_one(tmp_path: Path) -> None:
    found = prices_at_hand(["p5.4xlarge"], "eu-north-1", cache=tmp_path)["p5.4xlarge"]

    assert (found.region, found.note) == (REGION, "the price is of us-east-1, not eu-north-1")


def test_prices_at_hand_are_what_was_asked_for_within_a_day_and_else_the_tables(
    account: SimulatedAccount, tmp_path: Path
) -> None:
    prices(["p5.4xlarge"], account.clients(), cache=tmp_path, now=NOW)
    calls = len(account.calls)

    kinds = ["p5.4xlarge", "g6e.xlarge", "x99.large"]
    found = prices_at_hand(kinds, REGION, cache=tmp_path, now=NOW)

    sources = {kind: price.source for kind, price in found.items()}
    assert sources == {"p5.4xlarge": "pricing-api", "g6e.xlarge": "catalogue"}
    assert len(account.calls) == calls


def test_a_type_without_any_price_is_left_out(account: SimulatedAccount, tmp_path: Path) -> None:
    assert prices(["x99.large"], account.clients(), cache=tmp_path, now=NOW) == {}


def test_capacity_blocks_are_not_mistaken_for_the_price_on_demand() -> None:
    block = product("p5.4xlarge", "0.0", marketoption="CapacityBlock")
    usual = product("p5.4xlarge", "6.88", marketoption="OnDemand")

    assert read_price("p5.4xlarge", REGION, [block, usual]).usd_per_hour == Decimal("6.88")


def spoiled(**changes: Any) -> str:
    return json.dumps({**json.loads(product("p5.4xlarge")), **changes})


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([], "has 0 products where one is expected"),
        ([product("p5.4xlarge"), product("p5.4xlarge")], "has 2 products"),
        ([product("p5.48xlarge")], "is about p5.48xlarge"),
        ([product("p5.4xlarge", region="us-west-2")], "is about p5.4xlarge"),
        ([product("p5.4xlarge", "0.0000000000")], "has no price per hour: 0E-10 USD per Hrs"),
        ([product("p5.4xlarge", "NaN")], "has no price per hour"),
        ([product("p5.4xlarge", "much")], "not built as documented: InvalidOperation"),
        (["{"], "not built as documented: JSONDecodeError"),
        (["[]"], "not built as documented: TypeError"),
        ([spoiled(terms={})], "not built as documented: KeyError: 'OnDemand'"),
        ([spoiled(terms={"OnDemand": {}})], "not built as documented: ValueError"),
        ([spoiled(terms={"OnDemand": []})], "not built as documented: AttributeError"),
    ],
)
def test_an_answer_that_is_not_one_price_is_an_error(documents: list[str], message: str) -> None:
    with pytest.raises(Failed, match=r"the Pricing API's answer for p5\.4xlarge") as error:
        read_price("p5.4xlarge", REGION, documents)

    assert message in error.value.message
