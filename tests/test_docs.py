"""What is written runs: links lead somewhere, commands parse, generated pages are current."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from moltghost.cli.main import cli
from moltghost.environments.factory import open_environment
from tests.examples import EXAMPLES, PROJECT
from tests.pages import DECISIONS, DOCS, PAGES, name
from tools import (
    gen_cli_reference,
    gen_config_reference,
    gen_flows_reference,
    gen_sizing_reference,
)

TROUBLES = DOCS / "guide" / "troubleshooting.md"

_FENCE = re.compile(r"^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
_CODE_SPAN = re.compile(r"(?<!`)`(?P<text>[^`\n]+)`(?!`)")
_HEADING = re.compile(r"^#+ (?P<text>.+)$", re.MULTILINE)


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


# Links


def links(page: Path) -> list[str]:
    """Targets of the page's links to other files, anchors included."""
    targets = _LINK.findall(_CODE_SPAN.sub("", prose(page)))
    return [each for each in targets if not re.match(r"[a-z]+:", each)]


def anchors(page: Path) -> set[str]:
    """What `#...` may name, by GitHub's rule."""
    headings = (match["text"].lower() for match in _HEADING.finditer(prose(page)))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    broken = []
    for target in links(page):
        file, _, anchor = target.partition("#")
        found = (page.parent / file).resolve() if file else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    assert broken_links(page) == []


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One\n[a](gone.md) [b](#one) [c](#two) [d](https://example.org/x)\n")
    assert broken_links(page) == ["gone.md", "#two"]


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = DOCS / "README.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
    listed_elsewhere = {index, *DECISIONS}
    assert {page for page in PAGES if DOCS in page.parents} - linked == listed_elsewhere


# Paths

_OUR_PATH = re.compile(r"^(?:moltghost|components|infra|policies|tests|tools|images)/[\w./-]+$")
_PLACEHOLDER = re.compile(r"NAME|ENVIRONMENT")


def our_paths(page: Path) -> list[str]:
    """Files and folders of ours that a page names."""
    spans = (match["text"] for match in _CODE_SPAN.finditer(prose(page)))
    return [text for text in spans if _OUR_PATH.match(text) and not _PLACEHOLDER.search(text)]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_of_ours_that_a_page_names_is_there(page: Path) -> None:
    assert [path for path in our_paths(page) if not (PROJECT / path).exists()] == []


def test_there_are_paths_to_check() -> None:
    assert sum(len(our_paths(page)) for page in PAGES) > 40


# Commands


def command_lines(page: Path) -> list[str]:
    """Command lines of the page's code blocks; those marked ``text`` are what a command said."""
    found = []
    for block in _FENCE.finditer(page.read_text(encoding="utf-8")):
        for line in block["text"].splitlines() if block["language"] != "text" else ():
            text = line.strip().removeprefix("$ ").partition(" | ")[0]
            if text.startswith("moltghost ") or "$(moltghost " in text:
                found.append(text.partition("$(")[2].partition(")")[0] or text)
    return found


def mentioned(page: Path) -> list[str]:
    """Command lines in the page's sentences; arguments may be left out there."""
    spans = (match["text"] for match in _CODE_SPAN.finditer(prose(page)))
    return [text for text in spans if text.startswith("moltghost ") and "|" not in text]


def check_command(line: str, *, complete: bool) -> None:
    """Parse a command line as the command would, without calling anything.

    Raises:
        click.UsageError: the command wouldn't take it.
    """
    context = click.Context(cli, info_name="moltghost")
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    while True:
        try:
            context = command.make_context(context.info_name, words, parent=context)
        except click.exceptions.Exit:
            return  # --help and --version end the parsing
        except click.MissingParameter:
            if complete:
                raise
            return
        if not isinstance(command, click.Group):
            return
        words = [*context._protected_args, *context.args]
        if not words:
            return
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        context.info_name, command = found.name, found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_line_is_one_that_the_command_takes(page: Path) -> None:
    for line in command_lines(page):
        check_command(line, complete=True)
    for line in mentioned(page):
        check_command(line, complete=False)


def test_there_are_command_lines_to_check() -> None:
    found = [line for page in PAGES for line in command_lines(page)]
    assert len(found) > 50
    assert "moltghost deploy my-agent --model llama3.1-70b-q4 --context 32k" in found
    assert "moltghost local kubeconfig" in found
    assert sum(len(mentioned(page)) for page in PAGES) > 20


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("moltghost deploy my-agent --modell x", "No such option"),
        ("moltghost agents list", "No such command"),
        ("moltghost agent teleport my-agent", "No such command"),
        ("moltghost agent update my-agent --strategy fast", "is not one of"),
        ("moltghost deploy", "Missing parameter: name"),
        ("moltghost local up now", "unexpected extra argument"),
    ],
)
def test_a_wrong_command_line_is_found(line: str, message: str) -> None:
    with pytest.raises(click.UsageError, match=message):
        check_command(line, complete=True)


