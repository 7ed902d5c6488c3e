"""Reading a Pulumi project: ``Pulumi.yaml`` and the configuration file of a stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from moltghost.engines.pulumi.passphrase import Crypter, Keyring, WrongPassphrase
from moltghost.errors import Refused


@dataclass(frozen=True, kw_only=True)
class Project:
    """What ``Pulumi.yaml`` says.

    Args:
        name: the project's name.
        folder: where ``Pulumi.yaml`` is.
        program: the folder that the program runs in.
        stack_files: the folder of the stacks' configuration files.
        declared: the schema of the configuration by full key.
    """

    name: str
    folder: Path
    program: Path
    stack_files: Path
    declared: Mapping[str, Any]

    def config_file(self, stack: str) -> Path:
        """The configuration file of a stack."""
        return self.stack_files / f"Pulumi.{stack}.yaml"


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Configuration as the SDK takes it: text by full key, objects as JSON."""

    values: Mapping[str, str]
    secret_keys: frozenset[str]


def read_project(folder: Path) -> Project:
    """The project in a folder.

    Raises:
        Refused: there is none, or it isn't a Python project.
    """
    path = folder / "Pulumi.yaml"
    document = _read_yaml(path, f"{folder} isn't a Pulumi project: it has no Pulumi.yaml")
    runtime = document.get("runtime")
    language = runtime.get("name") if isinstance(runtime, Mapping) else runtime
    if language != "python" or not document.get("name"):
        raise Refused(
            f"{path} must have a name and the runtime python; it says runtime: {language}",
            "the embedded engine runs Python programs only",
        )
    name = str(document["name"])
    return Project(
        name=name,
        folder=folder,
        program=folder / document.get("main", "."),
        stack_files=folder / document.get("stackConfigDir", "."),
        declared={_full_key(key, name): item for key, item in _config(document).items()},
    )


def read_config(project: Project, stack: str, path: Path | None, keyring: Keyring) -> StackConfig:
    """The configuration of a stack, secrets decrypted, defaults of the project filled in.

    Args:
        project: the project.
        stack: the stack's name.
        path: a file to read in place of the stack's own.
        keyring: opens ``secure:`` values.

    Raises:
        Refused: the file is missing or malformed, a declared key has no value, or a secret
            can't be opened.
    """
    path = path or project.config_file(stack)
    document = _read_yaml(path, f"stack {stack} has no configuration file {path}")
    reader = _Secure(path, document.get("encryptionsalt"), keyring)
    values: dict[str, str] = {}
    secret_keys = set()
    for raw_key, raw in _config(document).items():
        key = _full_key(raw_key, project.name)
        values[key] = _text(reader.opened(raw))
        if _has_secure(raw):
            secret_keys.add(key)
    _fill_defaults(project, stack, path, values)
    return StackConfig(values=values, secret_keys=frozenset(secret_keys))


def _fill_defaults(project: Project, stack: str, path: Path, values: dict[str, str]) -> None:
    for key, declared in project.declared.items():
        if key in values:
            continue
        default = declared
        if isinstance(declared, Mapping):
            default = declared.get("value", declared.get("default"))
        if default is None:
            raise Refused(
                f"stack {stack} doesn't set {key}, which the project declares",
                f"set it in {path}",
            )
        values[key] = _text(default)


def _read_yaml(path: Path, missing: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise Refused(missing, f"create {path}") from None
    except yaml.YAMLError as error:
        raise Refused(f"{path} is not valid YAML: {error}", "correct it") from error
    if not isinstance(document, dict):
        raise Refused(f"{path} doesn't contain a mapping", "correct it")
    return document


def _config(document: Mapping[str, Any]) -> Mapping[str, Any]:
    config = document.get("config") or {}
    if not isinstance(config, Mapping):
        raise Refused("config: must be a mapping of keys to values", "correct it")
    return config


def _full_key(key: str, project: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)


def _has_secure(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(_has_secure(item) for item in value.values())
    return isinstance(value, list) and any(_has_secure(item) for item in value)


class _Secure:
    """Opens ``secure:`` values, deriving the key only if there are any."""

    def __init__(self, path: Path, salt: str | None, keyring: Keyring) -> None:
        self._path = path
        self._salt = salt
        self._keyring = keyring
        self._crypter: Crypter | None = None

    def opened(self, value: Any) -> Any:
        """The value with ciphertexts replaced by what they hold."""
        if isinstance(value, Mapping):
            if set(value) == {"secure"}:
                return self._decrypt(str(value["secure"]))
            return {key: self.opened(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.opened(item) for item in value]
        return value

    def _decrypt(self, ciphertext: str) -> str:
        if not self._salt:
            raise Refused(
                f"{self._path} has a secure value but no encryptionsalt",
                "secrets of other providers than passphrase need the Pulumi CLI: pulumi up",
            )
        self._crypter = self._crypter or self._keyring.config_crypter(self._salt)
        try:
            return self._crypter.decrypt(ciphertext)
        except WrongPassphrase:
            raise Refused(
                f"a secure value in {self._path} can't be opened",
                "set it again with the passphrase that the file's encryptionsalt belongs to",
            ) from None
