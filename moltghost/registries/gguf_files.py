"""Which files of a repository are a model in one quantization, by their names.

Names follow llama.cpp's and its users' ways: `Model-Q4_K_M.gguf`, `Q4_K_M/Model-...gguf`, parts
as `-00001-of-00003.gguf`, vision towers as `mmproj-...gguf`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from moltghost.errors import Refused

_GGUF = ".gguf"
_PART = re.compile(r"-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)
_QUANTIZATION = re.compile(
    r"(?:^|[-._/ ])(?P<name>(?:UD-|i1-)?(?:I?Q\d\w*|TQ\d_\d|BF16|FP?16|FP?32|MXFP4\w*|NVFP4\w*))"
    r"(?=[-._/ ]|$)",
    re.IGNORECASE,
)
_PROJECTOR = re.compile(r"(?:^|[-._/])mmproj(?:$|[-._/])", re.IGNORECASE)
_NO_MODEL = re.compile(r"(?:^|[-._/])(?:imatrix|lora|adapter|vocab)(?:$|[-._/])", re.IGNORECASE)
_PROJECTORS_BEST_FIRST = ("F16", "BF16", "F32", "Q8_0")
_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt", ".onnx", ".ckpt")
_DEFAULT = "Q4_K_M"
_MOST_LISTED = 40


def of_quantization(repository: str, names: Sequence[str], quantization: str) -> tuple[str, ...]:
    """The paths of one quantization: a file, or all its parts in order.

    Args:
        repository: as messages call it.
        names: paths of all files there.
        quantization: in any case, such as `Q4_K_M` or `ud-q4_k_xl`; empty takes Q4_K_M, or the
            only one there is.

    Raises:
        Refused: there are none, several, or not all parts; the message lists what is there.
    """
    models = _by_quantization(names)
    if not models:
        raise _no_gguf(repository, names)
    wanted = _plain(quantization or (_DEFAULT if len(models) > 1 else next(iter(models))))
    spellings = {_plain(name).removeprefix("i1_"): files for name, files in models.items()}
    spellings |= {_plain(name): files for name, files in models.items()}
    found = spellings.get(wanted)
    if found is None:
        listed = ", ".join(sorted(models)[:_MOST_LISTED])
        raise Refused(
            f"{repository} has no quantization {quantization or _DEFAULT!r}",
            f"it has {listed}; write one of them behind the colon: hf:{repository}:"
            f"{sorted(models)[0]}",
        )
    return _whole(repository, found)


def quantization_of(name: str) -> str:
    """What the name of a GGUF file says that it is quantized to; empty where it doesn't."""
    stem = _PART.sub(_GGUF, name).removesuffix(_GGUF)
    found = [match["name"] for match in _QUANTIZATION.finditer(stem)]
    return _spelled(found[-1]) if found else ""


def projectors_of(names: Iterable[str]) -> tuple[str, ...]:
    """Vision towers among a repository's files, the one to take first."""
    found = [name for name in names if name.endswith(_GGUF) and _PROJECTOR.search(name)]
    return tuple(sorted(found, key=lambda name: (_preference(name), name)))


def parts_of(name: str) -> tuple[str, ...]:
    """The names of all parts of a file that is one of them; else its name alone."""
    match = _PART.search(name)
    if match is None:
        return (name,)
    stem, count = name[: match.start()], int(match["count"])
    return tuple(f"{stem}-{part:05d}-of-{count:05d}{_GGUF}" for part in range(1, count + 1))


def _preference(name: str) -> int:
    known = _PROJECTORS_BEST_FIRST
    quantization = quantization_of(name)
    return known.index(quantization) if quantization in known else len(known)


def _by_quantization(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        is_model = name.endswith(_GGUF) and not _PROJECTOR.search(name)
        if is_model and not _NO_MODEL.search(name) and (quantization := quantization_of(name)):
            found.setdefault(quantization, []).append(name)
    return found


def _whole(repository: str, names: list[str]) -> tuple[str, ...]:
    first = names[0]
    parts = parts_of(first)
    if len(parts) == 1 and len(names) == 1:
        return parts
    others = sorted(set(names) - set(parts))
    if others:
        raise Refused(
            f"{repository} has several models in this quantization: {first}, {others[0]}",
            f"name the file: hf:{repository}/{first}",
        )
    missing = sorted(set(parts) - set(names))
    if missing:
        raise Refused(
            f"{repository} doesn't have all parts: {missing[0]} isn't there",
            "choose another quantization or repository",
        )
    return parts


def _no_gguf(repository: str, names: Sequence[str]) -> Refused:
    if any(name.endswith("adapter_config.json") for name in names):
        return Refused(
            f"{repository} is an adapter (LoRA), and adapters aren't covered",
            "merge it into its model, convert that with llama.cpp's convert_hf_to_gguf.py, "
            "and use the file: moltghost models add ./FILE.gguf",
        )
    if any(name.endswith(_WEIGHTS) for name in names):
        return Refused(
            f"{repository} has no GGUF files, and only GGUF files are covered",
            f"look for its GGUF at https://huggingface.co/models?other=base_model:quantized:"
            f"{repository}, or convert it with llama.cpp's convert_hf_to_gguf.py",
        )
    if any(name.endswith(_GGUF) for name in names):
        listed = ", ".join(sorted(n for n in names if n.endswith(_GGUF))[:_MOST_LISTED])
        return Refused(
            f"{repository} has no GGUF file whose name says a quantization: {listed}",
            f"name a language model's file, if there is one: hf:{repository}/FILE.gguf",
        )
    return Refused(
        f"{repository} has no GGUF files", "choose a repository with GGUF files of the model"
    )


def _spelled(name: str) -> str:
    """As llama.cpp spells it: upper case, F16 and F32."""
    upper = name.upper().replace("I1-", "i1-")
    return {"FP16": "F16", "FP32": "F32"}.get(upper, upper)


def _plain(name: str) -> str:
    return _spelled(name).replace("-", "_").lower()
