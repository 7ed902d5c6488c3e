"""Archives: the same bytes for the same content, and nothing of this machine in them."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from moltghost.images import tree
from moltghost.images.oci import ImageConfig, write_archive
from tests.images.examples import CONFIG, REFERENCE, small_image


def test_the_same_content_gives_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    first, second = small_image(tmp_path / "a"), small_image(tmp_path / "b" / "c")
    os.utime(tmp_path / "b" / "c" / "hello", (10**9, 10**9))
    (tmp_path / "b" / "c" / "hello").chmod(0o600)
    third = small_image(tmp_path / "b" / "c")
    assert first.file.read_bytes() == second.file.read_bytes() == third.file.read_bytes()


def test_other_content_gives_another_digest(tmp_path: Path) -> None:
    one, other = small_image(tmp_path / "a"), small_image(tmp_path / "b", "hullo\n")
    assert one.digest != other.digest
    assert one.digest != small_image(tmp_path / "c", "hello\n\n").digest


def test_every_blob_has_the_digest_that_it_is_named_by(tmp_path: Path) -> None:
    with tarfile.open(small_image(tmp_path).file) as archive:
        blobs = [member for member in archive if member.name.startswith("blobs/sha256/")]
        assert len(blobs) == 4  # manifest, config, two layers
        for member in blobs:
            content = archive.extractfile(member)
            assert content is not None
            assert hashlib.file_digest(content, "sha256").hexdigest() == member.name[13:]


def test_the_index_comes_first_and_names_the_image_for_containerd(tmp_path: Path) -> None:
    image = small_image(tmp_path)
    with tarfile.open(image.file) as archive:
        assert archive.getnames()[:2] == ["oci-layout", "index.json"]
    assert image.reference == REFERENCE
    assert image.manifest_bytes().startswith(b'{"config":{')


def test_the_config_says_what_runs_and_as_whom(tmp_path: Path) -> None:
    config = small_image(tmp_path).config()
    assert config["architecture"] == "amd64"
    assert config["config"] == {
        "User": "1000:1000",
        "Env": ["HOME=/home/hello", "PATH=/bin"],
        "Entrypoint": ["hello"],
        "WorkingDir": "/",
        "Labels": {"a": "1", "b": "2"},
    }
    layers = small_image(tmp_path).manifest()["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in layers]


def test_files_have_numeric_owners_no_times_and_no_special_bits(tmp_path: Path) -> None:
    members = {member.name: member for member in small_image(tmp_path).files()}
    assert {(m.mtime, m.uname, m.gname) for m in members.values()} == {(0, "", "")}
    assert members["bin/hello"].mode == 0o755
    assert members["tmp"].mode == 0o1777
    assert members["home/hello"].uid == members["home/hello"].gid == 1000
    assert {m.uid for name, m in members.items() if name != "home/hello"} == {0}
    assert not [name for name, m in members.items() if m.mode & 0o6000]


def test_folders_come_before_what_lies_in_them(tmp_path: Path) -> None:
    names = [member.name for member in small_image(tmp_path).files()]
    for name in names:
        parent = name.rpartition("/")[0]
        assert not parent or names.index(parent) < names.index(name)


def test_two_things_in_one_place_are_an_error(tmp_path: Path) -> None:
    twice = [tree.written("etc/motd", "a"), tree.written("etc/motd", "b")]
    with pytest.raises(ValueError, match="etc/motd is in the image twice"):
        write_archive(tmp_path / "x.tar", REFERENCE, [twice], CONFIG, "amd64")


def test_an_archive_that_could_not_be_written_leaves_nothing(tmp_path: Path) -> None:
    gone = tree.Entry(path="bin/x", source=tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="gone"):
        write_archive(tmp_path / "x.tar", REFERENCE, [[gone]], CONFIG, "amd64")
    assert list(tmp_path.iterdir()) == []


def test_long_paths_and_links_survive(tmp_path: Path) -> None:
    long = "/".join(["node_modules", *(["a-folder-with-a-name"] * 12), "index.js"])
    layer = [tree.written(long, "x"), tree.linked("app", long)]
    write_archive(tmp_path / "x.tar", REFERENCE, [layer], ImageConfig(user="1:1"), "arm64")
    unpacked = tmp_path / "unpacked"
    from moltghost.images.archive import Archive

    Archive(tmp_path / "x.tar").extract(unpacked)
    assert (unpacked / "app").read_text() == "x"
    assert json.loads(Archive(tmp_path / "x.tar").manifest_bytes())["schemaVersion"] == 2
