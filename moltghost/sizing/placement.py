"""Which EC2 types a model fits on, and which of them it gets.

For each type: the fewest of its GPUs on which every GPU has room for its share, the margin
included, and whose nominal memory reaches the floor (or what was asked for); then CPU, system
memory and disk of the node. Of the types that pass, the cheapest whole node wins for a dedicated
agent, the cheapest GPUs otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from moltghost.models.hardware import gpu_kind, instance_types
from moltghost.models.hardware_facts import GpuKind, InstanceType
from moltghost.models.names import ModelChoice
from moltghost.sizing.cost import gpu_share
from moltghost.sizing.floors import Floor, floor_of
from moltghost.sizing.footprint import largest_need
from moltghost.sizing.request import Pool, SizingRequest
from moltghost.sizing.resources import Shortfall, kept_bytes, resources, shortfalls
from moltghost.sizing.weights import WeightLayout, layout

# No measurement exists of a model split over more GPUs (4 x L40S, 4 x A100, 4 x H100), so a wider
# split is taken only where nothing narrower fits, or where its GPU kind was asked for.
WIDEST_MEASURED_SPLIT = 4


class Verdict(StrEnum):
    """Why a type is or isn't eligible."""

    FITS = "fits"
    NO_POOL = "no pool"
    NOT_ASKED = "other GPU asked for"
    GPU_MEMORY = "GPU memory"
    FLOOR = "floor"
    ASKED_MEMORY = "asked memory"
    NODE = "node"
    NO_PRICE = "no price"


@dataclass(frozen=True, slots=True)
class Option:
    """One instance type weighed for one request.

    Attributes:
        verdict: whether it is eligible, else the first reason why not.
        gpu_count: GPUs it takes, or would without the floor; all of the node's where even they
            don't suffice.
        needed_bytes: what the fullest of them must have free, margin included.
        pool: the environment's pool that has it, None without one.
        shortfalls: what its node has too little of.
        usd_per_hour: of the GPUs taken; None without a price.
    """

    kind: InstanceType
    card: GpuKind
    verdict: Verdict
    gpu_count: int
    needed_bytes: int
    pool: str | None
    shortfalls: tuple[Shortfall, ...] = ()
    usd_per_hour: Decimal | None = None

    @property
    def eligible(self) -> bool:
        """The model can be placed here."""
        return self.verdict is Verdict.FITS

    @property
    def missing_bytes(self) -> int:
        """GPU memory that the fullest GPU lacks; 0 where the model fits."""
        return max(0, self.needed_bytes - self.card.free_at_cuda_init_bytes)

    def pays(self, dedicated: bool) -> Decimal:
        """USD per hour that the agent pays here; the type has a price."""
        paid = self.kind.usd_per_hour if dedicated else self.usd_per_hour
        if paid is None:
            raise ValueError(f"{self.kind.type} has no price")
        return paid


@dataclass(frozen=True, slots=True)
class Weighing:
    """A request with its model, and every GPU type weighed for it."""

    request: SizingRequest
    choice: ModelChoice
    weights: WeightLayout
    floor: Floor
    options: tuple[Option, ...]

    @property
    def chosen(self) -> Option | None:
        """The placement: the cheapest eligible option, None where there is none."""
        found = sorted((o for o in self.options if o.eligible), key=self.rank)
        return found[0] if found else None

    def rank(self, option: Option) -> tuple[int, bool, Decimal, Decimal, str]:
        """Order of eligible options: the first is chosen."""
        kinds = self.request.gpu_kinds
        dedicated = self.request.dedicated
        return (
            kinds.index(option.card.kind) if kinds else 0,
            not kinds and option.gpu_count > WIDEST_MEASURED_SPLIT,
            option.pays(dedicated),
            option.pays(True),
            option.kind.type,
        )


def weigh(request: SizingRequest, choice: ModelChoice, pools: Sequence[Pool]) -> Weighing:
    """Weighs every GPU type of the catalogue.

    Args:
        request: what is asked; checked by `request.check`.
        choice: its model.
        pools: the environment's GPU pools.
    """
    weights = layout(choice.model, choice.quantization)
    floor = floor_of(choice.model.parameters)
    by_type = {name: pool.name for pool in pools for name in pool.instance_types}
    scale = _Scale(request, choice, weights, floor, {})
    options = tuple(
        scale.weigh(kind, by_type.get(kind.type)) for kind in instance_types().values() if kind.gpu
    )
    return Weighing(request, choice, weights, floor, options)


@dataclass(frozen=True, slots=True)
class _Scale:
    request: SizingRequest
    choice: ModelChoice
    weights: WeightLayout
    floor: Floor
    needs: dict[int, int]

    def weigh(self, kind: InstanceType, pool: str | None) -> Option:
        card = gpu_kind(kind.gpu or "")
        gpus = self._fewest(kind, card, self._required_gb)
        price = kind.usd_per_hour
        taken = gpus or self._fewest(kind, card, 0) or kind.gpu_count
        short = self._shortfalls(kind, taken)
        return Option(
            kind=kind,
            card=card,
            verdict=self._verdict(kind, card, pool, gpus, short),
            gpu_count=taken,
            needed_bytes=self._need(taken),
            pool=pool,
            shortfalls=short,
            usd_per_hour=None if price is None else gpu_share(price, taken, kind.gpu_count),
        )

    def _verdict(
        self,
        kind: InstanceType,
        card: GpuKind,
        pool: str | None,
        gpus: int | None,
        short: tuple[Shortfall, ...],
    ) -> Verdict:
        asked = self.request.gpu_kinds
        if asked and card.kind not in asked:
            return Verdict.NOT_ASKED
        if pool is None:
            return Verdict.NO_POOL
        if gpus is None and self._fewest(kind, card, 0) is None:
            return Verdict.GPU_MEMORY
        if short:
            return Verdict.NODE
        if gpus is None:
            return Verdict.FLOOR if self.request.memory_gb is None else Verdict.ASKED_MEMORY
        return Verdict.FITS if kind.usd_per_hour is not None else Verdict.NO_PRICE

    @property
    def _required_gb(self) -> int:
        if self.request.memory_gb is not None:
            return self.request.memory_gb
        return 0 if self.request.gpu else self.floor.gpu_memory_gb

    def _fewest(self, kind: InstanceType, card: GpuKind, required_gb: int) -> int | None:
        free = card.free_at_cuda_init_bytes
        return next(
            (
                gpus
                for gpus in range(1, kind.gpu_count + 1)
                if gpus * card.nominal_gb >= required_gb and self._need(gpus) <= free
            ),
            None,
        )

    def _need(self, gpus: int) -> int:
        if gpus not in self.needs:
            self.needs[gpus] = largest_need(
                self.weights, self.choice.model.shape, self.request.load, gpus
            )
        return self.needs[gpus]

    def _shortfalls(self, kind: InstanceType, gpus: int) -> tuple[Shortfall, ...]:
        kept = kept_bytes(self.choice.model.shape, self.request.load)
        wanted = resources(self.weights.file_bytes, gpus, self.floor.storage_gb, kept)
        return shortfalls(wanted, kind)
