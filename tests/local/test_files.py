from __future__ import annotations

import stat
from pathlib import Path

from moltghost.local.files import make_private_folder, write_private


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_file_is_private_from_the_start_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    assert write_private(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)


def test_equal_content_is_not_written_but_made_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_private(path, "same")
    path.chmod(0o644)
    before = path.stat().st_ino
    assert not write_private(path, b"same")
    assert (path.stat().st_ino, mode(path)) == (before, 0o600)


def test_what_an_interrupted_write_left_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".token.partial").write_text("half")
    write_private(tmp_path / "token", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_an_existing_folder_is_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    assert mode(make_private_folder(folder)) == 0o700
