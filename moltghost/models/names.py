"""Model names as users type them: `llama3.1-70b-q4`, `Llama-3.1:70B`, `qwen2.5-72b-q4_K_S`.

Case and separators don't matter. A name without a quantization means the family's default, and
`q4` means the family's Q4 in the product text (Q4_K_S for Qwen 2.5, Q4_K_M for the others).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from itertools import accumulate
from types import MappingProxyType

from moltghost.errors import Refused
from moltghost.models.catalogue import file_types, models
from moltghost.models.facts import Model, ModelFile

LIST_COMMAND = "moltghost models"
_QUANTIZATION = re.compile(r"[-_:.]?(?P<typed>(?:i?q\d|bf16|fp16|f16|f32)[a-z0-9_]*)$")
_NOISE = re.compile(r"instruct|[^a-z0-9]")
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model and one of its quantizations.

    Attributes:
        defaulted: the name didn't say the quantization, so the family's default was taken.
    """

    model: Model
    quantization: str
    defaulted: bool = False

    @property
    def name(self) -> str:
        """Its full name, `llama3.1-70b-q4_K_M`; `find_model` of it is this choice."""
        if self.file.tensors:
            return self.model.id
        spelled = self.quantization[0].lower() + self.quantization[1:]
        return f"{self.model.id}-{spelled}"

    @property
    def file(self) -> ModelFile:
        """Facts of its file."""
        return self.model.files[self.quantization]


def find_model(name: str) -> ModelChoice:
    """The model and quantization that a name means.

    Raises:
        Refused: nothing or several things have that name, or not in that quantization.
    """
    typed = name.strip().lower()
    if tagged := _tags().get(_plain(typed)):
        return tagged
    if model := _only(_named(typed), name):
        return ModelChoice(model, model.default_quantization, defaulted=True)
    match = _QUANTIZATION.search(typed)
    if match and (model := _only(_named(typed[: match.start()]), name)):
        return ModelChoice(model, _quantization(model, match["typed"]))
    raise _unknown(name, typed[: match.start()] if match else typed)


def _quantization(model: Model, typed: str) -> str:
    short = {f.shorthand: f.name for f in file_types().values() if f.shorthand}
    spellings = {_plain(q): q for q in model.files}
    spellings |= {s: q for s, q in short.items() if q in model.files}
    spellings |= {"q4": model.q4, "fp16": "F16"}
    try:
        return spellings[_plain(typed)]
    except KeyError:
        raise Refused(
            f"{model.id} has no quantization {typed!r}",
            f"it has {', '.join(model.quantizations)}, and q4 means {model.q4}",
        ) from None


def _named(typed: str) -> tuple[Model, ...]:
    """Models of exactly this name, else those whose name it begins (whole words)."""
    plain = _plain(typed)
    exact = tuple(m for m in models() if plain in {_plain(s) for s in (m.id, *m.aliases)})
    return exact or tuple(m for m in models() if plain in _beginnings(m))


def _beginnings(model: Model) -> Iterator[str]:
    return accumulate(_plain(word) for word in model.id.split("-"))


def _only(found: tuple[Model, ...], name: str) -> Model | None:
    if len(found) > 1:
        raise Refused(
            f"{name!r} may be any of {', '.join(m.id for m in found)}",
            f"say which, for example {found[0].id}-q4; `{LIST_COMMAND}` lists all",
        )
    return found[0] if found else None


def _unknown(name: str, base: str) -> Refused:
    ids = [m.id for m in models()]
    near = get_close_matches(base, ids, n=_NEAREST, cutoff=0.5) or get_close_matches(
        _plain(base), ids, n=_NEAREST, cutoff=0.0
    )
    return Refused(
        f"there is no model {name!r} in the catalogue; nearest: {', '.join(near)}",
        f"`{LIST_COMMAND}` lists every model",
    )


@cache
def _tags() -> Mapping[str, ModelChoice]:
    return MappingProxyType(dict(_tag_items(models())))


def _tag_items(every: Iterable[Model]) -> Iterator[tuple[str, ModelChoice]]:
    for model in every:
        for file in model.files.values():
            if file.ollama_tag:
                yield _plain(file.ollama_tag.lower()), ModelChoice(model, file.quantization)


def _plain(text: str) -> str:
    return _NOISE.sub("", text.lower())
