"""The connection of one ``pulumi:providers:kubernetes`` resource, opened on first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from moltghost.engines.pulumi.values import UNKNOWN, plain
from moltghost.errors import Refused
from moltghost.kube.client import Client
from moltghost.kube.errors import ApiError, NoCredentials, Unreachable
from moltghost.kube.transport import kubeconfig_path

_PATIENCE_SECONDS = 60.0  # an API server that restarts is back well within this


class Cluster:
    """One cluster as a provider resource names it.

    Args:
        inputs: the provider's inputs; ``kubeconfig`` is a path or its text.
        environment: for messages.
        known_uid: the cluster that the state's objects are in, if there are any.
        on_warning: called with each warning of the API server.
        on_uid: called once with the cluster's uid.
    """

    def __init__(
        self,
        inputs: dict[str, Any],
        environment: str,
        known_uid: str | None,
        on_warning: Callable[[str], None],
        on_uid: Callable[[str], None],
    ) -> None:
        self._inputs = plain(inputs)
        self._environment = environment
        self._known_uid = known_uid
        self._on_warning = on_warning
        self._on_uid = on_uid
        self._client: Client | None = None
        self._refusal: Refused | None = None
        self._lock = threading.Lock()

    @property
    def known(self) -> bool:
        """Whether the connection is known: in a preview, its kubeconfig may not exist yet."""
        return UNKNOWN not in (self._inputs.get("kubeconfig"), self._inputs.get("context"))

    def client(self) -> Client:
        """The client, connected and known to talk to the right cluster.

        Raises:
            Refused: the cluster isn't running, doesn't let us in, or is another one than the
                state's.
        """
        with self._lock:
            if self._refusal:
                raise self._refusal
            if self._client is None:
                try:
                    self._client = self._connect()
                except Refused as refusal:
                    self._refusal = refusal
                    raise
            return self._client

    def close(self) -> None:
        """Close the connection, if it was opened."""
        if self._client:
            self._client.close()

    def _connect(self) -> Client:
        kubeconfig = self._inputs.get("kubeconfig")
        if not kubeconfig:
            raise Refused(
                "the Kubernetes provider has no kubeconfig; the embedded engine doesn't read one "
                "from the process's environment",
                "give pulumi_kubernetes.Provider the argument kubeconfig",
            )
        text = str(kubeconfig)
        if (path := kubeconfig_path(text)) and not path.exists():
            raise self._not_running(f"there is no {text}")
        client = Client(text, self._inputs.get("context"), on_warning=self._on_warning)
        try:
            uid = client.cluster_uid()
        except NoCredentials as error:
            raise Refused(error.message, error.hint) from error
        except Unreachable as error:
            raise self._not_running(error.message) from error
        except ApiError as error:
            raise Refused(
                f"{client.server} doesn't let us in: {error.message}",
                "check the credentials of the kubeconfig",
            ) from error
        self._check(uid)
        client.be_patient(_PATIENCE_SECONDS)
        self._on_uid(uid)
        return client

    def _check(self, uid: str) -> None:
        if self._known_uid and uid != self._known_uid:
            raise Refused(
                "the state's objects are in another cluster, which this kubeconfig doesn't lead "
                f"to (it was {self._known_uid}, this one is {uid})",
                "if that cluster is gone, forget its objects with: moltghost stack forget STACK; "
                "otherwise point the kubeconfig at it",
            )

    def _not_running(self, detail: str) -> Refused:
        local = self._environment == "local"
        return Refused(
            f"the cluster of environment {self._environment} isn't running: {detail}",
            "start it with: moltghost local up" if local else "check it, and its kubeconfig",
        )
