"""The check of wire inputs catches what mocks accept."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.wire import knows, problems

DEPLOYMENT = "kubernetes:apps/v1:Deployment"
GOOD: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "x", "labels": {"a": "b"}},
    "spec": {
        "replicas": 1.0,
        "selector": {"matchLabels": {"a": "b"}},
        "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0.0}},
        "template": {
            "spec": {
                "automountServiceAccountToken": False,
                "containers": [{"name": "c", "args": ["--a"], "resources": {"limits": {"m": "1"}}}],
            }
        },
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    copy = deepcopy(GOOD)
    target: Any = copy
    *parents, last = (int(part) if part.isdigit() else part for part in path.split("."))
    for part in parents:
        target = target[part]
    if value is None:
        del target[last]
    else:
        target[last] = value
    return copy


def test_a_good_deployment_has_no_problem() -> None:
    assert problems(DEPLOYMENT, GOOD) == []


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("bogus", 1, "bogus: no such field of DeploymentInitArgs"),
        ("spec.template.spec.containers.0.securityContex", {}, "containers[0].securityContex: no"),
        ("spec.template.spec.containers.0.image_pull_policy", "x", "image_pull_policy: no such"),
        ("spec.template.spec.containers", {"name": "c"}, "containers: {'name': 'c'} is no list"),
        ("spec.template.spec.containers.0.args", "--a", "args: '--a' is no list"),
        ("spec.template.spec.containers.0.args", [1.0], "args[0]: 1.0 is no str"),
        ("spec.template.spec.containers.0.name", None, "containers[0].name: is required"),
        ("spec.template.spec.containers.0.resources.limits", ["m"], "limits: ['m'] is no map"),
        ("spec.template.spec.automountServiceAccountToken", "false", "'false' is no bool"),
        ("spec.replicas", "1", "spec.replicas: '1' is no int"),
        ("spec.replicas", 1.5, "spec.replicas: 1.5 is no int"),
        ("spec.replicas", True, "spec.replicas: True is no int"),
        ("spec.strategy.rollingUpdate.maxSurge", ["1"], "maxSurge: ['1'] is no"),
        ("spec.selector", None, "spec.selector: is required"),
        ("metadata", "x", "metadata: 'x' is no object"),
        ("metadata.labels.a", 1.0, "metadata.labels.a: 1.0 is no str"),
        ("kind", "StatefulSet", "kind: 'StatefulSet' is none of ('Deployment',)"),
    ],
)
def test_a_violation_is_found_with_its_path(path: str, value: Any, problem: str) -> None:
    found = problems(DEPLOYMENT, changed(path, value))
    assert len(found) == 1
    assert problem in found[0]


def test_a_type_that_the_sdk_does_not_have_is_an_error() -> None:
    assert knows(DEPLOYMENT)
    assert not knows("kubernetes:karpenter.sh/v1:NodePool")
    with pytest.raises(LookupError, match="has no type kubernetes:apps/v1:Deploiment"):
        problems("kubernetes:apps/v1:Deploiment", GOOD)
