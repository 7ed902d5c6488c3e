"""A change of an agent's config: what each field becomes, and which are left as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any, Literal

from moltghost.config import AgentSpec, ModelSpec, StackName, parse_spec


class Reset(Enum):
    """What a field becomes that gets its default again."""

    RESET = "auto"
    """As people write it."""


RESET = Reset.RESET


@dataclass(frozen=True, kw_only=True)
class AgentPatch:
    """A value for each field of `AgentSpec`; None leaves it as it is, `RESET` takes it out.

    Quantities are as people write them (``32k``); `over` reads them by the config's own rules.
    """

    model: str | Reset | None = None
    context: int | str | Reset | None = None
    parallel: int | Reset | None = None
    kv_cache: Literal["f16", "q8_0", "q4_0"] | Reset | None = None
    gpu: str | Reset | None = None
    memory: int | str | Reset | None = None
    sharing: Literal["dedicated", "owner"] | Reset | None = None
    owner: str | Reset | None = None
    strategy: Literal["surge", "in-place"] | Reset | None = None
    token_rotation: int | Reset | None = None
    moves: int | Reset | None = None
    paused: bool | Reset | None = None

    @classmethod
    def of_words(cls, words: Mapping[str, Any]) -> AgentPatch:
        """The patch of a command's options, where ``auto`` lets the sizing choose again."""
        return cls(**{name: RESET if each == RESET.value else each for name, each in words.items()})

    @classmethod
    def to(cls, wanted: ModelSpec, names: Iterable[str]) -> AgentPatch:
        """The patch that makes these fields what another config says, its defaults as well."""
        written = wanted.model_dump(mode="json", exclude_defaults=True)
        return cls(**{name: written.get(name, RESET) for name in names})

    @property
    def empty(self) -> bool:
        """Whether it leaves everything as it is."""
        return self == AgentPatch()

    def over(self, current: AgentSpec | None, stack: StackName) -> AgentSpec:
        """An agent's config with this change; that of a new agent where there is none.

        Raises:
            Refused: a value is invalid, or one is missing.
        """
        merged = current.as_written() if current else {"kind": "agent"}
        if not self.empty:
            # A strategy is how one change is made, not a trait of the agent.
            merged.pop("strategy", None)
        for field in fields(self):
            value = getattr(self, field.name)
            if value is RESET:
                merged.pop(field.name, None)
            elif value is not None:
                merged[field.name] = value
        spec = parse_spec(merged, stack, where="the command's options")
        assert isinstance(spec, AgentSpec)  # noqa: S101 the kind is set above
        return spec
