from __future__ import annotations

import json
from typing import Any

import pytest

from moltghost.planning.runtime import openclaw_config
from tests.components.cases import AGENTS, agent, container, environment, pod_of
from tests.examples import agent_plan
from tests.rendering import objects

# OpenClaw drains for 315 s, reserves 10 and leaves 5.
OPENCLAW_SHUTDOWN_SECONDS = 330

of_cases = pytest.mark.parametrize("case", AGENTS)


def config(case: str) -> dict[str, Any]:
    [found] = [
        json.loads(each["data"]["openclaw.json"])
        for name, each in objects(agent(case), "ConfigMap").items()
        if name.startswith("openclaw-")
    ]
    assert isinstance(found, dict)
    return found


@of_cases
def test_its_state_has_one_owner_at_any_time(case: str) -> None:
    spec = objects(agent(case), "Deployment")["runtime"]["spec"]
    assert spec["replicas"] == (0 if case == "paused" else 1)
    assert spec["strategy"] == {"type": "Recreate"}
    volume = objects(agent(case), "PersistentVolumeClaim")["runtime-state"]["spec"]
    assert volume["accessModes"] == ["ReadWriteOnce"]
    assert volume["storageClassName"] == "moltghost"


@of_cases
def test_its_memory_lies_on_the_volume(case: str) -> None:
    pod = pod_of(case, "runtime")["spec"]
    [state] = [volume for volume in pod["volumes"] if volume["name"] == "state"]
    assert state["persistentVolumeClaim"]["claimName"] == "runtime-state"
    [mount] = [m for m in container(case, "openclaw")["volumeMounts"] if m["name"] == "state"]
    values = environment(container(case, "openclaw"))
    assert values["OPENCLAW_STATE_DIR"] == mount["mountPath"]
    # Start-up dies without a cache that can be written.
    assert values["XDG_CACHE_HOME"].startswith(mount["mountPath"] + "/")
    assert values["HOME"] == "/home/node"


@of_cases
def test_it_has_time_to_finish_what_it_does(case: str) -> None:
    pod = pod_of(case, "runtime")["spec"]
    sleep = container(case, "openclaw")["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= sleep + OPENCLAW_SHUTDOWN_SECONDS


@of_cases
def test_it_is_probed_where_it_answers_without_a_token(case: str) -> None:
    openclaw = container(case, "openclaw")
    assert openclaw["startupProbe"]["httpGet"]["path"] == "/startupz"
    assert openclaw["readinessProbe"]["httpGet"]["path"] == "/startupz"
    assert openclaw["livenessProbe"]["httpGet"]["path"] == "/healthz"
    startup = openclaw["startupProbe"]
    budget = agent_plan(**AGENTS[case]).runtime.startup_budget_seconds
    assert startup["failureThreshold"] * startup["periodSeconds"] >= budget


@of_cases
def test_its_config_is_the_plans_and_is_read_only(case: str) -> None:
    assert config(case) == agent_plan(**AGENTS[case]).runtime.config
    openclaw = container(case, "openclaw")
    [mount] = [m for m in openclaw["volumeMounts"] if m["name"] == "config"]
    assert mount["readOnly"] is True
    values = environment(openclaw)
    assert values["OPENCLAW_CONFIG_PATH"] == f"{mount['mountPath']}/openclaw.json"
    assert values["OPENCLAW_CONFIG_READONLY"] == "1"


@of_cases
def test_its_heap_fits_its_memory(case: str) -> None:
    openclaw = container(case, "openclaw")
    heap = int(environment(openclaw)["NODE_OPTIONS"].rpartition("=")[2]) * 1024**2
    assert heap < int(openclaw["resources"]["limits"]["memory"])


@of_cases
def test_the_image_keeps_its_own_entrypoint(case: str) -> None:
    assert "command" not in container(case, "openclaw")


def test_nothing_of_openclaw_is_switched_on_that_was_not_asked_for() -> None:
    found = config("readme")
    off = {
        "gateway.controlUi.enabled",
        "gateway.terminal.enabled",
        "gateway.cliAgents.enabled",
        "browser.enabled",
        "cron.enabled",
        "memory.search.enabled",
        "tools.elevated.enabled",
        "tools.web.search.enabled",
        "tools.web.fetch.enabled",
        "telemetry.enabled",
        "update.checkOnStart",
        "models.catalogRefresh.enabled",
    }
    for path in off:
        value: Any = found
        for part in path.split("."):
            value = value[part]
        assert value is False, path
    assert found["gateway"]["auth"]["mode"] == "token"
    assert "channels" not in found


def test_the_ports_of_config_container_and_service_are_one() -> None:
    openclaw = container("readme", "openclaw")
    [port] = openclaw["ports"]
    service = objects(agent("readme"), "Service")["runtime"]["spec"]
    assert (
        config("readme")["gateway"]["port"]
        == port["containerPort"]
        == service["ports"][0]["port"]
        == int(openclaw["args"][openclaw["args"].index("--port") + 1])
    )


def test_the_host_of_the_config_is_the_service_of_the_model_server() -> None:
    service = objects(agent("readme"), "Service")["model-server"]
    meta, [port] = service["metadata"], service["spec"]["ports"]
    host = f"{meta['name']}.{meta['namespace']}.svc.cluster.local"
    url = config("readme")["models"]["providers"]["ollama"]["baseUrl"]
    assert url == f"http://{host}:{port['port']:g}"


def test_configs_of_two_agents_differ_in_the_host_only() -> None:
    server = agent_plan().model_server
    one, other = (json.dumps(openclaw_config(name, server)) for name in ("one", "other"))
    assert one.replace("agent-one.svc", "agent-other.svc") == other


@pytest.mark.parametrize(
    ("model", "inputs"),
    [("gemma3-4b-q4", ["text", "image"]), ("llama3.1-8b-q4", ["text"])],
)
def test_openclaw_is_told_of_images_where_the_model_understands_them(
    model: str, inputs: list[str]
) -> None:
    config = agent_plan(model=model).runtime.config
    [entry] = config["models"]["providers"]["ollama"]["models"]
    assert entry["input"] == inputs
