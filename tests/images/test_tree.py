from __future__ import annotations

from pathlib import Path

from moltghost.images import tree


def test_a_walk_is_sorted_and_keeps_links_and_executables(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "b" / "run.sh").chmod(0o4711)
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "a.txt").chmod(0o600)
    (tmp_path / "link").symlink_to("b")
    found = {e.path: e for e in tree.walked(tmp_path, "app", lambda path: path != "nothing")}
    assert list(found) == ["app/a.txt", "app/link", "app/b/run.sh"]
    assert found["app/b/run.sh"].mode == 0o755  # the bit that changes who runs it is gone
    assert found["app/a.txt"].mode == 0o644
    assert found["app/link"].link == "b"


def test_what_is_not_wanted_is_left_out_with_its_folder(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_text("a")
    (tmp_path / "x.js").write_text("x")
    found = tree.with_parents(
        tree.walked(tmp_path, "app", lambda path: not path.startswith("docs/"))
    )
    assert [entry.path for entry in found] == ["app", "app/x.js"]


def test_the_base_has_one_user_beside_root() -> None:
    files = {entry.path: entry for entry in tree.base("node", "/home/node")}
    assert files["etc/passwd"].content.decode().splitlines() == [
        "root:x:0:0:root:/root:/sbin/nologin",
        "node:x:1000:1000:node:/home/node:/sbin/nologin",
    ]
    assert files["home/node"].owner == 1000
