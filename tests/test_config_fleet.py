"""The file of a fleet: what it says, and every way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.config_fleet import read_fleet
from moltghost.errors import Refused

GOOD = """\
environment: dev
defaults:
  owner: team-a
  context: 32k
agents:
  support: { model: llama3.1-8b-q4 }
  research:
    model: llama3.1-70b-q4
    context: 64k
    owner: team-b
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "agents.yaml"
    file.write_text(text)
    return file


def refusal(folder: Path, text: str, environment: str | None = None) -> str:
    with pytest.raises(Refused, match=r"agents\.yaml") as refused:
        read_fleet(write(folder, text), environment)
    return refused.value.message


def test_an_agent_has_the_defaults_that_it_does_not_set_itself(tmp_path: Path) -> None:
    fleet = read_fleet(write(tmp_path, GOOD), None)
    assert fleet.environment == "dev"
    told = {name: (each.owner, each.context) for name, each in fleet.agents.items()}
    assert told == {"support": ("team-a", 32768), "research": ("team-b", 65536)}


def test_an_agent_may_consist_of_defaults_alone(tmp_path: Path) -> None:
    text = "defaults: {owner: a, context: 32k, model: llama3.1-8b-q4}\nagents: {one: }\n"
    assert read_fleet(write(tmp_path, text), None).agents["one"].model == "llama3.1-8b-q4"


@pytest.mark.parametrize(
    ("told", "environment"), [(None, "local"), ("prod", "prod")], ids=["nobody", "command"]
)
def test_a_file_without_an_environment_takes_the_commands(
    tmp_path: Path, told: str | None, environment: str
) -> None:
    text = GOOD.replace("environment: dev\n", "")
    assert read_fleet(write(tmp_path, text), told).environment == environment


def test_a_file_of_another_environment_than_the_commands_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, GOOD, "prod")
    assert "belongs to environment dev, but the command names prod" in message


def test_every_problem_is_told_with_its_place(tmp_path: Path) -> None:
    message = refusal(
        tmp_path,
        "defaults: {owner: team-a, colour: red}\n"
        "agents:\n"
        "  Bad_Name: { model: llama3.1-8b-q4, context: 32k }\n"
        "  platform: { model: llama3.1-8b-q4, context: 32k }\n",
    )
    assert "defaults.colour: there is no such field; there are model, " in message
    message = refusal(
        tmp_path,
        "defaults: {owner: team-a}\n"
        "agents:\n"
        "  Bad_Name: { model: llama3.1-8b-q4, context: 32k }\n"
        "  platform: { model: llama3.1-8b-q4, context: 32k }\n"
        "  no-model: { context: 32k }\n"
        "  odd: { model: llama3.1-8b-q4, context: much, parallel: 0 }\n"
        "  old: { model: llama3.1-8b-q4, context: 32k, previous: {} }\n",
    )
    places = [line.strip().partition(" ")[0] for line in message.splitlines()[1:]]
    assert places == [
        "agents.Bad_Name:",
        "agents.platform:",
        "agents.no-model:",
        "agents.odd:",
        "agents.odd:",
        "agents.old.previous:",
    ]
    assert "agents.odd: context: " in message
    assert "agents.no-model: model: is missing" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("agents: {}\n", "agents: Dictionary should have at least 1 item"),
        ("fleet: {}\n", "fleet: there is no such field; there are"),
        ("- a\n- b\n", "must be a mapping"),
        ("agents:\n  one: [1]\n", "agents.one: must be a mapping"),
        ("agents: {a: {model: x}, a: {model: y}}\n", "line 1 is not valid YAML: found duplicate"),
        ("agents: [\n", "is not valid YAML"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path, text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"there is no .*nothing\.yaml"):
        read_fleet(tmp_path / "nothing.yaml", None)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="can't be read: Is a directory"):
        read_fleet(tmp_path, None)
