"""A sizing as people read it: a memory bar per GPU, the choice, why, and what else there is.

Plain strings and click's colours, no table library: `moltghost size` starts in a blink.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

import click

from moltghost.cli.options import wants_color
from moltghost.cli.views.candidates import bold, candidate_lines, dim
from moltghost.sizing import GpuShare, Sizing
from moltghost.units import GB, GIB, format_context, format_duration

_MIN_WIDTH, _MAX_WIDTH = 60, 110
_LABEL = 9


@dataclass(frozen=True, slots=True)
class _Part:
    """A stretch of the memory bar."""

    name: str
    glyph: str
    ascii: str
    colour: str


_WEIGHTS = _Part("weights", "█", "#", "blue")
_KV = _Part("KV cache", "▓", "%", "cyan")
_COMPUTE = _Part("compute", "▒", "+", "yellow")
_MARGIN = _Part("margin", "░", "-", "magenta")
_FREE = _Part("free", "·", ".", "bright_black")


def show_sizing(sizing: Sizing) -> None:
    """Print the answer of `size`, fitted to the terminal's width."""
    width = max(_MIN_WIDTH, min(shutil.get_terminal_size((100, 24)).columns, _MAX_WIDTH))
    blocks = [_head(sizing, width), _memory(sizing, width), _facts(sizing, width)]
    blocks.append(_why(sizing, width))
    if len(sizing.candidates) > 1:
        blocks.append(candidate_lines(sizing, width))
    for number, block in enumerate(blocks):
        if number:
            _echo("")
        for line in block:
            _echo(line)


def _echo(line: str) -> None:
    click.echo(line.rstrip(), color=None if wants_color() else False)


def _head(sizing: Sizing, width: int) -> Iterator[str]:
    placement, cost = sizing.placement, sizing.cost
    slots = "1 slot" if sizing.parallel == 1 else f"{sizing.parallel} slots"
    served = f"{format_context(sizing.context)} context, {slots}, {sizing.kv_cache} KV cache"
    yield bold(sizing.name)
    yield dim(served)
    yield ""
    what = f"{placement.hardware} on {placement.instance_type}"
    price = (
        f"${cost.usd_per_hour:,.2f}/h  ${cost.usd_per_month:,.0f}/month"
        if placement.gpu_count
        else "no price: this machine"
    )
    if len(what) + len(price) + 2 <= width:
        yield bold(what) + " " * (width - len(what) - len(price)) + bold(price)
    else:
        yield bold(what)
        yield bold(price)


def _memory(sizing: Sizing, width: int) -> Iterator[str]:
    if not sizing.placement.gpu_count:
        yield from _wrapped("memory", _system_memory(sizing), width)
        return
    free = sizing.placement.free_bytes_per_gpu
    shares = sizing.footprint.per_gpu
    bar_width = width - _LABEL - len(" 78.6 of 78.6 GiB")
    for number, share in enumerate(shares):
        used = f" {share.needed_bytes / GIB:4.1f} of {free / GIB:.1f} GiB"
        yield f"{f'GPU {number}':<{_LABEL}}{_bar(share, free, bar_width)}{used}"
    yield from _legend(max(shares, key=lambda s: s.needed_bytes), free, len(shares), width)


def _system_memory(sizing: Sizing) -> str:
    need = sizing.footprint
    parts = (
        ("weights", need.weights_bytes),
        ("KV cache", need.kv_cache_bytes),
        ("compute", need.compute_bytes),
        ("Ollama itself", need.overhead_bytes),
        ("margin", need.margin_bytes),
    )
    named = ", ".join(f"{name} {size / GIB:.1f}" for name, size in parts)
    return f"{need.total_bytes / GIB:.1f} GiB of system memory: {named}"


def _parts(share: GpuShare, free: int) -> list[tuple[_Part, int]]:
    """Stretches of one GPU; the CUDA context is outside: `free` is what it leaves."""
    return [
        (_WEIGHTS, share.weights_bytes),
        (_KV, share.kv_cache_bytes),
        (_COMPUTE, share.compute_bytes + share.kv_workspace_bytes),
        (_MARGIN, share.margin_bytes),
        (_FREE, free - share.needed_bytes),
    ]


