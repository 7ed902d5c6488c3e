from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from moltghost.engines.embedded.kubernetes.readiness import SKIP_AWAIT
from moltghost.planning.agent import AgentPlan
from tests.components.cases import AGENTS, agent, container, environment, options, pod_of
from tests.examples import agent_plan, agent_spec
from tests.rendering import objects

of_cases = pytest.mark.parametrize("case", AGENTS)


def plan_of(case: str) -> AgentPlan:
    return agent_plan(**AGENTS[case])


def deployment(case: str) -> dict[str, Any]:
    return objects(agent(case), "Deployment")["model-server"]


def budget_seconds(probe: dict[str, Any]) -> float:
    return float(probe["failureThreshold"] * probe["periodSeconds"])


def caddyfile(case: str) -> str:
    [text] = [
        data["Caddyfile"]
        for name, each in objects(agent(case), "ConfigMap").items()
        if name.startswith("gate-")
        for data in [each["data"]]
    ]
    return str(text)


@of_cases
def test_weights_come_first_then_ollama_then_the_proof_and_the_gate_opens_last(case: str) -> None:
    pod = pod_of(case, "model-server")["spec"]
    assert [each["name"] for each in pod["initContainers"]] == ["weights", "ollama", "loader"]
    assert [each["name"] for each in pod["containers"]] == ["gate"]


@of_cases
def test_ollama_and_the_loader_are_native_sidecars_and_weights_is_not(case: str) -> None:
    assert container(case, "ollama")["restartPolicy"] == "Always"
    assert container(case, "loader")["restartPolicy"] == "Always"
    assert "restartPolicy" not in container(case, "weights")
    assert "restartPolicy" not in container(case, "gate")


@of_cases
def test_only_ollama_has_the_gpus_and_all_of_the_plans(case: str) -> None:
    count = plan_of(case).model_server.gpu_count
    resources = container(case, "ollama")["resources"]
    for amounts in (resources["limits"], resources["requests"]):
        assert int(amounts.get("nvidia.com/gpu", 0)) == count
    assert (count == 0) == (case == "on-cpu")
    for other in ("weights", "loader", "gate", "openclaw"):
        assert "nvidia.com/gpu" not in container(case, other)["resources"]["limits"]


@of_cases
def test_ollama_listens_on_loopback_only(case: str) -> None:
    host, _, port = environment(container(case, "ollama"))["OLLAMA_HOST"].rpartition(":")
    assert host == "127.0.0.1"
    assert "ports" not in container(case, "ollama")
    assert f"reverse_proxy 127.0.0.1:{port} " in caddyfile(case)
    assert environment(container(case, "loader"))["LOADER_OLLAMA"] == f"http://127.0.0.1:{port}"


@of_cases
def test_the_context_is_one_number_from_the_plan_to_every_process(case: str) -> None:
    context = plan_of(case).model_server.context
    [text] = [
        each["data"]["openclaw.json"]
        for name, each in objects(agent(case), "ConfigMap").items()
        if name.startswith("openclaw-")
    ]
    [model] = json.loads(text)["models"]["providers"]["ollama"]["models"]
    assert {
        environment(container(case, "ollama"))["OLLAMA_CONTEXT_LENGTH"],
        environment(container(case, "loader"))["LOADER_CONTEXT"],
        str(model["params"]["num_ctx"]),
        str(model["contextWindow"]),
        deployment(case)["metadata"]["annotations"]["moltghost.dev/context"],
    } == {str(context)}
    assert model["id"] == environment(container(case, "loader"))["LOADER_MODEL"]


@pytest.mark.parametrize(
    ("case", "spread"), [("readme", "0"), ("scaled", "1"), ("four-gpus", "1"), ("no-tools", "0")]
)
def test_several_gpus_are_all_used(case: str, spread: str) -> None:
    assert environment(container(case, "ollama"))["OLLAMA_SCHED_SPREAD"] == spread


def test_ollama_runs_as_it_was_sized() -> None:
    values = environment(container("in-place", "ollama"))
    assert (values["OLLAMA_KV_CACHE_TYPE"], values["OLLAMA_NUM_PARALLEL"]) == ("q8_0", "4")
    assert values["OLLAMA_FLASH_ATTENTION"] == "1"
    assert values["OLLAMA_KEEP_ALIVE"] == "-1"


@of_cases
def test_the_loader_proves_for_as_long_as_the_plan_allows(case: str) -> None:
    budget = plan_of(case).model_server.startup_budget_seconds
    probe = container(case, "loader")["startupProbe"]
    assert budget <= budget_seconds(probe) < budget + probe["periodSeconds"]
    # The kubelet's HTTP probes can't reach loopback.
    assert "exec" in probe


