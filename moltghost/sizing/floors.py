"""The product text's resource table: the least that a size class gets, whatever it would need.

| parameters | GPU memory | storage | GPUs it names |
|---|---|---|---|
| up to 20B | 24 GB | 10 GB | 1 x L40S |
| up to 80B | 80 GB | 50 GB | 1 x A100 |
| above | 160 GB | 200 GB | 2 x H100 |

GPU memory is nominal, in total, of any GPU kind. `--gpu` or `--memory` replaces it; the storage
stays. The text's rows are 7B-13B, 30B-70B and 100B+; the bounds between them are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

_BILLION = 10**9


@dataclass(frozen=True, slots=True)
class Floor:
    """Nominal GPU memory and storage of a size class, 10^9 bytes.

    Attributes:
        size_class: in words, `up to 80B`.
        named_gpu, named_count: the GPUs that the product text names for it.
    """

    size_class: str
    gpu_memory_gb: int
    storage_gb: int
    named_gpu: str
    named_count: int


_UP_TO = (
    (20, Floor("up to 20B", 24, 10, "l40s", 1)),
    (80, Floor("up to 80B", 80, 50, "a100-80", 1)),
)
_ABOVE = Floor("above 80B", 160, 200, "h100", 2)


def floor_of(parameters: int) -> Floor:
    """The floor of a model's size class."""
    return next((f for billions, f in _UP_TO if parameters <= billions * _BILLION), _ABOVE)
