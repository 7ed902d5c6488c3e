"""`moltghost init`: what it writes, asks and refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner, Result

from moltghost.cli.commands import init as command
from moltghost.cli.main import cli
from moltghost.config import AwsCloudSpec, read_environment
from moltghost.errors import Refused
from moltghost.lifecycle.init import project as writing
from moltghost.project import read_project

AWS = (
    *("--aws", "dev", "--account-id", "111122223333", "--region", "eu-central-1"),
    *("--zone-id", "euc1-az1", "--zone-id", "euc1-az2", "--ceiling-usd", "3000"),
    *("--admin", "arn:aws:iam::111122223333:role/admin"),
)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    file = tmp_path / "moltghost-0.1.0-py3-none-any.whl"
    file.write_bytes(b"a wheel")
    return file


@pytest.fixture
def init(tmp_path: Path, wheel: Path) -> Any:
    def run(*arguments: str, answers: str = "") -> Result:
        line = ["init", *arguments, "--wheel", str(wheel)]
        return CliRunner().invoke(
            cli, line, input=answers, standalone_mode=False, catch_exceptions=True
        )

    return run


def refusal(result: Result) -> Refused:
    assert isinstance(result.exception, Refused)
    return result.exception


def test_a_project_has_the_teams_name_and_declares_no_key_of_ours(
    init: Any, tmp_path: Path
) -> None:
    assert init(str(tmp_path / "my-platform"), "--yes").exit_code == 0
    document = yaml.safe_load((tmp_path / "my-platform" / "Pulumi.yaml").read_text())
    assert document["name"] == "my-platform"
    assert "config" not in document
    program = (tmp_path / "my-platform" / "__main__.py").read_text()
    assert "run(Path(__file__).parent)" in program
    assert len([line for line in program.splitlines() if line and '"""' not in line]) == 3


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("Pulumi.yaml", "name: a\n", "is a project already"),
        ("notes.txt", "mine", "exists and isn't empty"),
    ],
)
def test_nothing_is_written_over(
    init: Any, tmp_path: Path, path: str, content: str, message: str
) -> None:
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / path).write_text(content)
    assert message in refusal(init(str(folder), "--yes")).message
    assert [each.name for each in folder.iterdir()] == [path]
    assert (folder / path).read_text() == content


