"""The state of a stack, in Pulumi's deployment format, version 3.

The file can be read by ``pulumi stack import``: Pulumi's keys are as in
``sdk/go/common/apitype/core.go``, secrets are in its ciphertext form. What only this engine
needs is beside them, under ``moltghost``: the engine that owns the stack and, for each Kubernetes
provider, the uid of its cluster.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moltghost.engines.pulumi.passphrase import Crypter, Keyring
from moltghost.engines.pulumi.urn import ROOT_TYPE
from moltghost.engines.pulumi.values import from_state, to_state
from moltghost.errors import Refused
from moltghost.files import remove, write_private
from moltghost.locks import held

ENGINE = "embedded"
_VERSION = 3
_KUBERNETES_PROVIDER = "pulumi:providers:kubernetes"
_ASIDE = ".moved"
_ENGINE_VERSION = "v3.272.0"  # the Pulumi version whose format this is


@dataclass(kw_only=True)
class ResourceState:
    """What is known of one resource after it was last touched.

    Args:
        urn: Pulumi's name.
        type: the type token.
        custom: managed by a provider; false for components.
        id: the provider's name of it, ``namespace/name`` for Kubernetes objects.
        inputs: what the program said.
        outputs: what the provider answered, e.g. the live object.
        init_errors: why it isn't ready though it exists; the next ``up`` waits for it again.
        delete: replaced, and to be deleted at the end of the ``up``.
        external: read, not managed.
        The others are the program's resource options.
    """

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    parent: str = ""
    provider: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    additional_secret_outputs: list[str] = field(default_factory=list)
    ignore_changes: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    init_errors: list[str] = field(default_factory=list)
    delete: bool = False
    external: bool = False
    created: str = ""
    modified: str = ""

    def needs(self) -> set[str]:
        """URNs that must exist as long as this resource does."""
        found = {self.parent, self.provider.rpartition("::")[0], self.deleted_with}
        found.update(self.dependencies, *self.property_dependencies.values())
        return found - {"", self.urn}


@dataclass(kw_only=True)
class StackState:
    """All resources of a stack, in an order in which each comes after what it needs.

    Args:
        stack: the stack's name.
        project: the project's name.
        resources: the resources.
        pending: resources whose creation was begun and not recorded as done.
        clusters: uid of the cluster (of its ``kube-system``) by URN of the provider.
        salt: what the secrets' key was derived with; empty for a state never written.
        updated: when it was last written.
    """

    stack: str
    project: str
    resources: list[ResourceState] = field(default_factory=list)
    pending: list[ResourceState] = field(default_factory=list)
    clusters: dict[str, str] = field(default_factory=dict)
    salt: str = ""
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))

    def root(self) -> ResourceState | None:
        """The stack's own resource; its outputs are the stack's outputs."""
        return next((item for item in self.resources if item.type == ROOT_TYPE), None)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs, secrets marked."""
        root = self.root()
        return root.outputs if root else {}


# ResourceState field -> key of apitype.ResourceV3
_KEYS = {
    "urn": "urn",
    "custom": "custom",
    "delete": "delete",
    "id": "id",
    "type": "type",
    "parent": "parent",
    "protect": "protect",
    "external": "external",
    "dependencies": "dependencies",
    "init_errors": "initErrors",
    "provider": "provider",
    "property_dependencies": "propertyDependencies",
    "additional_secret_outputs": "additionalSecretOutputs",
    "custom_timeouts": "customTimeouts",
    "retain_on_delete": "retainOnDelete",
    "deleted_with": "deletedWith",
    "created": "created",
    "modified": "modified",
    "ignore_changes": "ignoreChanges",
}
_ALWAYS = ("urn", "custom", "type")


def dump_resource(resource: ResourceState, encrypt: Callable[[str], str]) -> dict[str, Any]:
    """A resource as ``apitype.ResourceV3``."""
    dumped = {
        key: value
        for name, key in _KEYS.items()
        if (value := getattr(resource, name)) or name in _ALWAYS
    }
    for key, properties in (("inputs", resource.inputs), ("outputs", resource.outputs)):
        if properties:
            dumped[key] = to_state(properties, encrypt)
    return dumped


def load_resource(dumped: dict[str, Any], decrypt: Callable[[str], str]) -> ResourceState:
    """The inverse of ``dump_resource``."""
    fields = {name: dumped[key] for name, key in _KEYS.items() if key in dumped}
    return ResourceState(
        **fields,
        inputs=from_state(dumped.get("inputs", {}), decrypt),
        outputs=from_state(dumped.get("outputs", {}), decrypt),
    )


def dump_state(state: StackState, crypter: Crypter) -> str:
    """The text of a state file."""
    deployment = {
        "manifest": {
            "time": state.updated.isoformat(),
            "magic": hashlib.sha256(_ENGINE_VERSION.encode()).hexdigest(),
            "version": _ENGINE_VERSION,
        },
        "secrets_providers": {"type": "passphrase", "state": {"salt": crypter.salt}},
        "resources": [dump_resource(item, crypter.encrypt) for item in state.resources],
        "pending_operations": [
            {"resource": dump_resource(item, crypter.encrypt), "type": "creating"}
            for item in state.pending
        ],
        "metadata": {},
    }
    own = {
        "engine": ENGINE,
        "stack": state.stack,
        "project": state.project,
        "clusters": state.clusters,
    }
    return json.dumps({"version": _VERSION, "deployment": deployment, "moltghost": own})


