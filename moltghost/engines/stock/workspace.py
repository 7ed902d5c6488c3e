"""One project's stacks in the backend that the user has chosen."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path
from typing import Any

from pulumi.automation import (
    CommandError,
    LocalWorkspace,
    Stack,
    StackSummary,
)
from ruamel.yaml import YAML

from moltghost import paths
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.project import Project
from moltghost.engines.stock.command import require_cli
from moltghost.engines.stock.errors import explained
from moltghost.engines.stock.installation import INSTALL_HINT
from moltghost.errors import Refused
from moltghost.files import write_text

_CHECKPOINT_VERSION = 3
_PASSPHRASES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
_SECRETS_KEYS = ("secretsprovider", "encryptedkey", "encryptionsalt")
_IGNORES_PROTECTION = (3, 256)
"""The first CLI with ``--ignore-protect``: https://github.com/pulumi/pulumi/pull/24053"""
_SECRETS_PROVIDER = "MOLTGHOST_SECRETS_PROVIDER"


class Stacks:
    """The stacks of a project, by name.

    Args:
        project: the project.

    Raises:
        Refused: there is no CLI that fits.
    """

    def __init__(self, project: Project) -> None:
        self.command = require_cli()
        self._project = project

    def names(self) -> list[StackSummary]:
        """What the backend has of this project."""
        try:
            return self._workspace().list_stacks()
        except CommandError as error:
            raise explained(Refused, self._project.name, error) from error

    def select(self, stack: str) -> Stack | None:
        """A stack; ``None`` if there is none of that name."""
        known = {_short(each.name) for each in self.names()}
        # The Automation API would make it the CLI's current stack, which is the user's choice.
        return _Unselected(stack, self._workspace()) if stack in known else None

    def require(self, stack: str) -> Stack:
        """A stack that is there.

        Raises:
            Refused: there is none of that name.
        """
        if found := self.select(stack):
            return found
        known = ", ".join(sorted(_short(each.name) for each in self.names())) or "none"
        raise Refused(f"there is no stack {stack}", f"stacks of this engine: {known}")

    @contextmanager
    def created(
        self,
        stack: str,
        config: Path | None,
        *,
        temporary: bool = False,
        undone_by: type[BaseException] = Refused,
    ) -> Iterator[Stack]:
        """A new stack, with the provider of its secrets written to its configuration.

        That is the provider that the configuration names, else ``$MOLTGHOST_SECRETS_PROVIDER``,
        else the backend's own. If the work with it is refused, it is as if there had been none;
        only a configuration that was edited meanwhile stays as it is.

        Args:
            stack: the stack's name.
            config: the configuration file, where it isn't the stack's own.
            temporary: remove it again in any case.
            undone_by: the errors of the work after which it is removed.

        Raises:
            Refused: it couldn't be made.
        """
        file = config or self._project.config_file(stack)
        before = _text(file)
        made = self._create(stack, config)
        written = _text(file)
        try:
            yield made
        except BaseException as error:
            if temporary or isinstance(error, undone_by):
                with suppress(Refused):  # why the work ended counts more
                    self._undo(stack, file, written, before)
            raise
        if temporary:
            self._undo(stack, file, written, before)

    def _undo(self, stack: str, file: Path, written: str | None, before: str | None) -> None:
        try:
            self.remove(stack)
        finally:
            if _text(file) == written:
                _restore(file, before)

    def _create(self, stack: str, config: Path | None) -> Stack:
        own = self._project.config_file(stack)
        workspace = self._workspace(_secrets_provider(config or own))
        arguments = ["stack", "init", stack, "--no-select"]
        if workspace.secrets_provider:
            arguments += ["--secrets-provider", workspace.secrets_provider]
        before = _text(own)
        try:
            if config and before is None:
                # Killed here, we leave the configuration that was asked for, and no half of one.
                write_text(own, config.read_text(), durable=True)
            self.run(stack, *arguments)
            if config:
                # The CLI can't be told of another file here, so what it wrote is moved over.
                move_secrets_keys(own, config)
        except BaseException:
            _restore(own, before)
            raise
        if config:
            _restore(own, before)
        return _Unselected(stack, workspace)

    @contextmanager
    def opened(self, stack: str) -> Iterator[Stack]:
        """A stack, made if it isn't there, and removed again if the work with it fails."""
        if found := self.select(stack):
            yield found
            return
        with self.created(stack, None, undone_by=BaseException) as made:
            yield made

    def remove(self, stack: str, *, force: bool = False) -> None:
        """Forget a stack; its configuration file stays.

        Args:
            stack: its name.
            force: also if it has resources, which are left alone.
        """
        options = ["--yes", "--preserve-config", *(["--force"] if force else [])]
        self.run(stack, "stack", "rm", stack, *options)

    def ignore_protection(self, stack: Stack) -> None:
        """Have this ``destroy`` delete what is protected; in the state it stays protected.

        Raises:
            Refused: the CLI is too old for that.
        """
        version = self.command.version
        if version and (version.major, version.minor) < _IGNORES_PROTECTION:
            raise Refused(
                f"the Pulumi CLI {version} can't delete what is protected; "
                f"{'.'.join(map(str, _IGNORES_PROTECTION))} is the first that can",
                INSTALL_HINT,
            )
        # The Automation API doesn't have the flag; any can be given as a variable.
        flag = {"PULUMI_OPTION_IGNORE_PROTECT": "true"}
        stack.workspace.env_vars = {**stack.workspace.env_vars, **flag}

    def deployment(self, stack: Stack) -> dict[str, Any]:
        """The checkpoint of a stack, with its secrets in plain text: for this process only."""
        try:
            deployment: dict[str, Any] = dict(stack.export_stack().deployment or {})
        except CommandError as error:
            raise explained(Refused, stack.name, error) from error
        return deployment

    def version(self, stack: Stack) -> str:
        """Changes with every change of a stack."""
        try:
            last = stack.history(page_size=1, page=1, show_secrets=False)
        except CommandError as error:
            raise explained(Refused, stack.name, error) from error
        return f"{last[0].version}-{last[0].start_time.isoformat()}" if last else "never"

    def replace_deployment(self, stack: str, deployment: dict[str, Any]) -> None:
        """Give a stack another checkpoint.

        It goes through a pipe: the Automation API would write the secrets to a temporary file.
        """
        text = json.dumps({"version": _CHECKPOINT_VERSION, "deployment": deployment})
        self.run(stack, "stack", "import", "--stack", stack, text=text)

    def run(self, stack: str, *arguments: str, text: str | None = None) -> str:
        """Run a command of the CLI that the Automation API doesn't have.

        Raises:
            Refused: it failed.
        """
        workspace = self._workspace()
        try:
            done = self.command.run(
                list(arguments), workspace.work_dir, dict(workspace.env_vars), text=text
            )
        except CommandError as error:
            raise explained(Refused, stack, error) from error
        return done.stdout

    def _workspace(self, secrets_provider: str | None = None) -> LocalWorkspace:
        return LocalWorkspace(
            work_dir=str(self._project.folder),
            pulumi_command=self.command,
            secrets_provider=secrets_provider,
            env_vars=_passphrase(self._project.name),
        )


