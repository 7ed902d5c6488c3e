from __future__ import annotations

import ast
import errno
import multiprocessing
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from moltghost import files
from moltghost.files import create_private, make_private_folder, write_private, write_text
from tests.examples import PROJECT

WRITERS = {
    "private": lambda path, text: write_private(path, text, durable=True),
    "public": lambda path, text: write_text(path, text, durable=True),
}
# A script of the standard library alone, which may import nothing of ours.
WRITES_BY_ITSELF = {"moltghost/local/cluster/launch.py"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_private_from_the_start_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new", durable=False)
    assert (path.read_text(), mode(path)) == ("new", 0o600)


def test_equal_content_is_not_written_but_made_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_private(path, "same", durable=False)
    path.chmod(0o644)
    before = path.stat().st_ino
    write_private(path, b"same", durable=False)
    assert (path.stat().st_ino, mode(path)) == (before, 0o600)


def test_a_file_that_others_may_read_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.a.local.yaml"
    path.write_text("old")
    path.chmod(0o640)
    assert write_text(path, "new", durable=True) == path
    assert (path.read_text(), mode(path)) == ("new", 0o640)


def test_a_new_file_that_others_may_read_has_the_mode_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "folder" / "file", "new", durable=False)
    finally:
        os.umask(before)
    assert mode(tmp_path / "folder" / "file") == 0o640


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_what_an_interrupted_write_left_does_not_stand_in_the_way(
    write: Callable[[Path, str], object], tmp_path: Path
) -> None:
    left = tmp_path / ".token.draft"
    left.write_text("half of something longer")
    left.chmod(0o644)
    write(tmp_path / "token", "whole")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"token": "whole"}


def test_a_leftover_that_others_could_read_becomes_private_before_a_secret_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / ".token.draft"
    left.touch(0o644)
    seen: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _descriptor: seen.append(mode(left)))
    monkeypatch.setattr(files, "sync", lambda path: seen.append(mode(path)))
    write_private(tmp_path / "token", "secret", durable=True)
    assert seen[0] == 0o600


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_write_that_fails_leaves_the_old_file(
    write: Callable[[Path, str], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, "new")

    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("durable", "syncs"), [(True, 2), (False, 0)])
def test_a_durable_file_and_its_name_are_on_the_disk_and_others_cost_nothing(
    durable: bool, syncs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[bool] = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: done.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
    )
    write_private(tmp_path / "one", "text", durable=durable)
    assert done == [False, True][:syncs]


def test_of_two_who_create_a_file_the_first_wins(tmp_path: Path) -> None:
    create_private(tmp_path / "file", "first")
    create_private(tmp_path / "file", "second")

    assert (tmp_path / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def _write_often(path: Path, letter: str) -> None:
    for length in range(1, 100):
        write_private(path, letter * length * 1000, durable=False)


def test_a_reader_never_sees_parts_of_two_who_write_at_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "a", durable=False)
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_often, args=(path, letter)) for letter in "ab"]
    for writer in writers:
        writer.start()
    reads = 0
    while any(writer.is_alive() for writer in writers):
        text = path.read_text()
        assert len(set(text)) == 1
        assert len(text) == 1 or len(text) % 1000 == 0
        reads += 1
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert reads
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_an_existing_folder_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    assert mode(make_private_folder(folder)) == 0o700


def _replaces_a_file(node: ast.AST) -> bool:
    """`path.replace(target)`, `os.replace(...)` and temporary files; not `text.replace(a, b)`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    of_os = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
    moves = node.func.attr == "replace" and (of_os or len(node.args) == 1)
    return (moves and not node.keywords) or node.func.attr in ("NamedTemporaryFile", "mkstemp")


def test_no_other_module_replaces_a_file_by_itself() -> None:
    found = {
        str(module.relative_to(PROJECT))
        for module in (PROJECT / "moltghost").rglob("*.py")
        if any(map(_replaces_a_file, ast.walk(ast.parse(module.read_text(encoding="utf-8")))))
    }
    assert found == {"moltghost/files.py", *WRITES_BY_ITSELF}
