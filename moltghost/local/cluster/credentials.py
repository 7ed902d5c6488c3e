"""Who may talk to the API server: one token and one kubeconfig per user.

Tokens are only ever in files of mode 0600, never in an argument or the environment of a process.
"""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from moltghost.files import write_private

_TOKEN_BYTES = 32
CONTEXT = "moltghost-local"


@dataclass(frozen=True)
class User:
    """A user of the API server, authorised through its groups and Kubernetes' own roles."""

    name: str
    groups: tuple[str, ...] = ()


ADMIN = User("moltghost-admin", ("system:masters",))
CONTROLLER_MANAGER = User("system:kube-controller-manager")
SCHEDULER = User("system:kube-scheduler")
# Both simulate the cloud below the cluster: they create, change and delete nodes and pods.
KARPENTER = User("moltghost-karpenter", ("system:masters",))
KWOK = User("moltghost-kwok", ("system:masters",))
# The machine's own node. The first two have Kubernetes' own roles.
KUBELET = User("system:node:machine", ("system:nodes",))
KUBE_PROXY = User("system:kube-proxy")
COREDNS = User("moltghost-coredns")
VOLUMES = User("moltghost-volumes")
USERS = (
    ADMIN,
    CONTROLLER_MANAGER,
    SCHEDULER,
    KARPENTER,
    KWOK,
    KUBELET,
    KUBE_PROXY,
    COREDNS,
    VOLUMES,
)


def ensure_tokens(path: Path) -> dict[str, str]:
    """Tokens by user name, generated once, in the API server's static token file format."""
    tokens = read_tokens(path)
    for user in USERS:
        tokens.setdefault(user.name, secrets.token_urlsafe(_TOKEN_BYTES))
    lines = [_token_line(user, tokens[user.name]) for user in USERS]
    write_private(path, "".join(lines), durable=False)
    return tokens


def read_tokens(path: Path) -> dict[str, str]:
    """Tokens by user name; empty if there is no such file, or it is broken."""
    try:
        fields = [line.split(",") for line in path.read_text().splitlines()]
        return {user: token for token, user, *_rest in fields}
    except (FileNotFoundError, ValueError):
        return {}


def _token_line(user: User, token: str) -> str:
    groups = f',"{",".join(user.groups)}"' if user.groups else ""
    return f"{token},{user.name},{user.name}{groups}\n"


def write_kubeconfig(path: Path, *, server: str, authority: Path, user: str, token: str) -> None:
    """A kubeconfig with one context. It is written as JSON, which every YAML reader accepts."""
    certificate = base64.b64encode(authority.read_bytes()).decode()
    cluster = {"server": server, "certificate-authority-data": certificate}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    write_private(path, json.dumps(config, indent=2) + "\n", durable=False)
