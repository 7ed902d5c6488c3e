from __future__ import annotations

import time
from collections.abc import Sequence

from moltghost.aws.preflight import preflight
from moltghost.aws.preflight.probe import Context, Probe
from moltghost.aws.preflight.runner import run_probes
from moltghost.checks import Check, ok
from tests.aws.requests import request
from tests.aws.simulated import SimulatedAccount


def probe(name: str, seconds: float = 0, limit: float = 5) -> Probe:
    def ask(_context: Context) -> Sequence[Check]:
        time.sleep(seconds)
        return [ok(name, "done")]

    return Probe(name, (f"test:{name}",), ask, limit)


def context() -> Context:
    return Context(request(), SimulatedAccount().clients())


def test_probes_run_side_by_side_and_answer_in_their_own_order() -> None:
    start = time.monotonic()

    found = run_probes([probe(name, 0.2) for name in "abcdefgh"], context())

    assert [check.id for check in found] == list("abcdefgh")
    assert time.monotonic() - start < 1


def test_a_probe_that_hangs_costs_its_own_answer_and_is_named() -> None:
    start = time.monotonic()

    found = run_probes([probe("slow", 30, limit=0.2), probe("quick")], context())

    assert [check.status for check in found] == ["unknown", "ok"]
    assert "no answer within 0.2 s (asked: test:slow)" in found[0].found
    assert time.monotonic() - start < 2


def test_an_answer_after_its_own_limit_does_not_count() -> None:
    found = run_probes([probe("late", 0.3, limit=0.1), probe("long", 0.6)], context())

    assert [check.status for check in found] == ["unknown", "ok"]


def test_the_overall_limit_holds_for_all() -> None:
    found = run_probes([probe("a", 30), probe("b", 30)], context(), timeout_seconds=0.2)

    assert [check.status for check in found] == ["unknown", "unknown"]


def test_a_fault_of_a_check_itself_is_unknown_and_said_to_be_one() -> None:
    def ask(_context: Context) -> Sequence[Check]:
        raise KeyError("Zone")

    (found,) = run_probes([Probe("broken", (), ask)], context())

    assert found.status == "unknown"
    assert "KeyError: 'Zone'" in found.found


def test_preflight_asks_aws_side_by_side(account: SimulatedAccount) -> None:
    for operation in ("DescribeRegions", "DescribeKey", "HeadBucket", "DescribeClusterVersions"):
        account.hang(operation, 0.4)
    preflight(request(), account.clients())  # making clients takes its time once
    start = time.monotonic()

    preflight(request(), account.clients())

    assert time.monotonic() - start < 1.5


def test_a_service_that_hangs_leaves_its_check_unknown(account: SimulatedAccount) -> None:
    preflight(request(), account.clients())
    account.hang("DescribeKey", 20)

    found = preflight(request(), account.clients(), timeout_seconds=1)

    unknown = [check.id for check in found if check.status == "unknown"]
    assert unknown == ["kms-key"]
