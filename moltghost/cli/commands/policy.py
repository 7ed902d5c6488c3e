"""`moltghost policy`: the rules, and what they say of the stacks; needs no cluster and no cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from moltghost import __version__
from moltghost.cli.options import json_option, project_folder
from moltghost.cli.views.tables import is_narrow, print_table
from moltghost.config import StackName
from moltghost.engines.embedded.declared_resources import declared_resources
from moltghost.errors import ExitCode, Refused
from moltghost.policy.findings import Findings, together
from moltghost.policy.gate import check_stack
from moltghost.policy.pack import FOLDER, Pack
from moltghost.policy.sarif import to_sarif
from moltghost.project import read_project


@click.group()
def policy() -> None:
    """Check stacks against the policy pack, list and explain it."""


@policy.command()
@click.argument("stacks", nargs=-1, metavar="[STACK]...")
@json_option
@click.option(
    "--sarif", type=click.Path(dir_okay=False, path_type=Path), help="Also write SARIF here."
)
@click.pass_context
def check(ctx: click.Context, stacks: tuple[str, ...], sarif: Path | None, as_json: bool) -> None:
    """Check STACKs, by default every one with a config file.

    Runs their programs without a cluster or a cloud account. Exit code 2 if a mandatory rule is
    broken.

    \b
    Examples:
      moltghost policy check
      moltghost policy check my-agent.local --json
      moltghost policy check --sarif policy.sarif
    """
    project = project_folder(ctx)
    pack = _pack(project)
    names = stacks or _all_stacks(project)
    found = [_check(project, name) for name in names]
    findings = together(found)
    if sarif:
        _write_sarif(sarif, findings, pack)
    if as_json:
        click.echo(json.dumps({"stacks": list(names), **findings.to_json()}))
    else:
        for name, each in zip(names, found, strict=True):
            _show(name, each)
        _show_sum(findings, len(names))
    ctx.exit(ExitCode.REFUSED if findings.mandatory else ExitCode.DONE)


@policy.command("list")
@json_option
@click.pass_context
def list_rules(ctx: click.Context, as_json: bool) -> None:
    """List every rule.

    \b
    Example:
      moltghost policy list
    """
    rules = [_rule_json(each) for each in _pack(project_folder(ctx)).rules]
    if as_json:
        click.echo(json.dumps(rules))
        return
    columns = {"id": "rule", "area": "area", "level": "level", "severity": "severity"}
    columns["says"] = "what must hold"
    if is_narrow():
        del columns["area"], columns["severity"]
    rows = [[each[key] for key in columns] for each in rules]
    print_table(list(columns.values()), rows, whole=("rule",))


@policy.command()
@click.argument("rule_id", metavar="ID")
@json_option
@click.pass_context
def explain(ctx: click.Context, rule_id: str, as_json: bool) -> None:
    """Say what a rule asks for, why, how to satisfy it and what can be set.

    \b
    Example:
      moltghost policy explain ollama-gated
    """
    rules = {each.id: _rule_json(each) for each in _pack(project_folder(ctx)).rules}
    if rule_id not in rules:
        raise Refused(f"there is no rule {rule_id!r}", "moltghost policy list shows them all")
    rule = rules[rule_id]
    if as_json:
        click.echo(json.dumps(rule))
        return
    click.secho(f"{rule['id']}  ", bold=True, nl=False)
    click.echo(f"{rule['level']}, {rule['severity']}, {rule['area']}\n\n{rule['says']}")
    click.echo(f"\nWhy: {rule['why']}\nFix: {rule['fix']}")
    click.echo(f"Looks at: {', '.join(rule['types'][:12])}")
    click.echo(f"Sources: {', '.join(rule['sources']) or 'our own'}")
    for name, setting in rule["settings"].items():
        default = json.dumps(setting["default"])
        click.echo(f"Setting {name} (default {default}): {setting['description']}")


def _pack(project: Path) -> Pack:
    return Pack(project / FOLDER)


def _all_stacks(project: Path) -> tuple[str, ...]:
    """The stacks with a config file, less the layers that are another project's."""
    found = [
        file.name.removeprefix("Pulumi.").removesuffix(".yaml")
        for file in sorted(project.glob("Pulumi.*.yaml"))
    ]
    if not read_project(project).has_environments:
        found = [each for each in found if StackName.parse(each).layer == "agent"]
    if not found:
        raise Refused(f"{project} has no stack to check", "moltghost deploy creates one")
    return tuple(found)


def _check(project: Path, stack: str) -> Findings:
    return check_stack(project, stack, declared_resources(project, stack))


def _show(stack: str, findings: Findings) -> None:
    click.secho(f"{stack}", bold=True, nl=False)
    click.echo(f"  {findings.resources} resources")
    for each in findings.violations:
        color = "red" if each.enforcement == "mandatory" else "yellow"
        click.secho(f"  {each.enforcement:<9}  ", fg=color, nl=False)
        click.echo(f"{each}\n             fix: {each.remediation}")
    for undecided in findings.undecided:
        click.echo(f"  undecided  {undecided}")
    for each in findings.exempted:
        click.echo(f"  exempt     {each}")
    for ending in findings.expiring:
        click.secho("  expiring   ", fg="yellow", nl=False)
        click.echo(ending)


def _show_sum(findings: Findings, stacks: int) -> None:
    counted = f"{stacks} stack{'' if stacks == 1 else 's'}"
    click.echo(
        f"\n{counted}, {findings.resources} resources: "
        f"{len(findings.mandatory)} mandatory and {len(findings.advisory)} advisory violations, "
        f"{len(findings.undecided)} undecided, {len(findings.exempted)} exempt"
    )


def _write_sarif(file: Path, findings: Findings, pack: Pack) -> None:
    text = json.dumps(to_sarif(findings, pack.policies, version=__version__), indent=2)
    file.write_text(text + "\n", encoding="utf-8")


def _rule_json(rule: Any) -> dict[str, Any]:
    return {
        "id": rule.id,
        "area": rule.area,
        "level": rule.level.value,
        "severity": rule.severity.value,
        "says": rule.says,
        "why": rule.why,
        "fix": rule.fix,
        "types": list(rule.types),
        "sources": list(rule.sources),
        "settings": {name: dict(item) for name, item in rule.schema.items()},
    }