@of_cases
def test_ollama_gives_up_on_a_load_no_sooner_than_the_loader(case: str) -> None:
    timeout = environment(container(case, "ollama"))["OLLAMA_LOAD_TIMEOUT"]
    seconds = int(timeout[:-1]) * {"s": 1, "m": 60}[timeout[-1]]
    assert seconds >= budget_seconds(container(case, "loader")["startupProbe"])


@of_cases
def test_a_rollout_fails_no_sooner_than_everything_in_it_had_its_time(case: str) -> None:
    server = plan_of(case).model_server
    found = deployment(case)["spec"]["progressDeadlineSeconds"]
    assert found == server.rollout_budget_seconds > server.startup_budget_seconds


@of_cases
def test_the_engine_waits_for_the_rollout_and_the_drain_of_the_old_pod(case: str) -> None:
    server = plan_of(case).model_server
    found = options(case)["kubernetes:apps/v1:Deployment::model-server"]
    least = server.rollout_budget_seconds + server.termination_grace_seconds
    for timeout in (found.create_timeout, found.update_timeout):
        assert int(timeout.removesuffix("s")) >= least


@of_cases
def test_the_gate_has_time_to_finish_its_longest_stream(case: str) -> None:
    grace = pod_of(case, "model-server")["spec"]["terminationGracePeriodSeconds"]
    sleep = container(case, "gate")["lifecycle"]["preStop"]["sleep"]["seconds"]
    [stream] = re.findall(r"grace_period (\d+)s", caddyfile(case))
    [timeout] = re.findall(r"response_header_timeout (\d+)s", caddyfile(case))
    assert grace > sleep + int(stream)
    assert int(stream) == int(timeout) == 600
    assert sleep >= 15


@of_cases
def test_no_sidecar_delays_the_gates_drain(case: str) -> None:
    for name in ("ollama", "loader"):
        assert "lifecycle" not in container(case, name)


def test_an_update_starts_the_new_pod_before_it_stops_the_old_one() -> None:
    strategy = deployment("readme")["spec"]["strategy"]
    assert strategy["type"] == "RollingUpdate"
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_in_place_stops_the_old_pod_first() -> None:
    assert deployment("in-place")["spec"]["strategy"] == {"type": "Recreate"}


@of_cases
def test_what_was_priced_is_what_is_bought(case: str) -> None:
    server = plan_of(case).model_server
    assert pod_of(case, "model-server")["spec"]["nodeSelector"] == {
        "karpenter.sh/nodepool": server.pool,
        "node.kubernetes.io/instance-type": server.instance_type,
    }


@of_cases
def test_the_pod_tolerates_the_taint_of_its_pool_and_no_other(case: str) -> None:
    [toleration] = pod_of(case, "model-server")["spec"]["tolerations"]
    taint = {"operator": "Equal", "effect": "NoSchedule"}
    runtime = pod_of(case, "runtime")["spec"].get("tolerations")
    if case == "on-cpu":
        assert toleration == {"key": "moltghost.dev/pool", "value": "machine", **taint}
        assert runtime == [toleration]
    else:
        assert toleration == {"key": "nvidia.com/gpu", "value": "present", **taint}
        assert runtime is None


@pytest.mark.parametrize(
    ("case", "key", "value"),
    [("readme", "moltghost.dev/agent", "my-agent"), ("shared", "moltghost.dev/owner", "team-b")],
)
def test_model_servers_of_others_are_kept_off_the_node_whatever_their_namespace(
    case: str, key: str, value: str
) -> None:
    affinity = pod_of(case, "model-server")["spec"]["affinity"]["podAntiAffinity"]
    term, _ = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["namespaceSelector"] == {}
    assert term["labelSelector"]["matchLabels"] == {"app.kubernetes.io/name": "model-server"}
    assert term["labelSelector"]["matchExpressions"] == [
        {"key": key, "operator": "NotIn", "values": [value]}
    ]