class _Unselected(Stack):
    """A stack as commands name it, without making it the CLI's current one."""

    def __init__(self, name: str, workspace: LocalWorkspace) -> None:
        self.name = name
        self.workspace = workspace


def move_secrets_keys(source: Path, target: Path) -> None:
    """Write what the CLI noted down of the secrets' provider to another configuration file."""
    yaml = YAML()
    yaml.preserve_quotes = True
    written, document = yaml.load(source), yaml.load(target)
    for key in _SECRETS_KEYS:
        if key in written:
            document[key] = written[key]
    text = StringIO()
    yaml.dump(document, text)
    write_text(target, text.getvalue(), durable=True)


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None


def _restore(file: Path, text: str | None) -> None:
    if text is None:
        file.unlink(missing_ok=True)
    elif text != _text(file):
        write_text(file, text, durable=True)


def _secrets_provider(file: Path) -> str | None:
    document = YAML(typ="safe").load(file) if file.is_file() else None
    named = document.get("secretsprovider") if isinstance(document, dict) else None
    return named or os.environ.get(_SECRETS_PROVIDER)


def _passphrase(project: str) -> dict[str, str]:
    """The embedded engine's key as passphrase, unless the user has one.

    So a ``secure:`` value that one engine wrote can be read by the other.
    """
    if any(name in os.environ for name in _PASSPHRASES):
        return {}
    key = paths.key_file(project)
    Keyring(key).passphrase()  # generated, if this is the first use of either engine
    return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(key)}


def _short(name: str) -> str:
    """``my-agent.local`` of ``organization/moltghost/my-agent.local``."""
    return name.rpartition("/")[2]
