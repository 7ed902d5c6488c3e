"""What one project's stack reads of another's: plain outputs, without the other's key."""

from __future__ import annotations

from pathlib import Path

import pytest

from moltghost import paths
from moltghost.engines.embedded.references import foreign_outputs
from moltghost.engines.pulumi.passphrase import Keyring
from moltghost.engines.pulumi.state import ResourceState, StackState, StateStore
from moltghost.engines.pulumi.urn import ROOT_TYPE, project_of
from moltghost.engines.pulumi.values import Secret
from moltghost.errors import Refused

PLATFORM = "platform.local"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOLTGHOST_STATE", str(tmp_path))


def save(**outputs: object) -> Path:
    """The platform's stack of project `my-platform`, whose key then is gone from this machine."""
    key = paths.key_file("my-platform")
    store = StateStore(paths.stacks_home("my-platform"), Keyring(key))
    urn = f"urn:pulumi:{PLATFORM}::my-platform::{ROOT_TYPE}::my-platform-{PLATFORM}"
    root = ResourceState(urn=urn, type=ROOT_TYPE, custom=False, outputs=outputs)
    store.save(StackState(stack=PLATFORM, project="my-platform", resources=[root]))
    key.unlink()
    key.with_name("key.derived").unlink(missing_ok=True)
    return store.path(PLATFORM)


def test_plain_outputs_are_read_without_the_other_projects_key() -> None:
    save(kubeconfig="/where/kubeconfig", pools=["cpu"])
    found = foreign_outputs("my-platform", PLATFORM)
    assert found == {"kubeconfig": "/where/kubeconfig", "pools": ["cpu"]}
    assert not paths.key_file("my-platform").exists(), "nor is a new one made"


def test_a_secret_output_stays_closed() -> None:
    save(token=Secret("of the platform"))
    with pytest.raises(Refused, match="secret output, which only that project's key opens"):
        foreign_outputs("my-platform", PLATFORM)


def test_a_stack_that_is_not_there_is_named_with_its_project() -> None:
    with pytest.raises(Refused, match=r"platform\.local of project my-platform isn't there") as no:
        foreign_outputs("my-platform", PLATFORM)
    assert no.value.hint == "in the folder of project my-platform: moltghost up local"


def test_a_damaged_state_is_named_with_its_file() -> None:
    file = save()
    file.write_text("{}")
    with pytest.raises(Refused, match=str(file)):
        foreign_outputs("my-platform", PLATFORM)


def test_a_reference_names_its_project_in_full_only() -> None:
    assert project_of("organization/my-platform/platform.local") == "my-platform"
    assert project_of("platform.local") == ""
