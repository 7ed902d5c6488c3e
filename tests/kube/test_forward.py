"""The forward with a stand-in for kubectl; a real one forwards in `tests/e2e`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moltghost.errors import Failed
from moltghost.kube.forward import forwarded

# More than the 64 KiB that a pipe holds.
TALKS = """
import sys
print("Forwarding from 127.0.0.1:12345 -> 18789", flush=True)
for _ in range(3000):
    print("Handling connection for 12345", flush=True)
    print("E1125 portforward.go:400] an error occurred forwarding", file=sys.stderr, flush=True)
"""
REFUSED = """
import sys
for number in range(3000):
    print("warning", number, "of something else in the kubeconfig", file=sys.stderr)
print('Error from server (NotFound): services "runtime" not found', file=sys.stderr)
sys.exit(1)
"""


def kubectl(folder: Path, program: str) -> Path:
    path = folder / "kubectl"
    path.write_text(f"#!{sys.executable}\n{program}")
    path.chmod(0o755)
    return path


def test_what_kubectl_says_for_each_connection_does_not_stop_it(tmp_path: Path) -> None:
    program = kubectl(tmp_path, TALKS)
    with forwarded(program, tmp_path, "agent-a", "service/runtime", 18789) as forward:
        assert forward.port == 12345
        assert forward.process.wait(30) == 0


def test_a_refusal_has_the_last_of_kubectls_words(tmp_path: Path) -> None:
    program = kubectl(tmp_path, REFUSED)
    with (
        pytest.raises(Failed, match="service/runtime in agent-a can't be reached: ") as failed,
        forwarded(program, tmp_path, "agent-a", "service/runtime", 18789),
    ):
        pass
    assert failed.value.message.endswith('services "runtime" not found')
    assert "warning 2999" in failed.value.message
    assert "warning 0 " not in failed.value.message