def load_state(text: str, keyring: Keyring) -> StackState:
    """The inverse of ``dump_state``.

    Raises:
        Refused: the key is missing or isn't the one that the secrets were written with.
        KeyError, ValueError: the text is no state file.
    """
    document = json.loads(text)
    deployment, own = document["deployment"], document["moltghost"]
    salt = deployment["secrets_providers"]["state"]["salt"]
    decrypt = keyring.crypter(salt).decrypt
    return StackState(
        stack=own["stack"],
        project=own["project"],
        resources=[load_resource(item, decrypt) for item in deployment["resources"]],
        pending=[
            load_resource(item["resource"], decrypt) for item in deployment["pending_operations"]
        ],
        clusters=own["clusters"],
        salt=salt,
        updated=datetime.fromisoformat(deployment["manifest"]["time"]),
    )


def _names_cluster(state: Path, kubeconfig: Path) -> bool:
    """Whether a state file names this kubeconfig: a provider's, or a layer's output.

    No secret is opened. A damaged file names none.
    """
    try:
        named = [
            properties.get("kubeconfig")
            for item in json.loads(state.read_text())["deployment"]["resources"]
            if item["type"] in (ROOT_TYPE, _KUBERNETES_PROVIDER)
            for properties in (item.get("inputs", {}), item.get("outputs", {}))
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    return any(isinstance(each, str) and _same_file(Path(each), kubeconfig) for each in named)


def _same_file(one: Path, other: Path) -> bool:
    return one.expanduser().absolute() == other.expanduser().absolute()


class StateStore:
    """The state files of all stacks in one folder.

    Args:
        folder: where they are.
        keyring: opens their secrets.
    """

    def __init__(self, folder: Path, keyring: Keyring) -> None:
        self.folder = folder
        self._keyring = keyring

    def path(self, stack: str) -> Path:
        """The state file of a stack."""
        return self.folder / f"{stack}.json"

    def aside(self, stack: str) -> Path:
        """Where the state is while the stack is moved to the other engine."""
        return self.folder / f"{stack}.json{_ASIDE}"

    def names(self) -> list[str]:
        """The stacks that have a state, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def names_aside(self) -> list[str]:
        """The stacks whose state is aside, sorted: they are being moved, or a kill ended that."""
        return sorted(
            path.name.removesuffix(f".json{_ASIDE}") for path in self.folder.glob(f"*.json{_ASIDE}")
        )

    def put_aside(self, stack: str) -> None:
        """Put a state aside while the stack is moved."""
        self.path(stack).rename(self.aside(stack))

    def take_back(self, stack: str) -> None:
        """Make a state that is aside the stack's again, if there is one."""
        with suppress(FileNotFoundError):
            self.aside(stack).rename(self.path(stack))

    def names_in(self, kubeconfig: Path) -> list[str]:
        """The stacks whose objects are in the cluster of this kubeconfig, sorted.

        The states tell it themselves, so neither a project nor the key is needed.
        """
        files = {name: self.path(name) for name in self.names()}
        files |= {name: self.aside(name) for name in self.names_aside()}
        return sorted(name for name, file in files.items() if _names_cluster(file, kubeconfig))

    def locked(self, stack: str, operation: str) -> AbstractContextManager[None]:
        """Hold the stack's lock.

        Raises:
            Refused: another process holds it.
        """
        return held(self.folder / f"{stack}.lock", f"stack {stack}", operation)

    def load(self, stack: str) -> StackState | None:
        """The state of a stack, or ``None`` if it has none.

        Raises:
            Refused: the file is damaged, or its secrets can't be opened.
        """
        try:
            text = self.path(stack).read_text()
        except FileNotFoundError:
            return None
        try:
            return load_state(text, self._keyring)
        except (KeyError, ValueError, TypeError) as error:
            raise Refused(
                f"the state of stack {stack} is damaged: {self.path(stack)} ({error})",
                "restore the file from a backup; the engine writes it whole or not at all, "
                "so something else changed it",
            ) from error

    def save(self, state: StackState) -> None:
        """Write the state, on disk when this returns.

        Raises:
            OSError: it couldn't be written; the old state is intact.
        """
        state.updated = datetime.now(UTC)
        crypter = self._keyring.crypter(state.salt or None)
        state.salt = crypter.salt
        write_private(self.path(state.stack), dump_state(state, crypter), durable=True)

    def remove(self, stack: str) -> None:
        """Forget a stack."""
        remove(self.path(stack))
        remove(self.aside(stack))

    def fingerprint(self, stack: str) -> str:
        """Changes whenever the state does."""
        try:
            return hashlib.sha256(self.path(stack).read_bytes()).hexdigest()
        except FileNotFoundError:
            return "none"
