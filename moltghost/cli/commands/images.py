"""`moltghost images`: the container images of an environment."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from moltghost.cli.options import confirm, env_option, json_option, project_folder, yes_option
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.tables import print_table
from moltghost.lifecycle.images import ImageStatus
from moltghost.lifecycle.images import list_images as found_images
from moltghost.lifecycle.images import pin as pin_images
from moltghost.lifecycle.images import publish as publish_images
from moltghost.units import format_bytes

_DIGEST_CHARACTERS = len("sha256:") + 12


@click.group()
def images() -> None:
    """Images of an environment: what this machine builds itself, what a registry has."""


@images.command("list")
@env_option
@json_option
@click.pass_context
def list_images(ctx: click.Context, environment: str, as_json: bool) -> None:
    """List the images of an environment; asks no registry.

    What this machine builds in the place of an image of upstream says so, and a substitute that
    holds another version is marked.

    \b
    Examples:
      moltghost images list
      moltghost images list --env prod
    """
    found = found_images(project_folder(ctx), environment)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
        return
    local = any(each.built is not None for each in found)
    columns = ("image", "reference", "stands for" if local else "copied from", "archive", "digest")
    print_table(
        columns,
        [
            (
                each.name,
                each.reference.partition("@")[0],
                f"{each.stands_for}{' (substituted)' if each.substituted else ''}",
                _archive(each),
                each.digest[:_DIGEST_CHARACTERS],
            )
            for each in found
        ],
        whole=columns[1:4],
    )


def _archive(image: ImageStatus) -> str:
    if image.built is None:
        return ""
    return "not built" if image.size_bytes is None else format_bytes(image.size_bytes)


@images.command("pin")
@click.argument("environment")
@json_option
@click.pass_context
def pin(ctx: click.Context, environment: str, as_json: bool) -> None:
    """Write the digests that ENVIRONMENT's registry has now into its config.

    From then on nodes run exactly these images, whatever becomes of their tags.

    \b
    Example:
      moltghost images pin prod
    """
    digests = pin_images(project_folder(ctx), environment)
    if as_json:
        click.echo(json.dumps({"image_digests": digests}))
        return
    for name, digest in digests.items():
        click.echo(f"{name}: {digest}")
    click.echo(f"written to Pulumi.{environment}.yaml; moltghost up {environment} applies it")


@images.command("publish")
@click.argument("environment")
@yes_option
@json_option
@click.pass_context
def publish(ctx: click.Context, environment: str, yes: bool, as_json: bool) -> None:
    """Push the images that are ours to ENVIRONMENT's registry, building what is missing.

    Images of upstream are never replaced by what this machine builds in their place: how to copy
    them is printed.

    \b
    Example:
      moltghost images publish dev
    """
    project = project_folder(ctx)
    confirm(f"Push our images to the registry of {environment}?", yes=yes)
    with Progress(quiet=as_json) as progress:
        published, others = publish_images(project, environment, progress.report)
    if as_json:
        copies = [{"source": each.source, "target": each.image} for each in others]
        click.echo(json.dumps({"published": [asdict(p) for p in published], "to_copy": copies}))
        return
    for each in published:
        click.echo(f"{each.reference}@{each.digest}{'' if each.pushed else ' (was there already)'}")
    if others:
        click.echo("\nUpstream's images are copied from their registries, with crane for example:")
    for other in others:
        click.echo(f"  crane copy {other.source} {other.image.partition('@')[0]}")
