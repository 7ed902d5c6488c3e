"""Model names as users type them: `llama3.1-70b-q4`, `Llama-3.1:70B`, `qwen2.5-72b-q4_K_S`.

Case and separators don't matter. A name without a quantization means the family's default, and
`q4` means the family's Q4 in the product text (Q4_K_S for Qwen 2.5, Q4_K_M for the others). A name
of Ollama's library (`phi3:mini`, `gpt-oss:latest`) means what it means there; where something else
is taken, the choice says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import accumulate
from types import MappingProxyType

from moltghost.errors import Refused
from moltghost.models.catalogue import file_types, models
from moltghost.models.facts import Model, ModelFile
from moltghost.models.foreign_names import (
    LIST_COMMAND,
    is_of_hub,
    latest_elsewhere,
    why_unknown,
    without_address,
)

_QUANTIZATION = re.compile(
    r"[-_:.]?(?P<typed>(?:(?:ud|i1|qat)[-_])?"
    r"(?:i?q\d|t?q\d|bf16|fp16|f16|f32|fp8|fp4|nvfp4|mxfp4|int4|int8|nf4|awq|gptq|exl[23]|bnb|w[48]a|"
    r"[48]-?bit|qat)[a-z0-9_]*(?:-(?:marlin|int[48]))?)$"
)
_LETTERS = re.compile(r"^[A-Z]+")
_SEPARATORS = re.compile(r"[^a-z0-9]+")
# Words that say nothing about which model it is.
_NOISE = frozenset(("instruct", "chat", "it", "gguf", "hf", "meta"))
_LATEST = "latest"
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model and one of its quantizations.

    Attributes:
        defaulted: the name didn't say the quantization, so a default was taken.
        said: what was taken, where the name alone doesn't say it or means something else in
            Ollama's library; a sentence, empty where there is nothing to say.
    """

    model: Model
    quantization: str
    defaulted: bool = False
    said: str = ""

    @property
    def name(self) -> str:
        """Its full name, `llama3.1-70b-q4_K_M`; `find_model` of it is this choice."""
        if self.file.tensors:
            return self.model.id
        spelled = _LETTERS.sub(lambda found: found[0].lower(), self.quantization)
        return f"{self.model.id}-{spelled}"

    @property
    def file(self) -> ModelFile:
        """Facts of its file."""
        return self.model.files[self.quantization]


def find_model(name: str) -> ModelChoice:
    """The model and quantization that a name means.

    Raises:
        Refused: nothing or several things have that name, or not in that quantization; or it names
            something else than a model, and the message says what.
    """
    choice = _meant(name)
    if not is_of_hub(name):
        return choice
    said = (
        f"{name.strip()} is taken as the catalogue's {choice.name}; `moltghost models add` with it "
        "takes that very file."
    )
    return replace(choice, said=f"{choice.said} {said}".strip())


def _meant(name: str) -> ModelChoice:
    typed = without_address(name.strip()).lower()
    if tagged := _tags().get(plain_name(typed)):
        return tagged
    if latest_elsewhere(typed):
        raise _unknown(name, typed)
    if choice := _of_library(typed) or _ours(typed, name):
        return choice
    match = _QUANTIZATION.search(typed)
    base = typed[: match.start()] if match else typed
    if match and (model := _only(_named(base), name)):
        return ModelChoice(model, _quantization(model, match["typed"]))
    raise _unknown(name, base)


def _of_library(typed: str) -> ModelChoice | None:
    """What Ollama's library calls so, without a quantization."""
    plain = plain_name(typed)
    if (model := _library().get(plain)) and ":" in typed:
        if model.ollama_default in model.files:
            return ModelChoice(
                model,
                model.ollama_default,
                defaulted=True,
                said=f"Ollama's {typed} is {model.id} in {model.ollama_default}.",
            )
        return _instead(model, typed)
    if plain not in _exact() and (model := _library().get(plain + _LATEST)):
        return _instead(model, typed)
    return None


