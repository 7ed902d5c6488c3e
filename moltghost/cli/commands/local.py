"""`moltghost local`: the embedded cluster."""

from __future__ import annotations

import dataclasses
import json

import click

from moltghost import paths
from moltghost.cli.options import confirm, json_option, yes_option
from moltghost.cli.views.progress import Progress
from moltghost.cli.views.tables import print_table
from moltghost.environments.embedded_cluster import recorded_stacks, remove_cluster
from moltghost.errors import ExitCode, Refused
from moltghost.local.cluster.cluster import ClusterStatus, EmbeddedCluster


@click.group()
def local() -> None:
    """The Kubernetes on this machine: real API server, scheduler and Karpenter, simulated nodes."""


@local.command("up")
@click.option(
    "--machine/--no-machine",
    default=None,
    help="Whether the cluster has a node on this machine, where pods really run (needs root). "
    "Without either: as before; a new cluster has none.",
)
@json_option
def up(machine: bool | None, as_json: bool) -> None:
    """Build what is missing and start what isn't running.

    \b
    Example:
      moltghost local up
    """
    with Progress(quiet=as_json) as progress:
        status = EmbeddedCluster(report=progress.report, machine=machine).up()
    _show(status, as_json)


@local.command("down")
@yes_option
@json_option
def down(yes: bool, as_json: bool) -> None:
    """Stop the cluster and remove its data, and the engine's records of the stacks in it.

    \b
    Example:
      moltghost local down --yes
    """
    cluster = EmbeddedCluster()
    if paths.cluster_home().exists() or recorded_stacks():
        what = "the embedded cluster with every agent and volume in it, and the records of them"
        confirm(f"Remove {what}?", yes=yes)
    removed = remove_cluster(cluster)
    if as_json:
        click.echo(json.dumps({"removed": removed}))
    else:
        click.echo("\n".join(removed) if removed else "nothing was there")


@local.command("status")
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show each process of the cluster; exit code 1 if one isn't well.

    \b
    Example:
      moltghost local status --json
    """
    found = EmbeddedCluster().status()
    _show(found, as_json)
    if not found.running:
        ctx.exit(ExitCode.FAILED)


@local.command("kubeconfig")
def kubeconfig() -> None:
    """Print the path of the cluster's kubeconfig.

    \b
    Example:
      kubectl --kubeconfig "$(moltghost local kubeconfig)" get nodes
    """
    if not paths.kubeconfig().is_file():
        raise Refused("the embedded cluster isn't running", "moltghost local up")
    click.echo(paths.kubeconfig())


@local.command("node")
def node() -> None:
    """Print the address of the machine's own node, where pods really run; nothing without one.

    \b
    Example:
      moltghost local node
    """
    if address := EmbeddedCluster().machine.address:
        click.echo(address)


def _show(status: ClusterStatus, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(status), default=str))
        return

    print_table(
        ("process", "state", "pid", "version", "log"),
        [
            (
                each.name,
                "healthy" if each.healthy else "running" if each.alive else "stopped",
                str(each.pid or ""),
                each.version,
                str(each.log),
            )
            for each in status.processes
        ],
        title=_title(status),
    )


def _title(status: ClusterStatus) -> str:
    if status.running:
        return f"Kubernetes {status.kubernetes_version} at {status.server}"
    unwell = [each.name for each in status.processes if not each.healthy]
    what = "the embedded cluster isn't running"
    if len(unwell) < len(status.processes):
        what = f"{', '.join(unwell)} of the embedded cluster isn't well"
    return f"{what}; moltghost local up starts it"
