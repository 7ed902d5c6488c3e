from __future__ import annotations

import pytest

from tests.cli.command import Command
from tests.lifecycle.projects import FakeEngine, files


def test_forget_drops_the_record_and_nothing_else(moltghost: Command, engine: FakeEngine) -> None:
    engine.known += ["local", "my-agent.local"]
    before = files(moltghost.project)
    ran = moltghost("stack", "forget", "my-agent.local", "--yes")
    assert ran.code == 0
    assert "stack my-agent.local: 1 object forgotten; config stays" in ran.out
    assert engine.known == ["local"]
    assert (engine.ups, engine.destroyed) == ([], [])
    assert files(moltghost.project) == before


def test_forget_in_json_has_the_keys_that_scripts_rely_on(
    moltghost: Command, engine: FakeEngine
) -> None:
    engine.known.append("platform.local")
    ran = moltghost("stack", "forget", "platform.local", "--yes", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.data == {"stack": "platform.local", "forgotten": 1}


def test_forget_is_not_done_unasked(moltghost: Command, engine: FakeEngine) -> None:
    engine.known.append("local")
    ran = moltghost("stack", "forget", "local")
    assert ran.code == 2
    assert "can't ask for confirmation" in ran.err
    assert engine.known == ["local"]


@pytest.mark.parametrize(("answer", "done"), [(True, True), (False, False)])
def test_forget_asks_with_what_it_means(
    answer: bool,
    done: bool,
    moltghost: Command,
    engine: FakeEngine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("moltghost.cli.options.click.confirm", confirm)
    engine.known.append("local")
    ran = moltghost("stack", "forget", "local")
    [question] = asked
    assert question.startswith("Forget stack local (1 object)?")
    assert "they stay in it, and nothing here manages them any more" in question
    assert (ran.code, engine.known) == ((0, []) if done else (2, ["local"]))


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_a_stack_that_the_engine_does_not_know_is_refused_without_asking(
    yes: tuple[str, ...], moltghost: Command
) -> None:
    ran = moltghost("stack", "forget", "nobody.local", *yes)
    assert ran.code == 2
    assert "there is no stack nobody.local" in ran.err


def test_a_name_that_no_stack_has_is_refused(moltghost: Command) -> None:
    ran = moltghost("stack", "forget", "../../x", "--yes")
    assert ran.code == 2
    assert "is not a valid name" in ran.err


def test_adopt_moves_the_environment_and_says_what_it_moved(
    moltghost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["local", "platform.local"]
    monkeypatch.setattr("moltghost.cli.commands.stack.stacks_to_adopt", lambda *_: names)
    monkeypatch.setattr(
        "moltghost.cli.commands.stack.adopt_environment", lambda *_: dict.fromkeys(names, 4)
    )
    assert moltghost("stack", "adopt", "local", "--engine", "stock").code == 2
    ran = moltghost("stack", "adopt", "local", "--engine", "stock", "--yes", "--json")
    assert ran.code == 0
    assert ran.data == {
        "environment": "local",
        "engine": "stock",
        "adopted": {"local": 4, "platform.local": 4},
    }


def test_adopt_without_a_cli_says_where_to_get_it(
    moltghost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moltghost.engines.stock.command.find_cli", lambda: None)
    ran = moltghost("stack", "adopt", "local", "--engine", "stock", "--yes")
    assert ran.code == 2
    assert "needs the Pulumi CLI" in ran.err
    assert "https://www.pulumi.com/docs/iac/download-install/" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "local"),
        ("preview", "my-agent.local"),
        ("down", "local"),
        ("agent", "destroy", "my-agent"),
    ],
)
@pytest.mark.usefixtures("cluster")
def test_the_stock_engine_without_a_cli_is_refused(
    arguments: tuple[str, ...], moltghost: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moltghost.engines.stock.command.find_cli", lambda: None)
    ran = moltghost(*arguments, "--engine", "stock")
    assert ran.code == 2
    assert "needs the Pulumi CLI, and there is no pulumi on PATH" in ran.err
