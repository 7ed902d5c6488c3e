"""What people type that isn't a name of the catalogue: addresses, files, tags of other places."""

from __future__ import annotations

import re
from collections.abc import Sequence

from moltghost.models.data_files import read

LIST_COMMAND = "moltghost models"
# Where a name of Ollama's library is written with its address, or with the command to get it.
_LIBRARY = re.compile(
    r"(?:ollama\s+(?:run|pull|show|create)\s+|ollama:(?://)?)?"
    r"(?:(?:https?://)?(?:registry\.ollama\.ai|(?:www\.)?ollama\.com)/)?(?:library/)?",
    re.IGNORECASE,
)
_HUB = re.compile(r"(?:https?://)?(?:hf\.co|(?:www\.)?huggingface\.co)/|hf:(?://)?", re.IGNORECASE)
_HUB_PAGE = re.compile(r"/(?:tree|blob|resolve)/.*$")
_ADAPTER = re.compile(r"(?:^|[-_./])q?lora(?:$|[-_.])", re.IGNORECASE)
_GGUF = ".gguf"
_OTHER_FILES = (".safetensors", ".bin", ".pth", ".pt", ".onnx", ".mlx", ".ckpt")
_MLX = re.compile(r"[-_:]mlx\b", re.IGNORECASE)
_QUANTIZED = re.compile(r":(?:ud-|i1-)?(?:i?q\d|bf16|f16|mxfp4)", re.IGNORECASE)
_CLOUD = re.compile(r"[-:]cloud$", re.IGNORECASE)


def without_address(name: str) -> str:
    """A name without the place that it was copied from.

    Of a repository of the model hub its own name is left, with the quantization behind it.
    """
    hub = _HUB.match(name)
    if hub:
        name = _HUB_PAGE.sub("", name[hub.end() :])
    elif library := _LIBRARY.match(name):
        name = name[library.end() :]
    owner, slash, rest = name.partition("/")
    if not slash or _is_path(name) or "/" in rest or not owner:
        return name
    if owner.lower() == "bartowski":  # writes the maker's name first: Qwen_Qwen3.6-27B-GGUF
        model, colon, quantization = rest.partition(":")
        return (model.partition("_")[2] or model) + colon + quantization
    return rest


def is_of_hub(name: str) -> bool:
    """Whether a name is written with the model hub's address."""
    return bool(_HUB.match(name.strip()))


def why_unknown(name: str, near: Sequence[str]) -> tuple[str, str]:
    """What to add to `there is no model ... in the catalogue`, and what to do next."""
    listing = f"`{LIST_COMMAND}` lists every model, `{LIST_COMMAND} --recommended` those for agents"
    lowered = without_address(name).lower()
    if lowered.endswith(_GGUF):
        return ": it is a file", f"moltghost models add {name}, or moltghost size {name}"
    if lowered.endswith(_OTHER_FILES) or "safetensors" in lowered:
        return (
            ": only GGUF files are covered",
            "convert it with llama.cpp's convert_hf_to_gguf.py, or take a GGUF of the same model",
        )
    if _ADAPTER.search(lowered):
        return (
            ": adapters (LoRA) aren't covered",
            "merge it into its model, convert that to GGUF, and add the file: "
            "moltghost models add FILE",
        )
    if _CLOUD.search(lowered):
        return ": it runs on Ollama's own servers, not on your GPUs", listing
    if _MLX.search(lowered):
        return ": MLX files run on Apple's GPUs only", listing
    if size := latest_elsewhere(lowered):
        return f": Ollama's {lowered} is its {size}, nearest: {', '.join(near)}", listing
    if what := _unserved(lowered):
        return f": it is {what}", listing
    if "/" in name and not _is_path(name):
        return (
            f", nearest: {', '.join(near)}",
            f"moltghost models add {_addable(name)} takes its GGUF file as it is; {listing}",
        )
    if ":" in name and not _is_path(name):
        return (
            f"; nearest: {', '.join(near)}",
            f"if it is in Ollama's library: moltghost models add {_addable(name)}; {listing}",
        )
    return f"; nearest: {', '.join(near)}", listing


def _addable(name: str) -> str:
    """The reference that a name of another place most likely is."""
    if _HUB.match(name) or name.lower().startswith("ollama:"):
        return name
    if name.count("/") == 1 and _QUANTIZED.search(name):
        return f"hf:{name}"
    if name.count("/") == 1 and ":" not in name:
        return f"hf:{name}:Q4_K_M"
    return f"ollama:{name[_library_end(name) :]}"


def _library_end(name: str) -> int:
    found = _LIBRARY.match(name)
    return found.end() if found else 0


def _is_path(name: str) -> bool:
    return name.startswith(("/", "./", "../", "~"))


def latest_elsewhere(name: str) -> str | None:
    """The size that a bare name of Ollama's library means, where the catalogue doesn't have it."""
    names: dict[str, str] = read("names")["latest"]["names"]
    return names.get(name.removesuffix(":latest"))


def _unserved(name: str) -> str | None:
    base = name.partition(":")[0]
    for group in read("names")["unserved"]:
        if base in group.get("names", ()) or name in group.get("names", ()):
            return str(group["what"])
        if name.startswith(tuple(group.get("begins", ()))):
            return str(group["what"])
    return None
