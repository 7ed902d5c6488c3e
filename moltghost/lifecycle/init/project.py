"""The files of a new project, and the folder that they are written to whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from io import StringIO
from pathlib import Path
from string import Template
from typing import Any

from ruamel.yaml import YAML

from moltghost.config import SPEC_KEY, StackName, parse_spec, read_environment
from moltghost.errors import Refused
from moltghost.lifecycle.init.wheel import sha256
from moltghost.project import ENVIRONMENT_PROJECT_KEY, FILE, Project, read_project

LOCAL = "local"
_TEMPLATES = files("moltghost.lifecycle.init") / "templates"
_PACK = files("moltghost") / "policies"
_PULUMI = """\
name: {name}
description: Private AI agents on our own GPUs
runtime:
  name: python
  options:
    toolchain: pip
    virtualenv: .venv
# What was changed by hand is found and repaired, as the embedded engine does it.
options:
  refresh: always
"""
_SHARED = """\
# Cloud and platform of our environments are this project's; ours has agents only.
config:
  {key}:
    value: {project}
"""
_COPIED = "# Copied from project {project}, whose environment it is: change it there first.\n"


@dataclass(frozen=True, kw_only=True)
class NewProject:
    """What a new project has.

    Args:
        name: the project's name.
        wheel: our wheel.
        owner: of the example's agents.
        local: whether it has the environment on this machine.
        aws: the cloud spec of each environment on AWS, by name.
        shared: the folder of the project whose environments it uses in place of its own.
    """

    name: str
    wheel: Path
    owner: str
    local: bool = True
    aws: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    shared: Path | None = None


def project_files(new: NewProject) -> dict[str, bytes]:
    """Content by path in the project's folder.

    Raises:
        Refused: an environment's spec isn't valid, or there is none.
    """
    other = read_project(new.shared) if new.shared else None
    found = _environment_files(new, other)
    names = [file.split(".")[2] for file in found if file.startswith("Pulumi.platform.")]
    if not names:
        raise Refused("the project would have no environment", "leave out --no-local, or add --aws")
    values = {
        "name": new.name,
        "owner": new.owner,
        "environment": names[0],
        "first": f"moltghost up {names[0]}"
        if other is None
        else f"moltghost preflight {names[0]}  # project {other.name} brings it up",
    }
    found[FILE] = _PULUMI.format(name=new.name) + (
        _SHARED.format(key=ENVIRONMENT_PROJECT_KEY, project=other.environment_project)
        if other
        else ""
    )
    found["__main__.py"] = _template("main.py.txt")
    found[".gitignore"] = _template("gitignore.txt")
    found["fleet.yaml"] = Template(_template("fleet.yaml")).substitute(values)
    found["README.md"] = Template(_template("README.md.txt")).substitute(values)
    found[".github/workflows/moltghost.yml"] = _workflow(new)
    found["policies/__init__.py"] = '"""The policy pack of this project."""\n'
    found["policies/pack.py"] = _template("pack.py.txt")
    for name in ("__main__.py", "PulumiPolicy.yaml"):
        found[f"policies/{name}"] = (_PACK / name).read_text(encoding="utf-8")
    wheel = f"wheels/{new.wheel.name}"
    ours = f"./{wheel} \\\n    --hash=sha256:{sha256(new.wheel)}\n"
    found["requirements.txt"] = ours + _template("requirements.txt")
    return {
        **{path: text.encode() for path, text in sorted(found.items())},
        wheel: new.wheel.read_bytes(),
    }


def write_project(folder: Path, content: Mapping[str, bytes]) -> None:
    """Make the folder with these files, in one step: it is there whole or not at all.

    Raises:
        Refused: there is something already.
    """
    require_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for path, data in content.items():
            file = work / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        umask = os.umask(0)
        os.umask(umask)
        work.chmod(0o777 & ~umask)
        try:
            work.rename(folder)
        except OSError as error:
            raise Refused(f"{folder} appeared in the meantime", "name another folder") from error
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def require_free(folder: Path) -> None:
    """Make sure that nothing would be written over.

    Raises:
        Refused: the folder isn't empty, is no folder, or is the one that the command runs in.
    """
    if (folder / FILE).is_file():
        raise Refused(
            f"{folder} is a project already", f"cd {folder}; moltghost --help lists what you can do"
        )
    if folder.resolve() == Path.cwd():
        raise Refused(
            "the folder that you are in can't be replaced by the project's",
            "name a new one: moltghost init my-platform",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} exists and isn't empty", "name a new folder, or empty this one")


def _environment_files(new: NewProject, other: Project | None) -> dict[str, str]:
    """Stack files of both layers, and the policies' config, of each environment."""
    if new.shared and other:
        return _copied(new.shared, other)
    found = {}
    if new.local:
        for name in (f"Pulumi.{LOCAL}.yaml", f"Pulumi.platform.{LOCAL}.yaml"):
            found[name] = _template(name)
        found[f"policies/config/{LOCAL}.json"] = _rules(LOCAL)
    for name, values in new.aws.items():
        stack = StackName.parse(name).cloud
        parse_spec(dict(values), stack, where="the command's options")
        found[f"Pulumi.{name}.yaml"] = _yaml(values)
        found[f"Pulumi.platform.{name}.yaml"] = _template("Pulumi.platform.aws.yaml")
        rules = json.loads(_rules("dev"))
        rules["eks-admin-access-limited"]["principals"] = values["admins"]
        found[f"policies/config/{name}.json"] = json.dumps(rules, indent=2) + "\n"
    return found


def _copied(folder: Path, other: Project) -> dict[str, str]:
    found = {}
    for file in sorted(folder.glob("Pulumi.platform.*.yaml")):
        name = file.name.split(".")[2]
        read_environment(folder, name)
        for each in (folder / f"Pulumi.{name}.yaml", file):
            text = each.read_text(encoding="utf-8")
            found[each.name] = _COPIED.format(project=other.environment_project) + text
        rules = folder / "policies" / "config" / f"{name}.json"
        if rules.is_file():
            found[f"policies/config/{name}.json"] = rules.read_text(encoding="utf-8")
    return found


def _workflow(new: NewProject) -> str:
    if not new.aws:
        return _template("check-workflow.yml")
    name, spec = next(iter(new.aws.items()))
    text = _template("aws-workflow.yml")
    for old, value in (("ENVIRONMENT: dev\n", name), ("AWS_REGION: us-east-1\n", spec["region"])):
        assert old in text  # noqa: S101 a test holds the template to it
        text = text.replace(old, f"{old.partition(':')[0]}: {value}\n")
    return text


def _rules(environment: str) -> str:
    return (_PACK / "config" / f"{environment}.json").read_text(encoding="utf-8")


def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _yaml(spec: Mapping[str, Any]) -> str:
    text = StringIO()
    YAML().dump({"config": {SPEC_KEY: dict(spec)}}, text)
    return text.getvalue()
