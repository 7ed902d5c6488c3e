"""How the embedded engine gets to the cluster that a provider resource names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moltghost.engines.kubernetes.cluster import Cluster
from moltghost.errors import Refused
from tests.kube.api_server import kubeconfig_text, serving

KUBE_SYSTEM = {"metadata": {"uid": "the-cluster"}}


def cluster(kubeconfig: str, uids: list[str] | None = None) -> Cluster:
    inputs: dict[str, Any] = {"kubeconfig": kubeconfig}
    seen = [] if uids is None else uids
    return Cluster(inputs, "prod", None, on_warning=print, on_uid=seen.append)


def test_the_kubeconfig_may_be_json_in_one_line_as_the_aws_cloud_stack_exports_it() -> None:
    uids: list[str] = []
    with serving() as server:
        server.answers += [(200, KUBE_SYSTEM, {})]
        found = cluster(json.dumps(json.loads(kubeconfig_text(server.url))), uids)
        found.client()
        found.close()
    assert uids == ["the-cluster"]


def test_a_path_that_leads_nowhere_is_a_cluster_that_does_not_run() -> None:
    with pytest.raises(Refused, match="prod isn't running: there is no /nowhere/kubeconfig"):
        cluster("/nowhere/kubeconfig").client()


def test_credentials_that_cannot_be_had_are_said_as_such() -> None:
    api = "client.authentication.k8s.io/v1beta1"
    asked = {"apiVersion": api, "command": "no-such-program", "installHint": "get it there"}
    with pytest.raises(Refused, match="no credentials for http://127") as refusal:
        cluster(kubeconfig_text("http://127.0.0.1:9", exec=asked)).client()
    assert refusal.value.hint == "get it there"
