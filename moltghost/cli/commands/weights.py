"""`moltghost weights ...`: the model stores that agents' pods copy their weights from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from moltghost.cli.options import confirm, env_option, json_option, project_folder, yes_option
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.tables import print_table
from moltghost.environments.environment import Environment
from moltghost.environments.factory import open_environment
from moltghost.errors import ExitCode
from moltghost.lifecycle.weights.build import add as add_store
from moltghost.lifecycle.weights.maintenance import (
    Listed,
    Verified,
    list_sources,
    list_weights,
    removable,
    removable_sources,
    remove_sources,
    remove_weights,
    verify_weights,
)
from moltghost.lifecycle.weights.source import Request
from moltghost.units import format_bytes
from moltghost.weights_store.store import Store


@click.group()
def weights() -> None:
    """Build, list, verify and remove model stores."""


@weights.command()
@click.argument("model")
@click.option("--from", "from_", metavar="FILE|URL", help="A GGUF file, or its https address.")
@click.option("--sha256", help="Of the file that --from names; an address needs it.")
@click.option("--quantize", metavar="TYPE", help="Make this of an F16, BF16 or F32 file: q4_K_M.")
@click.option("--unchecked", is_flag=True, help="Take a file whose header names another model.")
@click.option("--replace", is_flag=True, help="Rebuild the store even if it exists.")
@env_option
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    /,
    model: str,
    from_: str | None,
    sha256: str | None,
    quantize: str | None,
    unchecked: bool,
    replace: bool,
    environment: str,
    as_json: bool,
) -> None:
    """Build the store of MODEL in an environment; one that is good already is left alone.

    The source is fetched, held against its sha256 and its header, uploaded, and built into a store
    by a job in the cluster. Interrupted, the same command continues where it stopped.

    \b
    Examples:
      moltghost weights add gemma3-270m-q4
      moltghost weights add llama3.1-8b-q4
      moltghost weights add llama3.1-8b-q5 --from llama-3.1-8b-q5_k_m.gguf
      moltghost weights add llama3.1-8b --from llama-3.1-8b-f16.gguf --quantize q4_K_M --env prod
    """
    request = Request(
        model=model,
        from_=from_ or "",
        sha256=(sha256 or "").lower(),
        quantize=quantize or "",
        unchecked=unchecked,
        replace=replace,
    )
    with Progress(quiet=as_json) as progress:
        added = add_store(
            open_environment(project_folder(ctx), environment), request, progress.report
        )
    if as_json:
        click.echo(json.dumps({**_store_json(added.store), "built": added.built}))
        return
    what = "is in the weights store" if added.built else "was in the weights store already"
    click.echo(f"{added.store.name} {what} of {environment}: {_facts(added.store)}")


@weights.command("list")
@env_option
@json_option
@click.pass_context
def list_command(ctx: click.Context, environment: str, as_json: bool) -> None:
    """List the model stores of an environment, with what state they are in and who needs them.

    Sources, which stores were built from, are listed by their size.

    \b
    Example:
      moltghost weights list --env local
    """
    opened = open_environment(project_folder(ctx), environment)
    found, sources = list_weights(opened), list_sources(opened)
    if as_json:
        stores = [_listed_json(each) for each in found]
        click.echo(json.dumps({"stores": stores, "sources": _sources_json(sources)}))
        return
    if found:
        _print_list(found)
    else:
        click.echo(f"no model store in {environment}; moltghost weights add MODEL builds one")
    _print_sources(sources, environment)


@weights.command()
@click.argument("model", default="")
@env_option
@json_option
@click.pass_context
def verify(ctx: click.Context, model: str, environment: str, as_json: bool) -> None:
    """Read the store of MODEL again, or every store, and hash every object.

    \b
    Examples:
      moltghost weights verify
      moltghost weights verify gemma3-270m-q4 --env prod
    """
    with Progress(quiet=as_json) as progress:
        opened = open_environment(project_folder(ctx), environment)
        found = verify_weights(opened, model, progress.report)
    if as_json:
        click.echo(json.dumps([_verified_json(each) for each in found]))
    else:
        for each in found:
            _print_verified(each, environment)
        if not found:
            click.echo(f"no finished model store in {environment}")
    if any(each.findings for each in found):
        ctx.exit(ExitCode.FAILED)


@weights.command()
@click.argument("model", default="")
@click.option("--sources", is_flag=True, help="Instead: every source that no job builds from.")
@env_option
@yes_option
@json_option
@click.pass_context
def remove(
    ctx: click.Context, /, model: str, sources: bool, environment: str, yes: bool, as_json: bool
) -> None:
    """Remove the store of MODEL; refused while an agent uses it, or would go back to it.

    A store doesn't need what it was built from: --sources removes that. What is built from it
    again is uploaded again.

    \b
    Examples:
      moltghost weights remove gemma3-270m-q4 --yes
      moltghost weights remove --sources --env prod
    """
    if bool(model) == sources:
        raise click.UsageError("name a MODEL, or give --sources")
    opened = open_environment(project_folder(ctx), environment)
    if sources:
        _remove_sources(opened, yes=yes, as_json=as_json)
    else:
        _remove_store(opened, model, yes=yes, as_json=as_json)


def _remove_sources(environment: Environment, *, yes: bool, as_json: bool) -> None:
    sources = removable_sources(environment)
    size = format_bytes(sum(sources.values()))
    if sources:
        confirm(f"Remove {len(sources)} sources ({size}) from {environment.name}?", yes=yes)
    removed = remove_sources(environment, sources)
    if as_json:
        click.echo(json.dumps({"sources": _sources_json(sources), "removed_objects": removed}))
    else:
        click.echo(f"{removed} sources are removed from {environment.name}: {size}")


def _remove_store(environment: Environment, model: str, *, yes: bool, as_json: bool) -> None:
    store = removable(environment, model)
    size = format_bytes(store.size_bytes)
    confirm(f"Remove the store of {store.name} ({size}) from {environment.name}?", yes=yes)
    removed = remove_weights(environment, store)
    if as_json:
        click.echo(json.dumps({**_store_json(store), "removed_objects": removed}))
    else:
        click.echo(f"{store.name} is removed from {environment.name}: {removed} objects, {size}")
        _print_sources(list_sources(environment), environment.name)


def _facts(store: Store) -> str:
    digest = store.record.manifest.digest[: len("sha256:") + 12] if store.record else "no digest"
    return f"Ollama {store.ollama_version}, {format_bytes(store.size_bytes)}, {digest}"


def _print_list(found: list[Listed]) -> None:
    print_table(
        ("model", "quantization", "Ollama", "size", "digest", "state", "used by"),
        [
            (
                each.store.model,
                each.store.quantization,
                each.store.ollama_version,
                format_bytes(each.store.size_bytes),
                each.store.record.manifest.digest.removeprefix("sha256:")[:12]
                if each.store.record
                else "-",
                str(each.store.state),
                "not known" if each.used_by is None else ", ".join(each.used_by) or "-",
            )
            for each in found
        ],
        right=("size",),
    )


def _print_sources(sources: Mapping[str, int], environment: str) -> None:
    if sources:
        click.echo(
            f"sources of stores: {len(sources)}, {format_bytes(sum(sources.values()))}; "
            f"moltghost weights remove --sources --env {environment} removes what no job needs"
        )


def _print_verified(found: Verified, environment: str) -> None:
    store = found.store
    if not found.findings:
        files = len(store.record.files) if store.record else 0
        click.echo(f"{store.name}: good, {files} objects, {format_bytes(store.size_bytes)}")
        return
    click.secho(f"{store.name}: damaged", fg="red")
    for finding in found.findings:
        click.echo(f"  {finding.key}: {finding.why}")
    click.echo(
        "  running agents have their own copy and aren't affected; new pods refuse this store\n"
        f"  moltghost weights add {store.model}-{store.quantization} --replace "
        f"--env {environment} rebuilds it"
    )


def _store_json(store: Store) -> dict[str, Any]:
    record = store.record
    return {
        "model": store.model,
        "quantization": store.quantization,
        "ollama_version": store.ollama_version,
        "state": str(store.state),
        "size_bytes": store.size_bytes,
        "digest": record.manifest.digest if record else None,
        "source": record.source if record else None,
        "problems": list(store.problems),
    }


def _listed_json(found: Listed) -> dict[str, Any]:
    used = None if found.used_by is None else list(found.used_by)
    return {**_store_json(found.store), "used_by": used}


def _sources_json(sources: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"object": key, "size_bytes": size} for key, size in sources.items()]


def _verified_json(found: Verified) -> dict[str, Any]:
    findings = [{"object": each.key, "why": each.why} for each in found.findings]
    return {**_store_json(found.store), "findings": findings}
