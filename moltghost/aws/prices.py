"""On-demand prices of EC2 types: from the Pricing API, or from the catalogue's dated table.

Every price says where it comes from and of which day it is. Answers of the API are kept a day in
the cache folder. The catalogue knows one region only; for another its price is marked as such.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from moltghost import paths
from moltghost.aws.clients import Clients
from moltghost.aws.price_list import read_price
from moltghost.aws_errors import trouble
from moltghost.errors import Failed
from moltghost.files import write_text
from moltghost.models import instance_types, price_source

PERMISSIONS = ("pricing:GetProducts",)
_SIDE_BY_SIDE = 8
_CACHE_LIFE = timedelta(days=1)
# The filters that leave one product: plain Linux, shared tenancy, bought by the hour.
_FILTERS = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}


@dataclass(frozen=True, kw_only=True)
class Price:
    """An hourly price.

    Attributes:
        instance_type: what costs it.
        region: where it holds; not the one asked for where only the catalogue had a price.
        usd_per_hour: Linux, on demand, the whole node.
        as_of: day of the price list.
        source: ``pricing-api`` or ``catalogue``.
        note: why it is the catalogue's, or that it is another region's; else empty.
    """

    instance_type: str
    region: str
    usd_per_hour: Decimal
    as_of: str
    source: Literal["pricing-api", "catalogue"]
    note: str = ""


def prices(
    types: Sequence[str],
    clients: Clients,
    *,
    cache: Path | None = None,
    now: datetime | None = None,
) -> dict[str, Price]:
    """Prices of the types in the clients' region; a type that has none anywhere is left out.

    Args:
        types: EC2 instance types.
        clients: whose region counts.
        cache: folder to keep the API's answers in; by default below the cache folder.
        now: the time, for the age of what is kept.
    """
    moment = now or datetime.now(UTC)
    file = _cache_file(cache, clients.region)
    kept = _read_cache(file, moment)
    asked = _ask_all([kind for kind in dict.fromkeys(types) if kind not in kept], clients, moment)
    _write_cache(file, asked, moment)
    known = {**kept, **asked}
    return {kind: known[kind] for kind in types if kind in known}


def _ask_all(missing: Sequence[str], clients: Clients, now: datetime) -> dict[str, Price]:
    """The first alone: where AWS doesn't answer it, the others aren't worth the wait."""
    if not missing:
        return {}
    first, *others = missing
    try:
        answers = [_ask(first, clients, now)]
        with ThreadPoolExecutor(max_workers=_SIDE_BY_SIDE) as pool:
            answers += pool.map(lambda kind: _ask(kind, clients, now), others)
    except (BotoCoreError, ClientError) as error:
        reason = trouble(error, PERMISSIONS).found
        answers = [_of_catalogue(kind, clients.region, reason) for kind in missing]
    return {price.instance_type: price for price in answers if price}


def _ask(kind: str, clients: Clients, now: datetime) -> Price | None:
    """The API's price; the catalogue's where this one answer can't be used."""
    filters = {"instanceType": kind, "regionCode": clients.region, **_FILTERS}
    pages = (
        clients.pricing()
        .get_paginator("get_products")
        .paginate(
            ServiceCode="AmazonEC2",
            Filters=[
                {"Type": "TERM_MATCH", "Field": field, "Value": value}
                for field, value in filters.items()
            ],
        )
    )
    documents = [text for page in pages for text in page["PriceList"]]
    try:
        listed = read_price(kind, clients.region, documents)
    except Failed as error:
        return _of_catalogue(kind, clients.region, error.message)
    return Price(
        instance_type=kind,
        region=clients.region,
        usd_per_hour=listed.usd_per_hour,
        as_of=listed.published or f"{now:%Y-%m-%d}",
        source="pricing-api",
    )


def prices_at_hand(
    types: Sequence[str], region: str, *, cache: Path | None = None, now: datetime | None = None
) -> dict[str, Price]:
    """The same without asking AWS: what was asked for within a day, else the catalogue's."""
    kept = _read_cache(_cache_file(cache, region), now or datetime.now(UTC))
    found = {kind: kept.get(kind) or _of_catalogue(kind, region, "") for kind in types}
    return {kind: price for kind, price in found.items() if price}


def _cache_file(cache: Path | None, region: str) -> Path:
    return (cache or paths.cache_home() / "prices") / f"{region}.json"


def _of_catalogue(kind: str, region: str, reason: str) -> Price | None:
    facts, terms = instance_types().get(kind), price_source()
    if facts is None or facts.usd_per_hour is None:
        return None
    elsewhere = f"the price is of {terms.region}, not {region}" if region != terms.region else ""
    return Price(
        instance_type=kind,
        region=terms.region,
        usd_per_hour=facts.usd_per_hour,
        as_of=terms.as_of,
        source="catalogue",
        note="; ".join(part for part in (reason, elsewhere) if part),
    )


def _read_cache(file: Path, now: datetime) -> dict[str, Price]:
    """Prices of the API that are younger than a day; a file that can't be read counts as none."""
    kept: dict[str, Price] = {}
    for kind, record in _entries(file).items():
        try:
            age = now - datetime.fromisoformat(record["fetched"])
            if timedelta(0) <= age < _CACHE_LIFE:
                kept[kind] = Price(
                    instance_type=kind,
                    region=file.stem,
                    usd_per_hour=Decimal(record["usd_per_hour"]),
                    as_of=record["as_of"],
                    source="pricing-api",
                )
        except (KeyError, TypeError, ValueError, ArithmeticError):
            continue
    return kept


def _entries(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_cache(file: Path, new: dict[str, Price], now: datetime) -> None:
    fresh = {
        kind: {
            "usd_per_hour": str(price.usd_per_hour),
            "as_of": price.as_of,
            "fetched": now.isoformat(),
        }
        for kind, price in new.items()
        if price.source == "pricing-api"
    }
    if not fresh:
        return
    with suppress(OSError):  # a cache that can't be written costs a call next time, nothing else
        write_text(file, json.dumps({**_entries(file), **fresh}, indent=1), durable=False)
