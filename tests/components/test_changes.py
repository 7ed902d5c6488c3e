"""What differs between two plans of one agent, and what never does."""

from __future__ import annotations

import json
from functools import cache
from itertools import permutations, product
from typing import Any

import pytest

from moltghost.errors import Refused
from moltghost.models.catalogue import models
from moltghost.planning.environment import WeightsStore
from moltghost.planning.isolation import plan_isolation
from tests.components.cases import AGENTS, agent, all_containers, options, pod_of, rendered
from tests.examples import agent_plan, agent_values, update_plan
from tests.rendering import Rendered, objects

# Pausing ends pods without replacing any: it is no restart.
PAIRS = list(permutations([case for case in AGENTS if case != "paused"], 2))


def selectors(case: str) -> dict[str, Any]:
    return {
        f"{each.kind}/{each.object_name}": each.inputs["spec"]["selector"]
        for each in agent(case)
        if "selector" in each.inputs.get("spec", {})
    }


def test_selectors_never_change() -> None:
    expected = selectors("readme")
    assert {"Deployment/model-server", "Deployment/runtime", "Service/model-server"} <= set(
        expected
    )
    for case in AGENTS:
        assert selectors(case) == expected


def test_a_deployments_selector_matches_its_own_pods_and_no_others() -> None:
    for case in AGENTS:
        deployments = objects(agent(case), "Deployment")
        for name, deployment in deployments.items():
            wanted = deployment["spec"]["selector"]["matchLabels"].items()
            matched = [
                other
                for other, each in deployments.items()
                if wanted <= each["spec"]["template"]["metadata"]["labels"].items()
            ]
            assert matched == [name]


def test_the_volume_never_changes() -> None:
    claims = [objects(agent(case), "PersistentVolumeClaim")["runtime-state"] for case in AGENTS]
    assert all(claim["spec"] == claims[0]["spec"] for claim in claims)


def test_what_is_there_is_the_same_set_of_objects_but_for_named_by_content() -> None:
    def names(case: str) -> set[tuple[str, str]]:
        return {
            (each.type, each.object_name)
            for each in agent(case)
            if each.kind not in {"ConfigMap", "Secret"} and each.object_name
        }

    for case in AGENTS:
        assert names(case) == names("readme")


def restarts(old: str, new: str, deployment: str) -> bool:
    """Whether Kubernetes replaces the pod: its template differs."""
    return pod_of(old, deployment) != pod_of(new, deployment)


@pytest.mark.parametrize(("old", "new"), PAIRS, ids=lambda case: case)
def test_the_plan_foretells_exactly_the_restarts_that_kubernetes_makes(old: str, new: str) -> None:
    told = " | ".join(update_plan(AGENTS[old], AGENTS[new]).restarts)
    assert ("model server" in told) == restarts(old, new, "model-server")
    assert ("the runtime restarts" in told) == restarts(old, new, "runtime")


def test_rendering_twice_gives_the_same_objects() -> None:
    def texts(resources: list[Rendered]) -> list[str]:
        return sorted(json.dumps(each.inputs, sort_keys=True) for each in resources)

    spec = json.dumps(agent_values())
    again = rendered.__wrapped__("my-agent.local", spec)
    assert texts(again) == texts(agent("readme"))


def amount(quantity: str) -> int:
    """A quantity in its base unit; CPU in thousandths of a core."""
    for suffix, factor in (("Mi", 1024**2), ("Gi", 1024**3), ("m", 1)):
        if quantity.endswith(suffix):
            return int(quantity.removesuffix(suffix)) * factor
    return int(quantity)


def with_defaults(container: dict[str, Any], limit_range: dict[str, Any]) -> dict[str, Any]:
    """A container's resources as the LimitRange completes them at admission."""
    [defaults] = [each for each in limit_range["spec"]["limits"] if each["type"] == "Container"]
    resources = container["resources"]
    limits = {**defaults["default"], **resources["limits"]}
    # A request that is missing is the container's own limit, else the default.
    requests = {**defaults["defaultRequest"], **resources["limits"], **resources["requests"]}
    return {"requests": requests, "limits": limits}


