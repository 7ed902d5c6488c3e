"""Whether the store has what an agent's pod will copy: asked before anything changes."""

from __future__ import annotations

from dataclasses import dataclass

from moltghost.environments.environment import Environment
from moltghost.errors import Failed, Refused
from moltghost.models.names import ModelChoice
from moltghost.models.pinned import pinned_download
from moltghost.planning.agent import AgentPlan
from moltghost.weights_store.store import Store, StoreState, store_at


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A model whose store isn't complete, though an agent's pod needs it.

    Args:
        choice: model and quantization.
        environment: whose store it is.
        store: what is there of it.
    """

    choice: ModelChoice
    environment: str
    store: Store

    @property
    def command(self) -> str:
        """What builds it."""
        anew = " --replace" if self.store.state is StoreState.DAMAGED else ""
        return f"moltghost weights add {self.choice.name}{anew} --env {self.environment}"

    @property
    def can_be_built(self) -> bool:
        """Whether that needs nothing more from a person."""
        return self._has_source and self.store.state is not StoreState.DAMAGED

    @property
    def _has_source(self) -> bool:
        return pinned_download(self.choice.model, self.choice.quantization) is not None

    def refusal(self) -> Refused:
        """The error for a change that can't go on without it."""
        name = f"{self.choice.model.id} {self.choice.quantization}"
        state = {
            StoreState.ABSENT: f"the weights store of {self.environment} doesn't have {name}",
            StoreState.PARTIAL: f"the store of {name} in {self.environment} isn't finished",
            StoreState.DAMAGED: f"the store of {name} in {self.environment} is damaged: "
            + "; ".join(self.store.problems),
        }
        source = "" if self._has_source else " --from FILE.gguf"
        return Refused(state[self.store.state], f"{self.command}{source} builds it")


def missing_store(environment: Environment, plan: AgentPlan, model: str) -> Missing | None:
    """What an agent's pods would wait for in vain; None where there is all.

    Args:
        environment: the agent's.
        plan: the agent as it shall be.
        model: as its config names it.

    Raises:
        Refused: the store can't be asked.
    """
    bucket = environment.bucket()
    try:
        store = store_at(bucket, plan.model_server.store_url)
    except Failed as error:
        raise Refused(f"the weights store can't be asked: {error.message}", error.hint) from error
    if store.state is StoreState.COMPLETE:
        return None
    return Missing(
        choice=environment.config.models.find(model), environment=environment.name, store=store
    )
