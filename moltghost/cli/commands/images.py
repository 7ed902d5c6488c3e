"""`moltghost images`: the container images of an environment."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from moltghost.cli.options import confirm, env_option, json_option, project_folder, yes_option
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.tables import print_table
from moltghost.images.publication import Decision
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
    """List the images of an environment, without asking a registry.

    Images that this machine builds in place of upstream ones are marked, and so are substitutes
    with another version.

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
    with Progress(quiet=as_json) as progress:
        digests = pin_images(project_folder(ctx), environment, progress.report)
    if as_json:
        click.echo(json.dumps({"image_digests": digests}))
        return
    for name, digest in digests.items():
        click.echo(f"{name}: {digest}")
    _say_pinned(environment)


def _say_pinned(environment: str) -> None:
    click.echo(f"written to Pulumi.{environment}.yaml; moltghost up {environment} applies it")


@images.command("publish")
@click.argument("environment")
@click.option("--dry-run", is_flag=True, help="Ask the registries what there is to do, no more.")
@yes_option
@json_option
@click.pass_context
def publish(ctx: click.Context, environment: str, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Copy upstream's images into ENVIRONMENT's registry, push ours, and pin all of them.

    Upstream's images are copied by digest, with all their platforms, through this machine. Each is
    read back before its digest is written into the environment's config. What is there already
    isn't copied again.

    \b
    Examples:
      moltghost images publish dev --dry-run
      moltghost images publish dev
    """
    project = project_folder(ctx)
    if not dry_run:
        confirm(f"Copy and push images to the registry of {environment}, and pin them?", yes=yes)
    with Progress(quiet=as_json) as progress:
        decisions = publish_images(project, environment, progress.report, dry_run=dry_run)
    if as_json:
        images = [_as_json(each) for each in decisions]
        click.echo(json.dumps({"dry_run": dry_run, "images": images}))
        return
    for each in decisions:
        click.echo(f"{each.wanted.target}@{each.digest} ({_said(each, dry_run=dry_run)})")
    if not dry_run:
        _say_pinned(environment)


def _said(decision: Decision, *, dry_run: bool) -> str:
    source = decision.wanted.source
    return {
        "none": "is there already",
        "copy": f"to be copied from {source}" if dry_run else f"copied from {source}",
        "push": "to be pushed" if dry_run else "pushed",
    }[decision.action]


def _as_json(decision: Decision) -> dict[str, str]:
    return {
        "name": decision.wanted.name,
        "reference": decision.wanted.target,
        "digest": decision.digest,
        "source": "" if decision.wanted.archive else decision.wanted.source,
        "action": decision.action,
    }