def usage(pod: dict[str, Any], limit_range: dict[str, Any]) -> dict[str, int]:
    """What the quota counts of a pod: sidecars and main containers together, or the largest
    init container with the sidecars before it, whichever is more."""
    found: dict[str, int] = {}
    sidecars: dict[str, int] = {}
    largest: dict[str, int] = {}
    for container in all_containers(pod):
        own = {
            f"{side}.{name}": amount(value)
            for side, values in with_defaults(container, limit_range).items()
            for name, value in values.items()
        }
        init = container in pod.get("initContainers", ())
        if init and container.get("restartPolicy") != "Always":
            for key, value in own.items():
                largest[key] = max(largest.get(key, 0), value + sidecars.get(key, 0))
        else:
            for key, value in own.items():
                found[key] = found.get(key, 0) + value
                if init:
                    sidecars[key] = sidecars.get(key, 0) + value
    return {key: max(found.get(key, 0), largest.get(key, 0)) for key in {*found, *largest}}


@cache
def pods_of_the_catalogue() -> dict[str, dict[str, int]]:
    """What the quota counts of the model servers of every third model with a plan at 32k."""
    found = {}
    for model in models()[::3]:
        values = agent_values(model=f"{model.id}-q4")
        try:
            agent_plan(model=values["model"])
        except Refused:
            continue
        resources = rendered("my-agent.local", json.dumps(values))
        pod = objects(resources, "Deployment")["model-server"]["spec"]["template"]["spec"]
        found[values["model"]] = usage(pod, objects(resources, "LimitRange")["agent"])
    return found


def test_the_quota_admits_old_and_new_pod_and_the_runtime_as_the_api_server_counts_them() -> None:
    counted = pods_of_the_catalogue()
    assert len(counted) >= 20
    runtime = usage(
        pod_of("readme", "runtime")["spec"], objects(agent("readme"), "LimitRange")["agent"]
    )
    plans = {name: agent_plan(model=name) for name in counted}
    for old, new in product(counted, repeat=2):
        server = plans[new].model_server
        quota = plan_isolation(
            server, plans[old].model_server, plans[new].runtime, WeightsStore(url="")
        ).quota
        for other in (old, new):
            for key, limit in quota.items():
                if key.startswith(("requests.", "limits.")) and key != "requests.storage":
                    needed = sum(
                        each.get(key, 0) for each in (counted[new], counted[other], runtime)
                    )
                    assert needed <= amount(limit), f"{key}: {other} beside {new}"


def test_the_limit_range_admits_every_container() -> None:
    for case in AGENTS:
        [limits] = [
            each
            for each in objects(agent(case), "LimitRange")["agent"]["spec"]["limits"]
            if each["type"] == "Container"
        ]
        for deployment in ("model-server", "runtime"):
            for container in all_containers(pod_of(case, deployment)["spec"]):
                memory = amount(container["resources"]["limits"]["memory"])
                assert memory <= amount(limits["max"]["memory"])


def test_the_limit_range_admits_the_volume() -> None:
    [limits] = [
        each
        for each in objects(agent("readme"), "LimitRange")["agent"]["spec"]["limits"]
        if each["type"] == "PersistentVolumeClaim"
    ]
    claim = objects(agent("readme"), "PersistentVolumeClaim")["runtime-state"]
    wanted = claim["spec"]["resources"]["requests"]["storage"]
    assert amount(wanted) <= amount(limits["max"]["storage"])


def test_namespace_and_volume_are_protected_and_nothing_else_is() -> None:
    protected = {key for key, each in options("readme").items() if each.protect}
    assert protected == {
        "kubernetes:core/v1:Namespace::namespace",
        "kubernetes:core/v1:PersistentVolumeClaim::state",
    }


def test_everything_in_the_namespace_waits_for_it() -> None:
    for key, each in options("readme").items():
        kind = key.partition("::")[0].rpartition(":")[2]
        if key.startswith("kubernetes:") and kind not in {"Namespace", "Secret"}:
            assert "namespace" in each.depends_on, key


def test_pods_start_only_inside_finished_walls() -> None:
    walls = {"quota", "limits", "default-deny", "dns", "model-server-account", "runtime-account"}
    found = options("readme")
    for name in ("model-server", "runtime"):
        waits_for = found[f"kubernetes:apps/v1:Deployment::{name}"].depends_on
        assert walls | {"model-server-from-runtime", "runtime-to-model-server"} <= waits_for
