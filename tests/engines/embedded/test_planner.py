"""What the planner makes of an object that is renamed to one that is still being deleted."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, cast

import pytest

from moltghost.engines.embedded.kubernetes.planner import Planner
from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.embedded.plan import Plan
from moltghost.engines.interface import Op
from moltghost.engines.kubernetes.cluster import Cluster
from moltghost.engines.pulumi.state import ResourceState
from moltghost.errors import Refused
from moltghost.kube.client import ResourceType
from moltghost.kube.errors import Forbidden, api_error
from tests.engines.fake_api import FakeApi

STACK = "a.local"
TYPE = "kubernetes:core/v1:ConfigMap"
URN = f"urn:pulumi:{STACK}::moltghost::{TYPE}::settings"


def config_map(name: str, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "agent-a", **metadata},
    }


class Api(FakeApi):
    """Its objects that are being deleted are gone once somebody has looked again."""

    watched = 0

    def resource_type(self, api_version: str, kind: str) -> ResourceType:
        return ResourceType(api_version, kind, "configmaps", namespaced=True)

    def watch(self, *_: Any, name: str, **__: Any) -> Any:
        self.watched += 1
        return iter([("DELETED", self.objects.pop(("ConfigMap", name)))])


@dataclass
class FakeConnection:
    """A cluster whose connection is known."""

    api: Api
    known: bool = True

    def client(self) -> Api:
        return self.api


def live(name: str, *, stack: str = STACK, leaving: bool = False) -> dict[str, Any]:
    gone = {"deletionTimestamp": "2026-11-22T11:00:00Z"} if leaving else {}
    notes = {"moltghost.dev/stack": stack}
    return config_map(name, uid=name, resourceVersion="1", annotations=notes, **gone)


def renamed(api: Api, *, protect: bool = False, check: bool = False) -> Plan:
    """Plan to call the object `new` that the state has as `old`."""
    goal = Goal(urn=URN, type=TYPE, name="settings", custom=True, inputs=config_map("new"))
    old = ResourceState(
        urn=URN,
        type=TYPE,
        custom=True,
        id="agent-a/old",
        inputs=config_map("old"),
        outputs=live("old"),
        protect=protect,
    )
    planner = Planner(cast("Cluster", FakeConnection(api)), STACK, threading.Event())
    return planner.plan(goal, old, begun=frozenset(), check=check)


def test_the_one_that_leaves_is_waited_for_and_the_old_one_is_replaced() -> None:
    api = Api(live("old"), live("new", leaving=True))

    plan = renamed(api)

    assert (plan.op, plan.live) == (Op.REPLACE, None)
    assert plan.note == "ConfigMap agent-a/old is deleted afterwards"
    assert api.watched == 1


def test_a_preview_doesnt_wait() -> None:
    api = Api(live("old"), live("new", leaving=True))

    assert renamed(api, check=True).op is Op.REPLACE
    assert api.watched == 0


def test_a_protected_one_keeps_its_name() -> None:
    api = Api(live("old"), live("new", leaving=True))

    with pytest.raises(Refused, match="agent-a/old is protected and would be replaced by"):
        renamed(api, protect=True)
    assert api.watched == 0


def test_one_that_leaves_and_was_never_ours_is_refused() -> None:
    api = Api(live("old"), live("new", stack="b.local", leaving=True))

    with pytest.raises(Refused, match=r"exists already, and it belongs to stack b\.local"):
        renamed(api)
    assert api.watched == 0


class Unreadable(Api):
    """It says nothing about any object to who asks."""

    def get(self, *_arguments: Any, **_options: Any) -> Any:
        raise api_error(403, "Forbidden", "you may not get configmaps")

    def create(self, body: Any, **_: Any) -> Any:
        return body


def planned(*, old: bool, check: bool) -> Plan:
    goal = Goal(urn=URN, type=TYPE, name="settings", custom=True, inputs=config_map("new"))
    state = ResourceState(
        urn=URN, type=TYPE, custom=True, id="agent-a/new", inputs=config_map("new"), outputs={}
    )
    planner = Planner(cast("Cluster", FakeConnection(Unreadable())), STACK, threading.Event())
    return planner.plan(goal, state if old else None, begun=frozenset(), check=check)


def test_a_preview_takes_a_new_object_that_it_may_not_read_as_one_that_isnt_there() -> None:
    assert planned(old=False, check=True).op is Op.CREATE


@pytest.mark.parametrize(("old", "check"), [(True, True), (True, False), (False, False)])
def test_an_object_that_may_not_be_read_is_an_error_where_it_must_be_known(
    old: bool, check: bool
) -> None:
    with pytest.raises(Forbidden, match="you may not get configmaps"):
        planned(old=old, check=check)
