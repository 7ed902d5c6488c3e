import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from moltghost.cli.main import cli
from moltghost.errors import Refused
from moltghost.models import find_model
from tests.examples import EXAMPLES
from tests.sizing.sparse_gguf import write_sparse

ESCAPE = "\x1b["


def run(*arguments: str, columns: int = 100, color: bool = False) -> Result:
    env = {"COLUMNS": str(columns), "MOLTGHOST_ENV": None, "NO_COLOR": None}
    return CliRunner().invoke(cli, ["size", *arguments], env=env, color=color)


def answer(*arguments: str) -> dict[str, object]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.exception
    found: dict[str, object] = json.loads(result.output)
    return found


def refusal(*arguments: str) -> Refused:
    error = run(*arguments).exception
    assert isinstance(error, Refused)
    return error


def test_json_has_the_keys_that_scripts_rely_on() -> None:
    found = answer("llama3.1-70b-q4", "--context", "32k")
    assert {
        "model",
        "quantization",
        "context",
        "file_bytes",
        "footprint",
        "placement",
        "candidates",
        "resources",
        "speed",
    } <= set(found)
    assert found["model"] == "llama3.1-70b"


def test_options_reach_the_answer() -> None:
    found = answer(
        *("llama3.1-8b", "--context", "8k", "--parallel", "4", "--kv-cache", "q8_0"),
        *("--gpu", "h100", "--memory", "160gb", "--sharing", "owner"),
    )
    assert (found["context"], found["parallel"], found["kv_cache"]) == (8192, 4, "q8_0")
    placement = found["placement"]
    assert isinstance(placement, dict)
    assert (placement["gpu"], placement["gpu_count"], placement["dedicated"]) == ("h100", 2, False)


def test_the_default_context_is_no_longer_than_the_models() -> None:
    assert answer("gemma2-9b")["context"] == 8192


def test_an_environments_pools_are_those_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    assert (
        answer("llama3.1-70b-q4", "--env", "local")["placement"]
        == (answer("llama3.1-70b-q4")["placement"])
    )


@pytest.mark.parametrize("columns", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    for model in ("llama3.1-70b-q4", "llama3.1-405b-q4"):
        output = run(model, columns=columns).output
        assert max(map(len, output.splitlines())) <= columns


def test_the_view_says_where_for_how_much_and_why() -> None:
    output = run("llama3.1-405b-q4").output
    for words in (
        "4 x a100-80 on p4de.24xlarge",
        "$27.45/h",
        "$20,036/month",
        "GPU 3",
        "weights 57.7",
        "4 of 8 GPUs idle",
        "p4d.24xlarge (8 x a100-40) at $21.96/h",
        "g6e, 5 sizes",
        "No pool: p5e (h200), p5en (h200), g7e (rtx-pro-6000).",
    ):
        assert words in output


def test_each_gpus_bar_is_as_long_as_the_others_and_shows_every_part() -> None:
    bars = re.findall(r"^GPU \d +([█▓▒░·]+) ", run("llama3.1-405b-q4").output, re.MULTILINE)
    assert len(bars) == 4
    assert len({len(bar) for bar in bars}) == 1
    assert all(part in bar for bar in bars for part in "█▓▒░·")


def test_colour_is_for_terminals_that_want_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ESCAPE in run("llama3.1-8b", color=True).output
    assert ESCAPE not in run("llama3.1-8b").output
    monkeypatch.setenv("NO_COLOR", "1")
    result = CliRunner().invoke(cli, ["size", "llama3.1-8b"], color=True)
    assert ESCAPE not in result.output


def test_the_other_way_round_contexts_slots_and_the_best_quantization_are_told() -> None:
    found = answer("llama3.1-70b", "--on", "4xl40s", "--context", "64k", "--kv-cache", "q8_0")
    assert (found["gpu"], found["gpu_count"], found["best_quantization"]) == ("l40s", 4, "F16")
    rows = found["quantizations"]
    assert isinstance(rows, list)
    by_name = {row["quantization"]: row for row in rows}
    assert by_name["Q4_K_M"]["largest_context"]["f16"] == 131072
    assert by_name["Q4_K_M"]["slots"] > by_name["F16"]["slots"] > 0
    output = run("llama3.1-70b", "--on", "l40s").output
    assert "No quantization has room for 32k" in output
    assert "11776" in output


def test_a_gguf_file_is_sized_like_its_model(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    write_sparse(path, find_model("llama3.1-70b-q4"))
    mine, theirs = answer("--gguf", str(path)), answer("llama3.1-70b-q4")
    assert mine["footprint"] == theirs["footprint"]
    assert mine["model"] == "mine"
    assert "mine" in run("--gguf", str(path)).output


def test_a_hostile_gguf_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.gguf"
    path.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 16)
    assert "claims 18446744073709551615 tensors" in refusal("--gguf", str(path)).message


def test_the_chart_is_svg_that_names_every_gpu_kind(tmp_path: Path) -> None:
    path = tmp_path / "fit.svg"
    assert run("llama3.1-70b", "--chart", str(path)).exit_code == 0
    root = ElementTree.parse(path).getroot()  # noqa: S314 our own file
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for word in ("l40s", "a100-40", "a100-80", "h100", "h200", "rtx-pro-6000", "Q4_K_M", "128k"):
        assert word in texts
    width = float(root.get("width") or 0)
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        if box.get("width") != "100%":
            assert float(box.get("x") or 0) + float(box.get("width") or 0) <= width


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to size"),
        (["llama3.1-8b", "--gguf", "x.gguf"], "which of them"),
        (["llama9-8b"], "no model 'llama9-8b'"),
        (["llama3.1-8b", "--context", "1m"], "at most 131072 tokens"),
        (["llama3.1-8b", "--context", "lots"], "not a number of tokens"),
        (["llama3.1-8b", "--on", "l40s", "--gpu", "h100"], "--on names the GPUs"),
        (["llama3.1-8b", "--on", "many"], "no GPU kind"),
        (["llama3.1-8b", "--context", "9" * 5000], "not a number of tokens"),
        (["llama3.1-8b", "--memory", ""], "not an amount of GPU memory"),
        (["llama3.1-8b", "--on", "a100"], "more than one card"),
        (["llama3.1-405b-f16"], "fits no pool"),
        (["phi3-medium", "--kv-cache", "q8_0", "--parallel", "2"], "aborts"),
    ],
)
def test_a_wrong_question_is_refused_with_what_to_do(arguments: list[str], message: str) -> None:
    error = refusal(*arguments)
    assert message in error.message
    assert error.hint


def test_sizing_a_model_of_the_catalogue_loads_only_what_sizes_it() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from moltghost.cli.main import cli; "
        "CliRunner().invoke(cli, ['size', 'llama3.1-70b-q4'], catch_exceptions=False); "
        "others = {'pulumi', 'boto3', 'pydantic', 'rich', 'difflib', 'moltghost.models.gguf'}; "
        "print(sorted(others & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_a_file_by_its_name_is_sized_as_with_gguf(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    write_sparse(path, find_model("qwen3.5-4b"))
    assert answer(str(path))["file_bytes"] == answer("--gguf", str(path))["file_bytes"]