def _instead(model: Model, typed: str) -> ModelChoice:
    """Our default, with what Ollama would have taken."""
    taken = model.default_quantization
    said = f"Ollama's {typed} is {model.id} in {model.ollama_default}"
    if taken != model.ollama_default:
        why = f"{model.family}'s default here"
        if model.ollama_default not in model.files:
            why += f", and the catalogue has no {model.ollama_default} of it"
        said += f"; {taken} was taken, {why}"
    return ModelChoice(model, taken, defaulted=True, said=f"{said}.")


def _ours(typed: str, name: str) -> ModelChoice | None:
    model = _only(_named(typed), name)
    if model is None:
        return None
    taken = model.default_quantization
    said = f"No quantization was named: {taken}, {model.family}'s default."
    return ModelChoice(model, taken, defaulted=True, said=said)


def _quantization(model: Model, typed: str) -> str:
    short = {f.shorthand: f.name for f in file_types().values() if f.shorthand}
    spellings = {plain_name(q): q for q in model.files}
    spellings |= {s: q for s, q in short.items() if q in model.files}
    spellings |= {"q4": model.q4, "fp16": "F16", "bf16": "F16"}
    found = spellings.get(plain_name(typed), "")
    if found in model.files:
        return found
    raise Refused(
        f"{model.id} has no quantization {typed!r} here",
        f"it has {', '.join(model.quantizations)}, and q4 means {model.q4}; they are GGUF files of "
        "llama.cpp, which Ollama serves",
    )


def _named(typed: str) -> tuple[Model, ...]:
    """Models of exactly this name, else those whose name it begins (whole words)."""
    plain = plain_name(typed)
    exact = _exact().get(plain)
    return (exact,) if exact else tuple(m for m in models() if plain in _beginnings(m))


def _beginnings(model: Model) -> Iterator[str]:
    return accumulate(plain_name(word) for word in model.id.split("-"))


def _only(found: tuple[Model, ...], name: str) -> Model | None:
    if len(found) > 1:
        raise Refused(
            f"{name!r} may be any of {', '.join(m.id for m in found)}",
            f"say which, for example {found[0].id}-q4; `{LIST_COMMAND}` lists all",
        )
    return found[0] if found else None


def _unknown(name: str, base: str) -> Refused:
    ids = [m.id for m in models()]
    from difflib import get_close_matches  # only a wrong name pays for it

    near = get_close_matches(base, ids, n=_NEAREST, cutoff=0.5) or get_close_matches(
        plain_name(base), ids, n=_NEAREST, cutoff=0.0
    )
    reason, hint = why_unknown(name.strip(), near)
    return Refused(f"there is no model {name!r} in the catalogue{reason}", hint)


@cache
def _tags() -> Mapping[str, ModelChoice]:
    return MappingProxyType(dict(_tag_items(models())))


def _tag_items(every: Iterable[Model]) -> Iterator[tuple[str, ModelChoice]]:
    for model in every:
        for file in model.files.values():
            tag = file.ollama_tag
            if tag and tag not in model.ollama_names:
                yield plain_name(tag.lower()), ModelChoice(model, file.quantization)


@cache
def _library() -> Mapping[str, Model]:
    """Ollama's names without a quantization."""
    return MappingProxyType({plain_name(n): m for m in models() for n in m.ollama_names})


@cache
def _exact() -> Mapping[str, Model]:
    """Every spelling of a model: ours, Ollama's and its repository's on the hub."""
    hub = {plain_name(m.hf_repo.partition("/")[2].lower()): m for m in models()}
    ours = {plain_name(s): m for m in models() for s in (m.id, *m.aliases)}
    return MappingProxyType({**hub, **_library(), **ours})


def plain_name(text: str) -> str:
    """A name without case, separators and words that say nothing about which model it is."""
    return "".join(word for word in _SEPARATORS.split(text.lower()) if word not in _NOISE)
