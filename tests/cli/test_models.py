import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from moltghost.cli.main import cli
from moltghost.errors import Refused
from moltghost.models import models

SCRIPT_KEYS = {
    "name",
    "family",
    "parameters",
    "quantizations",
    "max_context",
    "tools",
    "licence",
    "agents",
    "thinking",
    "vision",
    "slots",
}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["models", *arguments], env={"COLUMNS": "200"})


def listed(*arguments: str) -> list[str]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.exception
    return [model["name"] for model in json.loads(result.output)]


def test_every_key_of_the_json_is_documented() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "models.md").read_text()
    rows = json.loads(run("--within", "7", "--json").output)
    assert rows
    assert [key for key in rows[0] if f"`{key}`" not in documented] == []


def test_every_model_is_listed_with_the_keys_that_scripts_rely_on() -> None:
    result = run("--json")
    found = json.loads(result.output)
    assert [m["name"] for m in found] == [m.id for m in models()]
    assert all(set(model) >= SCRIPT_KEYS for model in found)


@pytest.mark.parametrize(
    ("filters", "there", "not_there"),
    [
        (["--family", "QWEN"], "qwen3-8b", "llama3.1-8b"),
        (["--tools"], "llama3.1-8b", "gemma2-9b"),
        (["--licence", "apache"], "qwen2.5-7b", "llama3.1-8b"),
        (["--max-parameters", "13b"], "mistral-nemo-12b", "qwen2.5-14b"),
        (["--min-parameters", "100B"], "llama3.1-405b", "qwen2.5-72b"),
        (["--fits", "l40s"], "qwen2.5-32b", "llama3.1-70b"),
        (["--fits", "l40s", "--context", "16k"], "llama3.1-70b", "mixtral-8x22b"),
    ],
)
def test_filters_narrow_the_list(filters: list[str], there: str, not_there: str) -> None:
    found = listed(*filters)
    assert there in found
    assert not_there not in found


def test_within_a_price_each_model_has_its_best_quantization_and_node() -> None:
    result = run("--within", "$7", "--family", "llama 3.1", "--json")
    small, large = json.loads(result.output)
    assert (small["name"], small["quantization"], small["instance_type"]) == (
        "llama3.1-8b",
        "F16",
        "g6e.xlarge",
    )
    assert (large["quantization"], large["usd_per_hour"]) == ("Q6_K", 6.88)


def test_models_of_a_short_context_are_listed_where_no_context_is_asked_for() -> None:
    assert listed("--family", "gemma 2") == ["gemma2-9b", "gemma2-27b"]


def test_a_context_that_no_model_has_is_refused_with_the_longest() -> None:
    for arguments in (["--within", "7"], ["--fits", "h100"]):
        result = run("--family", "gemma 2", *arguments)
        assert isinstance(result.exception, Refused)
        assert result.exception.hint == "ask for --context 8k or less"


def test_the_table_names_each_model_and_what_it_takes() -> None:
    output = run("--family", "llama 3.1").output
    for word in ("llama3.1-405b", "405.9B", "128k", "Q4_K_M", "243.1 GB", "llama3.1"):
        assert word in output


@pytest.mark.parametrize("arguments", [["--family", "none"], ["--within", "0.10"]])
def test_an_empty_list_says_so(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0
    assert "no model" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-parameters", "many"], "a number of parameters"),
        (["--within", "much"], "a price"),
        (["--within", "-1"], "a price"),
        (["--context", "8k"], "--env with --within"),
    ],
)
def test_a_wrong_filter_is_refused(arguments: list[str], message: str) -> None:
    error = run(*arguments).exception
    assert isinstance(error, Refused)
    assert message in error.message
    assert error.hint


def test_what_a_model_is_for_is_in_the_json() -> None:
    found = {row["name"]: row for row in json.loads(run("--json").output)}
    row = found["qwen3.6-27b"]
    assert (row["agents"], row["thinking"], row["vision"]) == ("recommended", True, True)
    assert row["slots"] == 1
    assert (found["llama3.1-8b"]["agents"], found["llama3.1-8b"]["slots"]) == ("unfit", 64)


def test_a_new_user_is_shown_what_to_take_on_a_gpu() -> None:
    output = run("--recommended", "--gpu", "l40s").output
    first = output.splitlines()[2]
    assert first.split()[:2] == ["qwen3.6-27b-q8_0", "26.9B"]
    assert "1 x l40s" in first
    assert "unfit" not in output
    assert "moltghost deploy my-agent --model qwen3.6-27b-q8_0 --context 64k --gpu l40s" in output


def test_recommended_models_say_why_in_json() -> None:
    rows = json.loads(run("--recommended", "--json").output)
    assert [row["agents"] for row in rows] == ["recommended"] * 13
    assert all(row["evidence"] and row["usd_per_hour"] > 0 for row in rows)


@pytest.mark.parametrize(
    "options",
    [["--gpu", "l40s"], ["--recommended", "--fits", "l40s"], ["--recommended", "--tools"]],
)
def test_options_that_dont_go_together_are_refused(options: list[str]) -> None:
    result = run(*options)
    assert isinstance(result.exception, Refused)
    assert "--recommended" in result.exception.message
