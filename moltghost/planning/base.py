"""What all plans share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Plan(BaseModel):
    """A frozen set of decisions."""

    model_config = ConfigDict(frozen=True, extra="forbid")
