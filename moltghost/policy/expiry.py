"""Exemptions that end soon: said weeks before they turn into violations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from moltghost.policy.config import PackConfig
from moltghost.policy.findings import Expiring, Violation

WARNING_TIME = timedelta(weeks=6)  # enough to mend or to renew it in the course of work


def expiring(
    config: PackConfig, exempted: Sequence[Violation], on: date | None = None
) -> tuple[Expiring, ...]:
    """The exemptions that cover something and end within six weeks, the first to end first.

    Args:
        config: where they are.
        exempted: what they cover.
        on: the day, by default this one in UTC.
    """
    day = on or datetime.now(UTC).date()
    found = (each for violation in exempted for each in _ending(config, violation, day))
    return tuple(sorted(dict.fromkeys(found), key=lambda each: (each.days, each.policy)))


def _ending(config: PackConfig, violation: Violation, day: date) -> Iterator[Expiring]:
    said = f"{violation.resource}: {violation.message}"
    for entry in config.exemptions(violation.policy):
        place = "/".join(filter(None, (entry.get("namespace"), entry["name"])))
        covers = said.endswith(f"{place}: {entry['problem']}")
        left = date.fromisoformat(entry["expires"]) - day
        if covers and timedelta() <= left <= WARNING_TIME:
            yield Expiring(
                policy=violation.policy,
                stack=violation.stack,
                exempt=f"{entry['kind']} {place} ({entry['problem']})",
                expires=entry["expires"],
                days=left.days,
                reason=entry["reason"],
            )