def test_what_the_readme_shows_of_a_sizing_is_what_the_command_prints() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    [shown] = [block["text"] for block in _FENCE.finditer(text) if block["language"] == "console"]
    command, *wanted = shown.splitlines()
    ran = CliRunner().invoke(cli, shlex.split(command)[2:], env={"COLUMNS": "100"})
    assert ran.exit_code == 0
    printed = iter(ran.output.splitlines())
    # `...` stands for lines that are left out; the others come in this order.
    missing = [line for line in wanted if line != "..." and line not in printed]
    assert missing == [], "paste the present output of the command into README.md"


# Generated pages


@pytest.mark.parametrize("file", ["docs/guide/aws.md", "examples/Pulumi.dev.yaml"])
def test_an_idle_environment_costs_what_the_plan_says(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # the catalogue's prices alone
    cost = open_environment(EXAMPLES, "dev").cost_at_most()
    assert cost is not None
    written = (PROJECT / file).read_text(encoding="utf-8")
    assert f"about {cost.idle_usd_per_month:.0f} USD" in written


@pytest.mark.parametrize(
    "generator",
    [gen_config_reference, gen_cli_reference, gen_sizing_reference, gen_flows_reference],
    ids=["config", "cli", "sizing", "flows"],
)
def test_a_generated_page_is_what_the_code_says_now(generator: object) -> None:
    page, written = generator.PAGE, generator.page()  # type: ignore[attr-defined]  # both have them
    assert page.read_text(encoding="utf-8") == written, "run `make docs`"


def test_the_config_reference_has_every_field_of_every_spec() -> None:
    text = gen_config_reference.page()
    fields = {each for model in gen_config_reference.SECTIONS for each in model.model_fields}
    assert {"owner", "max_nodes", "kv_cache"} <= fields
    assert {field for field in fields if f"| `{field}` |" not in text} == set()


# Errors


@cache
def messages() -> tuple[str, ...]:
    """Every text in our code, with `…` for what is filled in."""
    found: list[str] = []
    for file in sorted((PROJECT / "moltghost").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        found += (_text(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr))
        found += (str(node.value) for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return tuple(found)


def _text(node: ast.JoinedStr) -> str:
    return "".join(
        str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
    )


def is_said(heading: str) -> bool:
    """Whether some text of our code has the heading's words, in order."""
    words = re.compile(".*?".join(map(re.escape, heading.split("…"))), re.DOTALL)
    return any(words.search(text) for text in messages())


def troubles() -> Iterator[str]:
    for match in re.finditer(r"^### `(?P<text>.+)`$", prose(TROUBLES), re.MULTILINE):
        yield match["text"]


@pytest.mark.parametrize("trouble", list(troubles()))
def test_an_error_in_the_troubleshooting_page_is_one_that_we_raise(trouble: str) -> None:
    assert is_said(trouble)


def test_an_error_that_nobody_raises_is_found() -> None:
    assert len(list(troubles())) > 20
    assert not is_said("pool … of environment … is empty")
