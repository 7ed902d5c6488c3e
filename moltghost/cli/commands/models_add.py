"""`moltghost models add`: a model of the hub, of Ollama's registry or of a file, as a record."""

from __future__ import annotations

import json
from pathlib import Path

import click

from moltghost.cli.options import json_option, project_folder
from moltghost.cli.views.progress import Progress
from moltghost.lifecycle.models.add import AddedModel, add_model, settled_name
from moltghost.lifecycle.models.look_up import Registries
from moltghost.models.sources import Registry
from moltghost.sizing.weights import file_bytes
from moltghost.units import format_bytes, format_context

_BILLION = 10**9


@click.command()
@click.argument("reference")
@click.option("--name", default="", help="What to call it; by default after its file.")
@json_option
@click.pass_context
def add(ctx: click.Context, reference: str, name: str, as_json: bool) -> None:
    """Write the record of the model at REFERENCE into the project's folder models/.

    Its header is read, not its weights: what it needs, what its chat template can do, and the
    digests of its files. Every command then takes its name, without asking a registry again.
    REFERENCE is hf:OWNER/REPO:QUANT (of a gated one, HF_TOKEN says who asks; HF_ENDPOINT names a
    mirror), ollama:NAME:TAG, or ./FILE.gguf.

    \b
    Examples:
      moltghost models add hf:unsloth/Qwen3-Coder-Next-GGUF:Q4_K_M
      moltghost models add ollama:someone/tuned:8b --name tuned-8b
      moltghost models add ./my-model.gguf
    """
    with Progress(quiet=as_json) as progress:
        added = add_model(project_folder(ctx), reference, name, Registries(), progress.report)
    if as_json:
        click.echo(json.dumps(_added_json(added)))
        return
    show_added(added, err=False)
    click.echo(f"moltghost size {added.choice.name} says what it needs")


def settle_model(project: Path, text: str | None, *, as_json: bool) -> str | None:
    """The name for a plan of what was typed as a model; a place in a registry gets a record."""
    if not text:
        return text
    with Progress(quiet=as_json) as progress:
        name, added = settled_name(project, text, Registries(), progress.report)
    if added:
        show_added(added, err=True)
    return name


def show_added(added: AddedModel, *, err: bool) -> None:
    """Print what a record says, and what to do with it."""
    model, file = added.choice.model, added.choice.file
    facts = [
        f"{model.parameters / _BILLION:.1f}B {model.shape.architecture}",
        added.choice.quantization,
        format_bytes(file_bytes(model, added.choice.quantization)),
        f"context {format_context(model.max_context)}",
        f"licence {model.licence}",
        *(name for name, has in _abilities(added) if has),
    ]
    state = "written: review and commit it" if added.written else "there already, unchanged"
    click.echo(f"{added.file}: {state}", err=err)
    click.echo(f"{added.choice.name}: {', '.join(facts)}", err=err)
    for note in (*_warnings(added), *added.notes):
        click.echo(f"  {note}", err=err)
    if file.source:
        click.echo(f"  from {_place(added)}", err=err)


def _abilities(added: AddedModel) -> list[tuple[str, bool]]:
    model = added.choice.model
    return [
        ("tools", model.tools),
        ("thinking", model.thinking.supported),
        ("vision", model.vision),
        ("one slot", model.one_slot),
    ]


def _warnings(added: AddedModel) -> list[str]:
    model, warnings = added.choice.model, []
    if not model.tools:
        warnings.append(f"unfit for agents: {model.agents.evidence}")
    if not model.shape.traits.proven:
        warnings.append(
            f"{model.shape.architecture} isn't proven against the engine: its compute buffer is an "
            "estimate"
        )
    return warnings


def _place(added: AddedModel) -> str:
    source = added.choice.file.source
    assert source is not None  # noqa: S101 a record always has one
    if source.registry is Registry.FILE:
        return f"{source.name}, sha256 {source.files[0].sha256}"
    return f"{added.choice.model.sources[0]} at {source.revision}, with the sha256 of each file"


def _added_json(added: AddedModel) -> dict[str, object]:
    model, source = added.choice.model, added.choice.file.source
    assert source is not None  # noqa: S101 a record always has one
    return {
        "name": added.choice.name,
        "file": added.file,
        "written": added.written,
        "reference": model.sources[0],
        "revision": source.revision,
        "quantization": added.choice.quantization,
        "parameters": model.parameters,
        "max_context": model.max_context,
        "licence": model.licence,
        "tools": model.tools,
        "thinking": model.thinking.supported,
        "vision": model.vision,
        "files": [
            {"name": f.name, "sha256": f.sha256, "bytes": f.size_bytes} for f in source.files
        ],
        "notes": [*_warnings(added), *added.notes],
    }