def test_the_folder_that_one_stands_in_is_not_replaced(
    init: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert "the folder that you are in" in refusal(init(".", "--yes")).message


def test_a_failure_in_the_middle_leaves_nothing(
    init: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        if self.name == "requirements.txt":
            raise OSError(28, "No space left on device")
        return write(self, data)

    write = Path.write_bytes
    before = set(tmp_path.iterdir())
    monkeypatch.setattr(Path, "write_bytes", full)
    assert isinstance(init(str(tmp_path / "my-platform"), "--yes").exception, OSError)
    assert set(tmp_path.iterdir()) == before


def test_a_kill_in_the_middle_leaves_no_project(tmp_path: Path, wheel: Path) -> None:
    program = (
        "import os, pathlib, sys\n"
        "from moltghost.lifecycle.init.project import write_project\n"
        "class Killed(dict):\n"
        "    def items(self):\n"
        "        yield 'Pulumi.yaml', b'name: a'\n"
        "        os.kill(os.getpid(), 9)\n"
        "write_project(pathlib.Path(sys.argv[1]), Killed())\n"
    )
    folder = tmp_path / "my-platform"
    ran = subprocess.run([sys.executable, "-c", program, str(folder)], timeout=60, check=False)
    assert ran.returncode == -9
    assert not folder.exists()


def test_an_environment_on_aws_is_the_options(init: Any, tmp_path: Path) -> None:
    folder = tmp_path / "my-platform"
    assert init(str(folder), "--no-local", "--yes", *AWS).exit_code == 0
    found = read_environment(folder, "dev")
    assert isinstance(found.cloud, AwsCloudSpec)
    assert (found.cloud.account_id, found.cloud.region) == ("111122223333", "eu-central-1")
    assert not (folder / "Pulumi.local.yaml").exists()
    rules = yaml.safe_load((folder / "policies/config/dev.json").read_text())
    assert rules["eks-admin-access-limited"]["principals"] == [
        "arn:aws:iam::111122223333:role/admin"
    ]
    workflow = yaml.safe_load((folder / ".github/workflows/moltghost.yml").read_text())
    assert workflow["env"]["ENVIRONMENT"] == "dev"
    assert workflow["env"]["AWS_REGION"] == "eu-central-1"


def test_what_is_missing_is_named_off_a_terminal(init: Any, tmp_path: Path) -> None:
    refused = refusal(init(str(tmp_path / "p"), "--yes", "--aws", "dev"))
    for option in ("--account-id", "--region", "--zone-id", "--admin", "--ceiling-usd"):
        assert option in refused.message
    assert not (tmp_path / "p").exists()


def test_an_invalid_answer_writes_nothing(init: Any, tmp_path: Path) -> None:
    options = [each.replace("euc1-az2", "use1-az4") for each in AWS]
    refused = refusal(init(str(tmp_path / "p"), "--yes", *options))
    assert "use1-az4 is not in eu-central-1" in refused.message
    assert not (tmp_path / "p").exists()


def test_on_a_terminal_it_asks(init: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "is_terminal", lambda: True)
    answers = ["n", "lab", "111122223333", "us-east-1", "use1-az4 use1-az6"]
    answers += ["arn:aws:iam::111122223333:role/admin", "3000"]
    ran = init(str(tmp_path / "p"), answers="\n".join(answers) + "\n")
    assert ran.exception is None, ran.exception
    cloud = read_environment(tmp_path / "p", "lab").cloud
    assert isinstance(cloud, AwsCloudSpec)
    assert cloud.zone_ids == ("use1-az4", "use1-az6")


def test_without_an_environment_there_is_no_project(init: Any, tmp_path: Path) -> None:
    refused = refusal(init(str(tmp_path / "p"), "--no-local", "--yes"))
    assert "would have no environment" in refused.message


def test_a_team_gets_copies_of_the_environment_that_it_shares(init: Any, tmp_path: Path) -> None:
    platform, team = tmp_path / "my-platform", tmp_path / "team-b"
    assert init(str(platform), "--yes").exit_code == 0
    assert init(str(team), "--environment-project", str(platform)).exit_code == 0
    assert read_project(team).environment_project == "my-platform"
    assert read_environment(team, "local").platform == read_environment(platform, "local").platform
    assert "Copied from project my-platform" in (team / "Pulumi.platform.local.yaml").read_text()


def test_the_folder_of_the_other_project_has_to_be_one(init: Any, tmp_path: Path) -> None:
    options = ("--environment-project", str(tmp_path / "nowhere"))
    assert "has no Pulumi.yaml" in refusal(init(str(tmp_path / "team-b"), *options)).message


def test_another_wheel_than_the_installed_one_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "moltghost-9.9.9-py3-none-any.whl"
    other.touch()
    line = ["init", str(tmp_path / "p"), "--yes", "--wheel", str(other)]
    ran = CliRunner().invoke(cli, line, standalone_mode=False)
    assert "is not the wheel of moltghost 0.1.0" in refusal(ran).message


@pytest.mark.parametrize("options", [(), AWS], ids=["local", "aws"])
def test_linters_find_nothing_in_the_workflow(
    init: Any, tmp_path: Path, options: tuple[str, ...]
) -> None:
    assert init(str(tmp_path / "p"), "--yes", *options).exit_code == 0
    file = tmp_path / "p" / ".github" / "workflows" / "moltghost.yml"
    schema = ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(file))
    security = ("zizmor", "--offline", "--no-progress", "--persona=pedantic", str(file))
    for program, *arguments in (schema, security):
        done = subprocess.run(
            [Path(sys.executable).with_name(program), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_commands_of_its_readme_exist(init: Any, tmp_path: Path) -> None:
    assert init(str(tmp_path / "p"), "--yes").exit_code == 0
    text = (tmp_path / "p" / "README.md").read_text()
    named = [line.split()[1] for line in text.splitlines() if line.startswith("moltghost ")]
    assert named == ["up", "deploy", "policy", "fleet"]
    assert all(cli.get_command(click.Context(cli), each) for each in named)
    assert "$" not in text
    assert writing.LOCAL in text
