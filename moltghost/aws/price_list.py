"""Reads what the Pricing API returns: a list of JSON texts, one per product."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from moltghost.errors import Failed

_OWN_WAY = "OnDemand"
_HINT = "the catalogue's dated prices serve meanwhile; report this with the message"


@dataclass(frozen=True)
class ListPrice:
    """A price as AWS lists it: dollars per hour, and the day of the list."""

    usd_per_hour: Decimal
    published: str


def read_price(instance_type: str, region: str, documents: Sequence[str]) -> ListPrice:
    """The on-demand price in a ``PriceList``, which must hold exactly one such product.

    Args:
        instance_type: that was asked for; a product of another type is an error.
        region: likewise.
        documents: the ``PriceList`` entries of all pages.

    Raises:
        Failed: it holds none or several, or is not built as documented.
    """
    what = f"the Pricing API's answer for {instance_type} in {region}"
    try:
        products = [json.loads(text) for text in documents]
        products = [each for each in products if _is_on_demand(each)]
        if len(products) != 1:
            raise Failed(f"{what} has {len(products)} products where one is expected", _HINT)
        attributes = products[0]["product"]["attributes"]
        if (attributes["instanceType"], attributes["regionCode"]) != (instance_type, region):
            raise Failed(f"{what} is about {attributes['instanceType']}", _HINT)
        dimension = _only(_only(products[0]["terms"]["OnDemand"])["priceDimensions"])
        usd = Decimal(dimension["pricePerUnit"]["USD"])
        if dimension["unit"] != "Hrs" or not usd.is_finite() or usd <= 0:
            raise Failed(f"{what} has no price per hour: {usd} USD per {dimension['unit']}", _HINT)
        return ListPrice(usd, str(products[0].get("publicationDate", ""))[:10])
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        raise Failed(
            f"{what} is not built as documented: {type(error).__name__}: {error}", _HINT
        ) from error


def _is_on_demand(product: Any) -> bool:
    """Capacity Blocks are products of their own, told apart by ``marketoption``."""
    return bool(product["product"]["attributes"].get("marketoption", _OWN_WAY) == _OWN_WAY)


def _only(entries: Any) -> Any:
    (entry,) = entries.values()
    return entry