def test_a_move_keeps_off_the_node_that_it_leaves() -> None:
    pod = pod_of("moved", "model-server")
    assert pod["metadata"]["labels"]["moltghost.dev/move"] == "3"
    affinity = pod["spec"]["affinity"]["podAntiAffinity"]
    _, term = affinity["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert "namespaceSelector" not in term
    assert term["labelSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "model-server",
        "moltghost.dev/agent": "my-agent",
    }
    # A pod without the label, or of another move, isn't on the new pod's node; one of the same
    # move may be, so an update may use free GPUs of the node that is paid for.
    assert term["labelSelector"]["matchExpressions"] == [
        {"key": "moltghost.dev/move", "operator": "NotIn", "values": ["3"]}
    ]


def test_a_move_on_the_machine_stays_there() -> None:
    affinity = pod_of("on-cpu", "model-server")["spec"]["affinity"]["podAntiAffinity"]
    assert len(affinity["requiredDuringSchedulingIgnoredDuringExecution"]) == 1


def test_a_paused_agent_keeps_everything_but_its_pods() -> None:
    for name in ("model-server", "runtime"):
        assert objects(agent("paused"), "Deployment")[name]["spec"]["replicas"] == 0
        assert objects(agent("readme"), "Deployment")[name]["spec"]["replicas"] == 1
    kinds = {each.type for each in agent("paused")}
    assert kinds == {each.type for each in agent("readme")}


@of_cases
def test_only_the_weights_container_can_write_the_weights(case: str) -> None:
    for name, read_only in (("weights", False), ("ollama", True), ("loader", True)):
        [mount] = [m for m in container(case, name)["volumeMounts"] if m["name"] == "models"]
        assert mount["mountPath"] == "/models"
        assert mount["readOnly"] is read_only
    assert "models" not in {m["name"] for m in container(case, "gate")["volumeMounts"]}


@of_cases
def test_the_weights_come_from_the_plans_store_and_have_room(case: str) -> None:
    plan = plan_of(case)
    args = container(case, "weights")["args"]
    assert args == ["weights", "--from", plan.model_server.store_url, "--to", "/models"]
    [volume] = [
        each for each in pod_of(case, "model-server")["spec"]["volumes"] if each["name"] == "models"
    ]
    limit = int(volume["emptyDir"]["sizeLimit"])
    assert limit >= plan.sizing.file_bytes
    for name in ("weights", "ollama"):
        assert int(container(case, name)["resources"]["limits"]["ephemeral-storage"]) >= limit


@of_cases
def test_the_copy_has_memory_for_its_buffers(case: str) -> None:
    """images/agent-tools/main.go: 320 MiB at most, and the kernel's buffers."""
    assert int(container(case, "weights")["resources"]["limits"]["memory"]) >= 512 * 1024**2


@of_cases
def test_a_killed_container_of_ours_leaves_its_last_lines_as_the_reason(case: str) -> None:
    for name in ("weights", "loader"):
        assert container(case, name)["terminationMessagePolicy"] == "FallbackToLogsOnError"


@of_cases
def test_the_pods_disk_holds_the_weights_and_every_other_volume_filled(case: str) -> None:
    """The kubelet evicts a pod that uses more than its containers' limits together."""
    pod = pod_of(case, "model-server")["spec"]
    empty = {v["name"]: int(v["emptyDir"]["sizeLimit"]) for v in pod["volumes"] if "emptyDir" in v}
    other = [size for name, size in empty.items() if name != "models"]
    limit = int(container(case, "ollama")["resources"]["limits"]["ephemeral-storage"])
    assert limit >= plan_of(case).sizing.file_bytes + sum(other)


@of_cases
def test_what_cuda_compiles_has_a_volume_that_it_can_not_fill(case: str) -> None:
    """The kubelet evicts a pod that fills a volume above its limit, and the next one as well."""
    env = {each["name"]: each.get("value", "") for each in container(case, "ollama")["env"]}
    mounts = {m["mountPath"]: m["name"] for m in container(case, "ollama")["volumeMounts"]}
    volumes = {each["name"]: each for each in pod_of(case, "model-server")["spec"]["volumes"]}
    if not plan_of(case).model_server.gpu_count:
        assert "CUDA_CACHE_PATH" not in env
        assert "cuda-cache" not in volumes
        return
    volume = volumes[mounts[env["CUDA_CACHE_PATH"]]]
    assert int(env["CUDA_CACHE_MAXSIZE"]) < int(volume["emptyDir"]["sizeLimit"])


@of_cases
def test_nothing_but_the_gate_has_the_gates_token(case: str) -> None:
    pod = pod_of(case, "model-server")["spec"]
    holders = [
        each["name"]
        for each in [*pod["initContainers"], *pod["containers"]]
        if any(mount["name"] == "gate-token" for mount in each["volumeMounts"])
    ]
    assert holders == ["gate"]


@of_cases
def test_the_gate_is_in_service_only_while_it_and_the_loader_are_well(case: str) -> None:
    gate = container(case, "gate")
    assert gate["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert "exec" in container(case, "loader")["readinessProbe"]


@of_cases
def test_one_pod_is_never_evicted_on_purpose(case: str) -> None:
    budget = objects(agent(case), "PodDisruptionBudget")["model-server"]["spec"]
    assert budget["maxUnavailable"] == 0
    assert budget["selector"] == deployment(case)["spec"]["selector"]
    assert deployment(case)["spec"]["replicas"] == plan_of(case).model_server.replicas


@of_cases
def test_the_cluster_says_what_runs_and_what_it_costs(case: str) -> None:
    plan, facts = plan_of(case), deployment(case)["metadata"]["annotations"]
    for each in facts, pod_of(case, "model-server")["metadata"]["annotations"]:
        assert each["moltghost.dev/model"] == plan.model_server.model
        assert each["moltghost.dev/quantization"] == plan.model_server.quantization
        assert each["moltghost.dev/context"] == str(plan.model_server.context)
    placement = plan.sizing.placement
    for key, price in (
        ("moltghost.dev/node-usd-per-hour", placement.node_usd_per_hour),
        ("moltghost.dev/usd-per-hour", placement.usd_per_hour),
    ):
        assert Decimal(facts[key]) == price
        assert re.fullmatch(r"\d+(\.\d*[1-9])?", facts[key]), "no trailing zeros, no exponent"


@of_cases
def test_the_cluster_keeps_the_config_that_was_applied(case: str) -> None:
    kept = deployment(case)["metadata"]["annotations"]["moltghost.dev/spec"]
    assert json.loads(kept) == agent_spec(**AGENTS[case]).as_written()


@of_cases
def test_what_concerns_the_agent_and_not_its_pods_restarts_no_pod(case: str) -> None:
    of_pod = pod_of(case, "model-server")["metadata"]["annotations"]
    assert {key for key in of_pod if key.startswith("moltghost.dev/")} & {
        "moltghost.dev/spec",
        "moltghost.dev/usd-per-hour",
        "moltghost.dev/node-usd-per-hour",
    } == set()


def directives(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_the_gate_lets_through_six_endpoints_and_refuses_the_rest() -> None:
    lines = directives(caddyfile("readme"))
    paths = [line for line in lines if line.startswith("path ")]
    assert paths == [
        "path /api/chat /api/generate /api/show",
        "path /api/tags /api/ps /api/version",
    ]
    assert 'respond "forbidden" 403' in lines
    assert 'respond "unauthorized" 401' in lines
    # The last handle without a matcher is the one for everything else.
    assert lines.index('respond "forbidden" 403') > max(lines.index(path) for path in paths)


def test_every_way_to_ollama_asks_for_the_token() -> None:
    text = caddyfile("readme")
    matchers = re.findall(r"^\t@(?:get|post) \{.*?\n\t\}", text, flags=re.DOTALL | re.MULTILINE)
    assert len(matchers) == text.count("import ollama") == 2
    for matcher in matchers:
        assert 'header Authorization "Bearer {file./run/gate/token}"' in matcher
    # Ollama never sees the token, and sees the host that it accepts.
    assert "header_up -Authorization" in text
    assert re.search(r"header_up Host 127\.0\.0\.1:\d+", text)


def test_the_loaders_metrics_are_had_on_the_metrics_port_and_nothing_else_of_it() -> None:
    address = environment(container("readme", "loader"))["LOADER_LISTEN"]
    assert address.startswith("127.0.0.1:")
    text = caddyfile("readme")
    [site] = re.findall(r"^:9180 \{\n(.*?)^\}", text, flags=re.DOTALL | re.MULTILINE)
    assert directives(site) == [
        "metrics /metrics",
        "handle /metrics/loader {",
        "rewrite * /metrics",
        f"reverse_proxy {address}",
        "}",
    ]
    assert text.count(address) == 1


def test_the_gates_config_has_balanced_braces_and_no_admin_endpoint() -> None:
    text = caddyfile("readme")
    assert text.count("{") == text.count("}")
    assert "admin off" in directives(text)
    assert "auto_https off" in directives(text)


@of_cases
def test_no_engine_waits_for_an_endpoint_of_a_service(case: str) -> None:
    """Pulumi's provider gives up after 10 minutes; a large model takes longer to be proven."""
    services = objects(agent(case), "Service")
    assert set(services) == {"model-server", "runtime"}
    for each in services.values():
        assert each["metadata"]["annotations"] == {SKIP_AWAIT: "true"}