def _bar(share: GpuShare, free: int, width: int) -> str:
    """Cells by largest remainder, and at least one for whatever is there at all."""
    parts = _parts(share, free)
    cells = [max(1, size * width // free) if size > 0 else 0 for _, size in parts]
    cells[-1] = max(0, width - sum(cells[:-1]))
    surplus = sum(cells) - width
    cells[0] -= max(0, surplus)
    return "".join(
        click.style(_glyph(part) * count, fg=part.colour)
        for (part, _), count in zip(parts, cells, strict=True)
    )


def _glyph(part: _Part) -> str:
    try:
        part.glyph.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return part.ascii
    return part.glyph


def _legend(share: GpuShare, free: int, gpus: int, width: int) -> Iterator[str]:
    """What the stretches mean, with the GiB of one GPU, of several of the fullest."""
    label, used = "GiB" if gpus == 1 else "fullest", 0
    line = f"{label:<{_LABEL}}"
    for part, size in _parts(share, free):
        text = f"{part.name} {size / GIB:.1f}"
        if used and used + len(text) + 2 > width - _LABEL:
            yield line
            line, used = " " * _LABEL, 0
        line += f"{click.style(_glyph(part), fg=part.colour)} {text}  "
        used += len(text) + 4
    yield line


def _facts(sizing: Sizing, width: int) -> Iterator[str]:
    rows = [("speed", _speed(sizing)), ("start", _start(sizing)), ("pod", _pod(sizing))]
    if sizing.placement.gpu_count:
        rows = [("node", _node(sizing)), *rows, ("update", _update(sizing))]
    for label, text in rows:
        yield from _wrapped(label, text, width)


def _wrapped(label: str, text: str, width: int) -> Iterator[str]:
    lines = textwrap.wrap(text, width - _LABEL) or [""]
    yield bold(f"{label:<{_LABEL}}") + lines[0]
    yield from (" " * _LABEL + line for line in lines[1:])


def _node(sizing: Sizing) -> str:
    placement, cost = sizing.placement, sizing.cost
    whole = f"${placement.node_usd_per_hour:,.2f}/h"
    if not placement.dedicated:
        if placement.node_gpu_count == placement.gpu_count:
            return f"all of its node's GPUs ({whole}), so nothing is left to share"
        return (
            f"{placement.gpu_count} of the {placement.node_gpu_count} GPUs of a shared node "
            f"({whole})"
        )
    if not cost.idle_gpu_count:
        return f"dedicated, every GPU in use; prices of {cost.region}, {cost.as_of}"
    return (
        f"dedicated ({whole}), {cost.idle_gpu_count} of {placement.node_gpu_count} GPUs idle: "
        f"${cost.idle_usd_per_hour:,.2f}/h; prices of {cost.region}, {cost.as_of}"
    )


def _speed(sizing: Sizing) -> str:
    speed = sizing.speed
    if speed.tokens_per_second is None or speed.first_token_seconds is None:
        return f"not predicted: {speed.basis}"
    low, high = speed.tokens_per_second
    first_low, first_high = speed.first_token_seconds
    text = (
        f"{_figure(low)} to {_figure(high)} tokens/s; first token after {_figure(first_low)} to "
        f"{_figure(first_high)} s ({speed.prompt_tokens}-token prompt)"
    )
    if speed.agent_first_token_seconds and speed.agent_prompt_tokens > speed.prompt_tokens:
        agent_low, agent_high = speed.agent_first_token_seconds
        text += (
            f", {_figure(agent_low)} to {_figure(agent_high)} s "
            f"({speed.agent_prompt_tokens} tokens, an agent's)"
        )
    return text


def _figure(value: float) -> str:
    """Two digits: an interval from measurements has no more."""
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def _start(sizing: Sizing) -> str:
    load = sizing.load
    return (
        f"{sizing.file_bytes / GB:.1f} GB file: copy {format_duration(load.download_seconds)}, "
        f"verify {format_duration(load.verify_seconds)}, "
        f"load {format_duration(load.load_seconds)}"
    )


def _pod(sizing: Sizing) -> str:
    resources = sizing.resources
    return (
        f"{resources.cpu} vCPU, {resources.memory_bytes / GIB:.3g} GiB memory, "
        f"{resources.ephemeral_storage_bytes / GB:.3g} GB disk"
    )


def _update(sizing: Sizing) -> str:
    cost = sizing.cost
    if not cost.surge_vcpu:
        return "nothing on top: old and new run side by side on the one node"
    most = "" if sizing.placement.dedicated else "at most "
    return (
        f"{most}+${cost.surge_usd_per_hour:,.2f}/h while old and new run side by side "
        f"({cost.surge_vcpu} vCPU of quota {cost.surge_quota})"
    )


def _why(sizing: Sizing, width: int) -> Iterator[str]:
    yield bold("Why")
    for sentence in sizing.why:
        yield from textwrap.wrap(sentence, width, initial_indent="  - ", subsequent_indent="    ")
