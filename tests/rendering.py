"""Render a stack's program with Pulumi's mocks: the objects it declares, as plain values.

The mocks echo inputs and check nothing; what the API server says of the objects is tested in
`tests/e2e`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi.runtime
from pulumi.runtime import mocks

from moltghost.config import StackName, read_spec, stack_file
from moltghost.infra.program import declare
from moltghost.ownership import EngineName
from tests.examples import EXAMPLES


@dataclass(frozen=True)
class Rendered:
    """One registered resource."""

    type: str
    name: str
    inputs: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.inputs.get("kind", self.type.rpartition(":")[2]))

    @property
    def object_name(self) -> str:
        return str(self.inputs.get("metadata", {}).get("name", ""))


# What AWS gives to a resource, where a program looks inside of it.
COMPUTED: dict[str, dict[str, Any]] = {
    "aws:eks/cluster:Cluster": {
        "endpoint": "https://cluster.example.com",
        "certificateAuthority": {"data": "Y2VydGlmaWNhdGU="},
    },
    "aws:ec2/launchTemplate:LaunchTemplate": {"latestVersion": 1},
    "aws:kms/key:Key": {"keyId": "key-id"},
}


def _inside(token: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What AWS adds inside of an input."""
    if token != "aws:eks/cluster:Cluster":
        return {}
    return {"vpcConfig": {**inputs["vpcConfig"], "clusterSecurityGroupId": "sg-of-cluster"}}


class _Recorder(mocks.Mocks):
    def __init__(self) -> None:
        self.resources: list[Rendered] = []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        inputs = dict(args.inputs)
        if args.typ == "pulumi:pulumi:StackReference":
            return args.name, {"outputs": {"kubeconfig": "/nowhere/kubeconfig"}}
        if args.typ == "random:index/randomPassword:RandomPassword":
            inputs["result"] = "not-a-real-token"
        self.resources.append(Rendered(args.typ, args.name, inputs))
        if args.typ.startswith("aws:"):
            # Every resource of AWS has an ARN.
            given = {"arn": f"arn:aws:mock:::{args.name}", **COMPUTED.get(args.typ, {})}
            return f"{args.name}-id", {**given, **inputs, **_inside(args.typ, inputs)}
        return f"{args.name}-id", inputs

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        raise AssertionError(f"the programs call no function, but called {args.token}")


def render(
    stack: str, spec: Mapping[str, Any] | None = None, *, engine: EngineName = "stock"
) -> list[Rendered]:
    """Objects of ``stack``, from ``spec`` or from its config file in examples/."""
    name = StackName.parse(stack)
    if spec is None:
        spec = read_spec(stack_file(EXAMPLES, name), name).model_dump(mode="json")
    recorder = _Recorder()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(
        recorder, project="moltghost", stack=stack, preview=False, organization="an-organization"
    )

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        declare(EXAMPLES, stack, spec, engine)

    try:
        program()
    finally:
        loop.close()
        asyncio.set_event_loop(None)
    return recorder.resources


def objects(resources: list[Rendered], kind: str) -> dict[str, dict[str, Any]]:
    """Kubernetes objects of one kind by name."""
    return {each.object_name: each.inputs for each in resources if each.kind == kind}
