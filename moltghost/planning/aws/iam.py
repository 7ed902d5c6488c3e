"""IAM documents from typed statements, which hold no wildcard where AWS can narrow."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from moltghost.planning.aws.names import AwsScope
from moltghost.planning.base import Plan

_VERSION = "2012-10-17"
ANYTHING = "*"


class Statement(Plan):
    """One statement of a policy."""

    sid: str = Field(pattern=r"^[A-Za-z0-9]+$")
    effect: Literal["Allow", "Deny"] = "Allow"
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ()
    """Empty only in trust policies, where the resource is the role itself."""
    conditions: dict[str, dict[str, tuple[str, ...]]] = Field(default_factory=dict)
    principals: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Empty in policies of roles, whose principal is the role."""
    why_any_resource: str = ""
    """Why the resource can't be narrowed; a bare ``*`` needs a reason."""

    @model_validator(mode="after")
    def _narrow(self) -> Statement:
        if self.effect == "Deny":
            return self
        wide = [action for action in self.actions if ANYTHING in action]
        if wide:
            raise ValueError(f"statement {self.sid} allows {', '.join(wide)}: name the actions")
        if ANYTHING in self.resources and not self.why_any_resource:
            raise ValueError(f"statement {self.sid} allows any resource and doesn't say why")
        return self

    def to_json(self) -> dict[str, Any]:
        """The statement as IAM writes it."""
        found: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": self.effect,
            "Action": list(self.actions),
        }
        if self.resources:
            found["Resource"] = list(self.resources)
        if self.principals:
            found["Principal"] = {kind: list(who) for kind, who in self.principals.items()}
        if self.conditions:
            found["Condition"] = {
                test: {key: list(values) for key, values in keys.items()}
                for test, keys in self.conditions.items()
            }
        return found


class RolePlan(Plan):
    """An IAM role: who may take it on, and what it may do."""

    name: str
    trust: tuple[Statement, ...]
    statements: tuple[Statement, ...] = ()
    managed_policies: tuple[str, ...] = ()
    """AWS's own policies, for what AWS itself runs in its own way."""
    boundary: str | None = None


def document(statements: Iterable[Statement]) -> str:
    """The policy as text."""
    return json.dumps(
        {"Version": _VERSION, "Statement": [each.to_json() for each in statements]}, sort_keys=True
    )


def trust_of_service(service: str, conditions: Mapping[str, Any] | None = None) -> Statement:
    """A service of AWS takes the role on."""
    return Statement(
        sid="Service",
        actions=("sts:AssumeRole",),
        principals={"Service": (f"{service}.amazonaws.com",)},
        conditions=dict(conditions or {}),
    )


def trust_of_pods(scope: AwsScope, namespace: str, service_account: str) -> Statement:
    """Pods of one service account of the environment's cluster take the role on."""
    return Statement(
        sid="PodIdentity",
        actions=("sts:AssumeRole", "sts:TagSession"),
        principals={"Service": ("pods.eks.amazonaws.com",)},
        conditions={
            "StringEquals": {
                "aws:SourceAccount": (scope.account_id,),
                "aws:RequestTag/kubernetes-namespace": (namespace,),
                "aws:RequestTag/kubernetes-service-account": (service_account,),
            },
            "ArnEquals": {
                "aws:SourceArn": (scope.cluster_arn,),
                "aws:RequestTag/eks-cluster-arn": (scope.cluster_arn,),
            },
        },
    )


def aws_managed(*names: str) -> tuple[str, ...]:
    """ARNs of policies that AWS keeps."""
    return tuple(f"arn:aws:iam::aws:policy/{name}" for name in names)
