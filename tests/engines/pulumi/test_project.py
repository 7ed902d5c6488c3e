"""Reading Pulumi.yaml and stack files."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost.engines.pulumi.passphrase import Keyring, crypter_of, new_salt
from moltghost.engines.pulumi.project import StackConfig, read_config, read_project
from moltghost.errors import Refused

PROJECT = "name: p\nruntime: {name: python}\n"


def write(folder: Path, project: str = PROJECT, stack: str = "config: {}\n") -> Path:
    (folder / "Pulumi.yaml").write_text(project)
    (folder / "Pulumi.a.yaml").write_text(stack)
    return folder


def config(folder: Path, path: Path | None = None) -> StackConfig:
    return read_config(read_project(folder), "a", path, Keyring(folder / "key"))


def test_values_become_the_text_that_the_sdk_expects(tmp_path: Path) -> None:
    text = "config:\n  p:text: a\n  p:yes: true\n  p:count: 3\n  p:object: {a: [1, x]}\n  bare: b\n"

    found = config(write(tmp_path, stack=text))

    assert found.values == {
        "p:text": "a",
        "p:yes": "true",
        "p:count": "3",
        "p:object": '{"a": [1, "x"]}',
        "p:bare": "b",
    }
    assert found.secret_keys == frozenset()


def test_another_file_can_take_the_place_of_the_stacks_own(tmp_path: Path) -> None:
    pending = tmp_path / "pending.yaml"
    pending.write_text("config: {p:a: new}\n")

    found = config(write(tmp_path, stack="config: {p:a: old}\n"), pending)

    assert found.values == {"p:a": "new"}


def test_secure_values_are_opened_and_their_keys_are_secret(tmp_path: Path) -> None:
    keyring = Keyring(tmp_path / "key")
    salt = new_salt(keyring.passphrase())
    sealed = crypter_of(keyring.passphrase(), salt).encrypt("hidden")
    text = f"encryptionsalt: {salt}\nconfig:\n  p:s: {{secure: '{sealed}'}}\n"
    text += f"  p:o: {{a: [{{secure: '{sealed}'}}]}}\n  p:t: x\n"

    found = config(write(tmp_path, stack=text))

    assert found.values == {"p:s": "hidden", "p:o": '{"a": ["hidden"]}', "p:t": "x"}
    assert found.secret_keys == {"p:s", "p:o"}


def test_defaults_of_the_project_are_filled_in(tmp_path: Path) -> None:
    project = PROJECT + "config:\n  given: {type: string, default: d}\n  fixed: {value: 7}\n"

    assert config(write(tmp_path, project)).values == {"p:given": "d", "p:fixed": "7"}


@pytest.mark.parametrize(
    ("project", "stack", "message"),
    [
        (PROJECT + "config:\n  spec: {type: object}\n", "config: {}", "doesn't set p:spec"),
        (PROJECT, "config: [1]", "must be a mapping"),
        (PROJECT, "config: {a: [", "not valid YAML"),
        (PROJECT, "just text", "doesn't contain a mapping"),
        (PROJECT, "config: {p:s: {secure: 'v1:AAAA:AAAA'}}", "no encryptionsalt"),
        ("name: p\nruntime: go\n", "config: {}", "runtime python; it says runtime: go"),
        ("runtime: python\n", "config: {}", "must have a name"),
    ],
)
def test_a_broken_file_is_refused_with_what_is_wrong(
    tmp_path: Path, project: str, stack: str, message: str
) -> None:
    write(tmp_path, project, stack)

    with pytest.raises(Refused, match=message):
        config(tmp_path)


def test_a_stack_without_a_file_is_refused_with_the_path(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "Pulumi.a.yaml").unlink()

    with pytest.raises(Refused, match=r"stack a has no configuration file .*Pulumi\.a\.yaml"):
        config(tmp_path)
