from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.config import read_agent, stack_file
from moltghost.lifecycle.agents.stack_files import (
    commit_pending,
    discard_pending,
    pending_file,
    write_pending,
)
from tests.examples import PROJECT, STACK, agent_spec
from tests.lifecycle.projects import README_FILE, files, project


def written(folder: Path, **changes: object) -> str:
    return write_pending(folder, STACK, agent_spec(**changes)).read_text(encoding="utf-8")


def test_an_edit_keeps_comments_order_and_every_other_line(tmp_path: Path) -> None:
    text = written(project(tmp_path), model="qwen2.5-72b-q4")
    assert text == README_FILE.replace("llama3.1-70b-q4", "qwen2.5-72b-q4")


def test_no_edit_is_no_difference(tmp_path: Path) -> None:
    assert written(project(tmp_path)) == README_FILE


def test_a_new_value_is_added_and_one_at_its_default_goes(tmp_path: Path) -> None:
    config = README_FILE + "    parallel: 2\n    gpu: h100\n"
    text = written(project(tmp_path, config), gpu="h100", memory="160gb")
    assert text == README_FILE + "    gpu: h100\n    memory: 160gb\n"


def test_what_else_the_file_has_is_kept(tmp_path: Path) -> None:
    config = (
        "encryptionsalt: v1:abc=:v1:def:ghi\n"
        + README_FILE
        + '  moltghost:hub-token: {secure: "v1:xyz"}  # for gated models\n'
    )
    text = written(project(tmp_path, config), context="64k")
    assert text.startswith("encryptionsalt: v1:abc=:v1:def:ghi\n")
    assert text.endswith('  moltghost:hub-token: {secure: "v1:xyz"}  # for gated models\n')
    assert "context: 64k" in text


def test_a_new_agents_file_says_who_wrote_it_and_nothing_superfluous(tmp_path: Path) -> None:
    text = written(project(tmp_path, agent=None))
    assert text == (
        "# Written by `moltghost deploy`; edit it as you like, comments are kept.\n"
        "config:\n"
        "  moltghost:spec:\n"
        "    kind: agent\n"
        "    model: llama3.1-70b-q4\n"
        "    context: 32k\n"
        "    owner: team-a\n"
    )


def test_what_was_written_is_read_back_as_it_was(tmp_path: Path) -> None:
    folder = project(tmp_path, agent=None)
    spec = agent_spec(
        gpu="h100",
        memory="160gb",
        parallel=2,
        sharing="owner",
        token_rotation=3,
        previous={"model": "phi3-mini-q8", "context": 16000, "kv_cache": "q8_0"},
    )
    assert read_agent(folder, STACK, write_pending(folder, STACK, spec)) == spec


def test_a_change_waits_beside_the_config_until_it_is_committed(tmp_path: Path) -> None:
    folder = project(tmp_path)
    written(folder, model="qwen2.5-72b-q4")
    assert stack_file(folder, STACK).read_text(encoding="utf-8") == README_FILE
    commit_pending(folder, STACK)
    assert read_agent(folder, STACK).model == "qwen2.5-72b-q4"
    assert not pending_file(folder, STACK).exists()


def test_a_change_that_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path)
    before = files(folder)
    written(folder, model="qwen2.5-72b-q4")
    discard_pending(folder, STACK)
    discard_pending(folder, STACK)
    assert files(folder) == before


def test_a_kill_while_writing_leaves_the_earlier_pending_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project(tmp_path)
    first = written(folder, model="qwen2.5-72b-q4")

    def killed(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        written(folder, model="phi3-mini-q8")
    assert pending_file(folder, STACK).read_text(encoding="utf-8") == first
    assert stack_file(folder, STACK).read_text(encoding="utf-8") == README_FILE


def test_pending_changes_are_not_for_version_control() -> None:
    ignored = (PROJECT / ".gitignore").read_text(encoding="utf-8").split()
    folder = pending_file(PROJECT, STACK).relative_to(PROJECT).parts[0]
    assert {folder, f"/{folder}", f"{folder}/", f"/{folder}/"} & set(ignored)


def test_values_are_those_a_person_would_write() -> None:
    assert agent_spec(context=32768, memory=160).as_written() == {
        "kind": "agent",
        "owner": "team-a",
        "model": "llama3.1-70b-q4",
        "context": "32k",
        "memory": "160gb",
    }


def test_the_model_part_is_what_an_update_or_a_scale_changes() -> None:
    part = agent_spec(gpu="h100", memory="160gb", owner="team-b", token_rotation=2).model_part
    assert part.model_dump(mode="json", exclude_defaults=True) == {
        "model": "llama3.1-70b-q4",
        "context": "32k",
        "gpu": "h100",
        "memory": "160gb",
    }
