"""The pack as the stock CLI starts it: a process of its own, asked over gRPC."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2_grpc

from moltghost.engines.interface import AnalyzedResource
from moltghost.policy.config import PackConfig
from moltghost.policy.pack import Pack, read_answers
from moltghost.policy.wire import config_request
from tests.policies.declare import PRODUCTION_AGENT, PROJECT, declared

CONFIG = PackConfig(
    {
        "image-digest": {"enforcementLevel": "mandatory"},
        "required-tags": {"tags": ["moltghost.dev/environment", "owner"]},
        "pod-probes": {"enforcementLevel": "disabled"},
        "eks-private-endpoint": {
            "exemptions": [
                {
                    "kind": "aws:eks/cluster:Cluster",
                    "name": "main",
                    "problem": "nodes reach its API over the internet: endpointPrivateAccess is "
                    "not true",
                    "reason": "old",
                    "expires": "2020-01-01",
                }
            ]
        },
        "iam-no-star": {
            "exemptions": [
                {
                    "kind": "aws:iam/policy:Policy",
                    "name": "agent",
                    "problem": "it allows every action on every resource",
                    "reason": "known",
                    "expires": "2999-01-01",
                }
            ]
        },
    }
)
Ask = Callable[[str, Any], Any]


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Ask]:
    """A process started as the CLI's language host starts it, outside of the repository's root."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [
        sys.executable,
        "-u",
        "-m",
        "pulumi.policy",
        "127.0.0.1:1",
        str(PROJECT / "policies"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path("/"), env=environment
    ) as process:
        assert process.stdout
        port = int(process.stdout.readline())
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub: Any = analyzer_pb2_grpc.AnalyzerStub(channel)
            yield lambda method, request: getattr(stub, method)(request)
        process.kill()


def test_verdicts_of_the_stock_process_and_of_the_embedded_path_are_equal(
    analyzer: Ask, pack: Pack, declared_cases: dict[str, list[AnalyzedResource]]
) -> None:
    everything = {
        **declared_cases,
        **{
            stack: list(declared(stack))
            for stack in ("my-agent.local", "platform.local", "dev", "platform.dev")
        },
        PRODUCTION_AGENT: list(declared(PRODUCTION_AGENT)),
    }
    levels = {name: CONFIG.level(info) for name, info in pack.policies.items()}
    analyzer("Configure", config_request(CONFIG.values(pack.policies), levels))
    seen = 0
    for name, resources in everything.items():
        theirs = read_answers(name, resources, analyzer)
        ours = replace(pack.check(name, resources, CONFIG), exempted=(), expiring=())
        assert ours == theirs, name
        seen += len(ours.violations)
    assert seen > len(pack.policies)


def test_both_tell_the_same_about_the_policies(analyzer: Ask, pack: Pack) -> None:
    info = analyzer("GetAnalyzerInfo", empty_pb2.Empty())
    assert info.name == "moltghost"
    assert info.supportsConfig
    assert {each.name for each in info.policies} == set(pack.policies)
    for each in info.policies:
        assert each.description
        assert each.remediation_steps
        assert each.severity
        assert "exemptions" in each.configSchema.properties
