"""What llama.cpp b10488 can run of language models, and what of it can be sized.

The list follows the engine's own classes (src/models/*.cpp, src/llama-arch.cpp): an architecture
that isn't here keeps something in memory that isn't modelled, or isn't a chat model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Architecture:
    """What all models of an architecture have.

    Attributes:
        proven: weights, caches and compute buffers were held against the engine.
        window_pattern: every so-many-th layer sees the whole context, in a model with a window
            (`set_swa_pattern` in its class); 0: its window is counted as full attention.
        window_tokens: its window, where its files don't say so.
        gemma: scales embedding and query, and has norms behind attention and feed-forward.
        fused: one matrix for query, key and value, and one for gate and up.
        post_norm: the feed-forward's norm is called post_attention_norm.
        gated: the feed-forward has a gate.
        gated_query: the query's matrix also gives a gate for what attention found.
        shared_gate: the shared expert has a gate.
        gpt_oss: biases everywhere, and attention sinks.
        layer_scale: each layer's result is scaled.
        scaled_query: queries are scaled before attention instead of in it.
        value_norm: values have a norm.
        late_rows: the last layer computes every token, not just those that are answered.
        no_positions: attention has none.
        position_values: numbers for a token's position.
        rope_skips: every so-many-th layer has no positions.
        key_first: keys are computed before values.
        residual_scale: a layer's result is scaled before it is added.
        residual_first: it is added to what there was, instead of the other way round.
        weighs_before: an expert's share counts before the expert.
        one_slot: Ollama serves it one request at a time (ollama@fb30760 server/sched.go l.505).
    """

    proven: bool = False
    window_pattern: int = 0
    window_tokens: int = 0
    gemma: bool = False
    fused: bool = False
    post_norm: bool = False
    gated: bool = True
    gated_query: bool = False
    shared_gate: bool = False
    gpt_oss: bool = False
    layer_scale: bool = False
    scaled_query: bool = False
    value_norm: bool = False
    late_rows: bool = False
    no_positions: bool = False
    position_values: int = 1
    rope_skips: int = 0
    key_first: bool = False
    residual_scale: bool = False
    residual_first: bool = False
    weighs_before: bool = False
    one_slot: bool = False


_NOTHING_SPECIAL, _PLAIN = Architecture(), Architecture(proven=True)
_QWEN35 = Architecture(
    proven=True, post_norm=True, gated_query=True, one_slot=True, late_rows=True, position_values=4
)
_NEMOTRON = Architecture(proven=True, gated=False, one_slot=True, late_rows=True, no_positions=True)
_PROVEN = {
    "llama": _PLAIN,
    "qwen2": _PLAIN,
    "qwen3": _PLAIN,
    "qwen3moe": _PLAIN,
    "mistral3": _PLAIN,
    "granite": _PLAIN,
    "minimax-m2": _PLAIN,
    "deepseek2": _PLAIN,
    "smollm3": Architecture(proven=True, rope_skips=4),
    "granitehybrid": Architecture(proven=True, no_positions=True, residual_scale=True),
    "glm4moe": Architecture(proven=True, post_norm=True),
    "phi3": Architecture(proven=True, fused=True),
    "gemma2": Architecture(proven=True, gemma=True, scaled_query=True, window_pattern=2),
    "gemma3": Architecture(proven=True, gemma=True, scaled_query=True, window_pattern=6),
    "gemma4": Architecture(
        proven=True, gemma=True, layer_scale=True, value_norm=True, late_rows=True
    ),
    "gpt-oss": Architecture(
        proven=True, gpt_oss=True, post_norm=True, window_pattern=2, late_rows=True
    ),
    "llama4": Architecture(
        proven=True,
        window_pattern=4,
        window_tokens=8192,
        rope_skips=4,
        weighs_before=True,
        key_first=True,
    ),
    "qwen3next": replace(_QWEN35, shared_gate=True, position_values=1),
    "qwen35": _QWEN35,
    "qwen35moe": replace(_QWEN35, shared_gate=True),
    "nemotron_h": _NEMOTRON,
    "nemotron_h_moe": _NEMOTRON,
    "lfm2": Architecture(proven=True, one_slot=True, residual_first=True),
    "lfm2moe": Architecture(proven=True, one_slot=True, residual_first=True),
}
# A plain cache of keys and values in every layer; weights are taken from the file's own table.
# fmt: off
_UNPROVEN = (
    "afmoe", "apertus", "arcee", "baichuan", "bailingmoe", "bailingmoe2", "bloom", "chatglm",
    "codeshell", "cohere2", "cohere2moe", "command-r", "dbrx", "deci", "deepseek", "dots1",
    "ernie4_5", "ernie4_5-moe", "exaone", "exaone4", "exaone-moe", "falcon", "gemma", "glm4",
    "gpt2", "gptneox", "granitemoe", "grok", "hunyuan-dense", "hunyuan-moe", "internlm2",
    "jais", "laguna", "maincoder", "mimo2", "minicpm", "mpt", "nanbeige", "nemotron", "olmo",
    "olmo2", "olmoe", "openelm", "orion", "pangu-embedded", "phi2", "phimoe", "plm", "qwen",
    "qwen2moe", "qwen2vl", "refact", "seed_oss", "smallthinker", "stablelm", "starcoder",
    "starcoder2", "step35", "xverse",
)
# fmt: on
_ONE_SLOT = Architecture(one_slot=True)
ARCHITECTURES = MappingProxyType(
    {
        **dict.fromkeys(_UNPROVEN, Architecture()),
        "qwen3vl": _ONE_SLOT,
        "qwen3vlmoe": _ONE_SLOT,
        **_PROVEN,
    }
)

# What Ollama's own converter calls them; llama/compat renames them while loading (ollama@fb30760).
OLLAMA_NAMES = MappingProxyType(
    {
        "gptoss": "gpt-oss",
        "glm4moelite": "deepseek2",
        "qwen25vl": "qwen2vl",
        "nemotron_h_omni": "nemotron_h_moe",
    }
)

_EMBEDDING = "an embedding model, which turns texts into vectors and can't chat"
_DIFFUSION = "a diffusion language model, which doesn't answer token by token"
_IMAGES = "a model that makes images or videos"
_AUDIO = "an audio model"
_ENCODER = "an encoder, which can't chat by itself"
_DRAFT = "a draft model, which only helps another one to answer faster"
_STATE = "a model whose memory isn't modelled: it keeps more than keys and values"
_RECURRENT = "a model without attention, whose memory isn't modelled"
_KINDS = {
    _EMBEDDING: "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 "
    "eurobert gemma-embedding llama-embed",
    _DIFFUSION: "dream llada llada-moe rnd1",
    _IMAGES: "flux sd1 sd3 sdxl wan hidream hyvid ltxv aura cosmos lumina2 qwen_image pig zimage",
    _AUDIO: "wavtokenizer-dec qwen3tts pockettts whisper",
    _ENCODER: "t5 t5encoder",
    _DRAFT: "eagle3 dflash gemma4-assistant",
    _STATE: "deepseek32 deepseek4 glm-dsa kimi-linear kimi-k3 minimax-01 minimax-m3 minicpm3 "
    "gemma3n jamba falcon-h1 plamo2 bailingmoe3 mistral4 mllama",
    _RECURRENT: "mamba mamba2 rwkv6 rwkv6qwen2 rwkv7 arwkv7",
    "a vision tower (mmproj), which belongs to a language model": "clip mmproj",
}
_WHAT_IT_IS = MappingProxyType(
    {name: kind for kind, names in _KINDS.items() for name in names.split()}
)


def architecture(name: str) -> Architecture:
    """What all models of an architecture have; of one that isn't listed, nothing special."""
    return ARCHITECTURES.get(name, _NOTHING_SPECIAL)


def why_not(name: str) -> str | None:
    """What a file of this architecture is, where it can't be sized; None where it can."""
    if name in ARCHITECTURES:
        return None
    if kind := _WHAT_IT_IS.get(name):
        return kind
    return f"of an architecture ({name}) whose memory isn't modelled"
