import json
from pathlib import Path

import pytest

from moltghost.models import Shape, find_model, gpu_kind
from moltghost.sizing import compute, kv_cache
from moltghost.sizing.footprint import FIT_TARGET_BYTES, Load, footprint, largest_need, split
from moltghost.sizing.graph import Device, compute_bytes
from moltghost.sizing.weights import layout
from moltghost.units import MIB

FEWEST = json.loads((Path(__file__).parent / "golden" / "fewest_gpus.json").read_text())
MAX_GPUS = 8
CARDS = ("l40s", "a100-40", "a100-80", "h100")


def shares(name: str, context: int, gpus: int, **load: object):  # noqa: ANN201
    choice = find_model(name)
    weights = layout(choice.model, choice.quantization)
    return split(weights, choice.model.shape, Load(context, **load), gpus)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "kind"),
    [(row, kind) for row in FEWEST for kind in CARDS if kind in row],
    ids=lambda v: v if isinstance(v, str) else f"{v['model']}-{v['context']}",
)
def test_the_engine_would_fit_it_on_as_many_gpus_as_the_reference_says(
    row: dict[str, int], kind: str
) -> None:
    room = gpu_kind(kind).free_at_cuda_init_bytes - FIT_TARGET_BYTES
    fewest = next(
        (
            gpus
            for gpus in range(1, MAX_GPUS + 1)
            if max(s.allocated_bytes for s in shares(row["model"], row["context"], gpus)) <= room
        ),
        None,
    )
    assert fewest == row[kind]


@pytest.mark.parametrize("row", [r for r in FEWEST if "mib" in r], ids=lambda r: r["model"])
def test_one_gpu_allocates_what_the_reference_says_to_a_mib(row: dict[str, int]) -> None:
    (share,) = shares(row["model"], row["context"], 1)
    assert share.allocated_bytes / MIB == pytest.approx(row["mib"], abs=1)


@pytest.mark.parametrize(
    ("name", "context", "kv", "mib"),
    [
        ("llama3.2-3b-q4", 32768, "f16", 3584),
        ("llama3.1-70b-q4", 32768, "f16", 10240),
        ("llama3.1-70b-q4", 131072, "f16", 40960),
        ("llama3.1-70b-q4", 32768, "q8_0", 5440),
        ("llama3.1-405b-q4", 32768, "f16", 16128),
    ],
)
def test_the_kv_cache_is_what_the_engine_allocated(
    name: str, context: int, kv: str, mib: int
) -> None:
    shape = find_model(name).model.shape
    found = kv_cache.layer_bytes(shape, context=context, parallel=1, kv_cache=kv, ubatch=512)
    assert sum(found) == mib * MIB


def test_slots_multiply_the_kv_cache_and_a_context_is_padded_to_256_cells() -> None:
    shape = find_model("llama3.1-8b").model.shape
    one = kv_cache.layer_bytes(shape, context=1000, parallel=1, kv_cache="f16", ubatch=512)
    four = kv_cache.layer_bytes(shape, context=1000, parallel=4, kv_cache="f16", ubatch=512)
    assert sum(four) == 4 * sum(one)
    assert sum(one) == 131072 * 1024


def test_gemma_2_keeps_a_window_in_every_second_layer() -> None:
    shape = find_model("gemma2-9b").model.shape
    even, odd = kv_cache.layer_bytes(shape, context=8192, parallel=1, kv_cache="f16", ubatch=1024)[
        :2
    ]
    assert (even, odd) == (2 * 8 * 256 * 2 * (4096 + 1024), 2 * 8 * 256 * 2 * 8192)


def reserved(
    shape: Shape, context: int, *, gpus: int = 1, cache: str = "f16", slots: int = 1
) -> compute.Buffers:
    ubatch = compute.batch_tokens(context, slots)
    return compute.buffers(
        shape, context=context, parallel=slots, kv_cache=cache, ubatch=ubatch, gpus=gpus
    )


def test_the_compute_buffer_is_what_a_gpu_reserved() -> None:
    qwen = Shape("qwen3", 28, 1024, 16, 8, 128, 3072, 151936, tied_embeddings=True, qk_norm=True)
    batch = compute.worst_batch(qwen, context=40960, parallel=1, kv_cache="f16", ubatch=2048)
    on_gpu = compute_bytes(qwen, batch, Device.GPU)
    assert on_gpu / MIB == pytest.approx(264.04, abs=0.005)  # the log of an H100
    assert reserved(qwen, 40960).compute_bytes >= on_gpu


