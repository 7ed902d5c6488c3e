"""Models on the CPU of the machine's own node."""

from __future__ import annotations

from decimal import Decimal

import pytest

from moltghost.errors import Refused
from moltghost.models import find_model
from moltghost.sizing import SizingRequest, default_pools, machine_pool, size
from moltghost.sizing.cpu import MARGIN_BYTES, PROCESS_BYTES

HELLO = SizingRequest("gemma3-270m-q4", gpu="none")


def test_a_model_without_a_gpu_goes_to_the_machines_own_node_and_costs_nothing() -> None:
    found = size(HELLO)
    assert (found.placement.pool, found.placement.instance_type) == ("machine", "machine")
    assert (found.placement.gpu, found.placement.gpu_count) == ("none", 0)
    assert found.placement.hardware == "CPU"
    assert found.placement.node_usd_per_hour == Decimal(0)
    assert found.resources.gpu_count == 0


def test_its_memory_is_every_term_and_what_the_pod_asks_for() -> None:
    found = size(HELLO)
    need = found.footprint
    # The tensors of the published file, 253113024 bytes, without its metadata of 6525120.
    assert need.weights_bytes == 253113024 - 6525120
    # 15 of 18 layers see 512 tokens: (512 + ubatch 1024) cells, the others 32768; 1 KV head x 256,
    # K and V, 2 bytes each.
    assert need.kv_cache_bytes == (15 * 1536 + 3 * 32768) * 2 * 256 * 2
    terms = need.weights_bytes + need.kv_cache_bytes + need.compute_bytes
    assert need.total_bytes == terms + PROCESS_BYTES + MARGIN_BYTES
    assert found.resources.memory_bytes == need.total_bytes
    assert need.per_gpu == ()


@pytest.mark.parametrize("change", [{"context": 4096}, {"kv_cache": "q8_0"}])
def test_less_context_or_a_smaller_cache_takes_less(change: dict[str, object]) -> None:
    smaller = SizingRequest("gemma3-270m-q4", gpu="none", **change)  # type: ignore[arg-type]
    assert size(smaller).footprint.kv_cache_bytes < size(HELLO).footprint.kv_cache_bytes


def test_case_does_not_matter_and_other_requests_are_placed_on_gpus_as_before() -> None:
    assert size(SizingRequest("gemma3-270m-q4", gpu="None")).placement.hardware == "CPU"
    with_machine = (*default_pools(), machine_pool())
    assert size(SizingRequest("llama3.1-8b-q4"), with_machine).placement.gpu == "l40s"


def test_an_environment_without_such_a_node_refuses_it() -> None:
    with pytest.raises(Refused, match="no node for models without a GPU") as refused:
        size(HELLO, default_pools())
    assert "machine: true" in refused.value.hint


def test_gpu_memory_without_a_gpu_is_refused() -> None:
    with pytest.raises(Refused, match="--gpu none has none"):
        size(SizingRequest("gemma3-270m-q4", gpu="none", memory_gb=24))


def test_the_catalogues_size_of_the_file_is_the_published_one() -> None:
    assert find_model("gemma3-270m-q4").file.published_bytes == size(HELLO).file_bytes == 253113024
