"""What pods hand to agent-tools is what the Go program reads, and the other way round."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from moltghost.components.weights_job import weights_job
from moltghost.local.build import programs
from tests.components.cases import container
from tests.lifecycle.weights.jobs import plan
from tests.planning.aws import cloud_plan

SOURCES = programs.AGENT_TOOLS_HOME / "internal"


def flags(file: str) -> set[str]:
    """Names of the flags that a Go file defines."""
    text = (SOURCES / file).read_text(encoding="utf-8")
    return set(re.findall(r'flags\.String(?:Var)?\((?:&[\w.]+, )?"([\w-]+)"', text))


def variables(prefix: str, folder: str) -> set[str]:
    """Names of the environment's variables that a Go package reads."""
    files = [path for path in (SOURCES / folder).glob("*.go") if "_test" not in path.name]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    return set(re.findall(rf'"({prefix}_\w+)"', text))


def names(environment: list[dict[str, Any]], prefix: str) -> set[str]:
    found = {each["name"] for each in environment}
    return {name for name in found if name.startswith(prefix)}


# What IAM calls the calls (S3 user guide, "Required permissions for S3 API operations"). With
# ListBucket, a missing object is answered by 404.
PERMISSIONS = {
    "GetObject": {"s3:GetObject", "s3:ListBucket"},
    "HeadObject": {"s3:GetObject", "s3:ListBucket"},
    "PutObject": {"s3:PutObject"},
    "CreateMultipartUpload": {"s3:PutObject"},
    "UploadPart": {"s3:PutObject"},
    "CompleteMultipartUpload": {"s3:PutObject"},
    "ListMultipartUploads": {"s3:ListBucketMultipartUploads"},
    "ListParts": {"s3:ListMultipartUploadParts"},
}


def test_the_build_job_may_do_what_its_program_calls_and_no_more() -> None:
    files = [path for path in (SOURCES / "remote").glob("*.go") if "_test" not in path.name]
    text = "".join(path.read_text(encoding="utf-8") for path in files)
    called = set(re.findall(r"&s3\.(\w+)Input\{", text))
    used = {action for call in called for action in PERMISSIONS[call]}
    granted = {a for each in cloud_plan().weights_builder.statements for a in each.actions}
    assert {action for action in granted if action.startswith("s3:")} == used


def test_the_copys_options_are_those_that_it_knows() -> None:
    _, *args = container("readme", "weights")["args"]
    assert {arg.removeprefix("--") for arg in args[::2]} == flags("weights/weights.go")


def test_the_loaders_variables_are_those_that_it_reads() -> None:
    given = names(container("readme", "loader")["env"], "LOADER_")
    assert given == variables("LOADER", "loader")


def test_the_loaders_probes_ask_what_it_answers() -> None:
    loader = container("readme", "loader")
    for probe, question in (("startupProbe", "proven"), ("readinessProbe", "healthy")):
        command = loader[probe]["exec"]["command"]
        assert command == ["agent-tools", "loader", "--check", question]
        assert f'"GET /{question}"' in (SOURCES / "loader" / "server.go").read_text("utf-8")
    assert flags("loader/loader.go") == {"check"}


def test_the_jobs_options_and_variables_are_those_that_the_build_knows() -> None:
    [build] = weights_job(plan(), with_key=True)["spec"]["template"]["spec"]["containers"]
    given = {arg.removeprefix("--").partition("=")[0] for arg in build["args"][1:]}
    # The example isn't quantized.
    assert given | {"quantize"} == flags("build/config.go")
    assert names(build["env"], "BUILD_") == variables("BUILD", "build")


def test_the_program_is_named_as_it_is_called() -> None:
    text = (Path(programs.AGENT_TOOLS_HOME) / "main.go").read_text(encoding="utf-8")
    commands = set(re.findall(r'"(\w+)":\s+\w+\.Main', text))
    assert commands == {"weights", "loader", "build"}
    assert container("readme", "weights")["args"][0] in commands