def test_several_gpus_keep_four_copies_of_their_inputs() -> None:
    shape = find_model("llama3.1-70b").model.shape
    one, two = reserved(shape, 131072), reserved(shape, 131072, gpus=2)
    mask, layer_input = 131072 * 2048 * 2, 2048 * 8192 * 4
    more = two.compute_bytes - one.compute_bytes
    assert 3 * mask + 3 * layer_input <= more <= 3 * mask + 4 * layer_input + MIB
    assert reserved(shape, 131072, gpus=8) == two


def test_slots_share_one_mask() -> None:
    shape = find_model("llama3.1-8b").model.shape
    one = compute.buffers(
        shape, context=8192, parallel=1, kv_cache="f16", ubatch=2048, gpus=1
    ).compute_bytes
    four = compute.buffers(
        shape, context=8192, parallel=4, kv_cache="f16", ubatch=2048, gpus=1
    ).compute_bytes
    assert 0 <= four - one < 4 * shape.vocab * 4


def test_a_quantized_cache_needs_a_workspace_where_the_rest_leaves_too_little_room() -> None:
    wide, narrow = (find_model(name).model.shape for name in ("llama3.1-405b", "phi3-mini"))
    assert reserved(wide, 32768, cache="q8_0").kv_workspace_bytes == 0
    assert reserved(narrow, 131072).kv_workspace_bytes == 0
    one_layer = 2 * narrow.kv_width * 131072 * 2
    workspace = reserved(narrow, 131072, cache="q8_0").kv_workspace_bytes
    assert one_layer // 2 < workspace <= one_layer


@pytest.mark.parametrize(
    ("tokens", "slots", "batch"),
    [(4096, 1, 512), (4097, 1, 1024), (32768, 1, 1024), (32769, 1, 2048), (8192, 8, 2048)],
)
def test_the_batch_is_ollamas(tokens: int, slots: int, batch: int) -> None:
    assert compute.batch_tokens(tokens, slots) == batch


def test_the_terms_add_up_and_every_layer_is_on_one_gpu() -> None:
    choice = find_model("llama3.1-405b-q4")
    weights = layout(choice.model, choice.quantization)
    for gpus in range(1, MAX_GPUS + 1):
        found = footprint(weights, choice.model.shape, Load(32768), gpus)
        assert sum(s.layers for s in found.per_gpu) == choice.model.shape.layers
        assert found.weights_bytes == weights.gpu_bytes
        assert found.total_bytes == (
            found.weights_bytes
            + found.kv_cache_bytes
            + found.compute_bytes
            + found.overhead_bytes
            + found.margin_bytes
        )
        assert found.total_bytes == sum(
            s.needed_bytes + s.cuda_context_bytes for s in found.per_gpu
        )


def test_the_margin_grows_where_nothing_was_measured() -> None:
    (plain,) = shares("llama3.1-8b-q4", 32768, 1)
    assert plain.margin_bytes == 1024 * MIB
    for unmeasured in (
        shares("llama3.1-8b-q4", 131072, 1),
        shares("llama3.1-8b-q4", 32768, 2),
        shares("llama3.1-8b-q4", 32768, 1, parallel=2),
        shares("llama3.1-8b-q4", 32768, 1, kv_cache="q8_0"),
    ):
        assert all(s.margin_bytes >= 2048 * MIB for s in unmeasured)


def test_a_quantized_cache_is_never_planned_with_more_than_f16_needs() -> None:
    (plain,) = shares("llama3.1-8b-q4", 4096, 1)
    (quantized,) = shares("llama3.1-8b-q4", 4096, 1, kv_cache="q8_0")
    assert plain.kv_cache_bytes - quantized.kv_cache_bytes == 240 * MIB  # 512 and 272 MiB
    assert quantized.needed_bytes == plain.needed_bytes
    assert quantized.margin_bytes > plain.margin_bytes


def test_the_fullest_gpu_decides() -> None:
    choice = find_model("llama3.1-70b-q4")
    weights = layout(choice.model, choice.quantization)
    need = largest_need(weights, choice.model.shape, Load(32768), 2)
    assert need == max(s.needed_bytes for s in shares("llama3.1-70b-q4", 32768, 2))
