"""What the release workflow asks of the repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.images import store
from moltghost.local.build import builder, programs
from tests.images.examples import small_image
from tools import release

CHANGELOG = """# Changelog

## [Unreleased]

- later

## [1.2.3] - 2026-11-30

### Added

- **Crane.** Copies.

## [1.2.2] - 2026-10-30

- earlier
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    return tmp_path


def test_a_tag_of_the_version_that_the_changelog_describes_is_let_through(project: Path) -> None:
    release.check("v1.2.3", project)
    assert release.notes("v1.2.3", project) == "### Added\n\n- **Crane.** Copies."


@pytest.mark.parametrize("tag", ["v1.2.4", "1.2.3", "v1.2.3-rc1"])
def test_another_tag_is_refused(project: Path, tag: str) -> None:
    with pytest.raises(Refused, match=rf"the tag is {tag}, the version in pyproject\.toml is 1\.2"):
        release.check(tag, project)


@pytest.mark.parametrize(
    "text", [CHANGELOG.replace("1.2.3", "1x2.3"), "## [1.2.3]\n\n## [1.2.2]\n"]
)
def test_a_version_without_notes_is_refused(project: Path, text: str) -> None:
    (project / "CHANGELOG.md").write_text(text)
    with pytest.raises(Refused, match=r"CHANGELOG\.md has nothing about v1\.2\.3") as no:
        release.check("v1.2.3", project)
    assert "[Unreleased]" in no.value.hint


def test_our_images_are_left_as_layouts_with_crane_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "crane").write_text("crane")
    archives = {name: small_image(tmp_path / name, name) for name in ("gate", "tools")}
    monkeypatch.setattr(store, "ensure_built", lambda _report, names: [archives[n] for n in names])
    monkeypatch.setattr(builder, "ensure_built", lambda _report, _names: None)
    monkeypatch.setattr(programs, "binary", lambda name: tmp_path / name)
    out = tmp_path / "out"
    release.main(["images", str(out)])
    assert json.loads(capsys.readouterr().out) == [
        {
            "name": "gate",
            "repository": "ghcr.io/moltghost/gate",
            "tag": "2.11.9",
            "digest": archives["gate"].digest,
        },
        {
            "name": "agent-tools",
            "repository": "ghcr.io/moltghost/agent-tools",
            "tag": "0.1.0",
            "digest": archives["tools"].digest,
        },
    ]
    assert sorted(each.name for each in out.iterdir()) == ["agent-tools", "crane", "gate"]
    assert (out / "gate" / "index.json").is_file()


def test_a_wrong_call_ends_with_how_to_call_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        release.main(["publish"])
    assert "usage: release check TAG" in capsys.readouterr().err
