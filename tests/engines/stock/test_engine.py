"""The stock engine against a stand-in for the CLI: which commands it gives, what it makes of them.

With the real CLI it is tested by tests/e2e/test_conformance.py.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from moltghost import paths
from moltghost.engines.interface import Op
from moltghost.engines.stock.engine import StockEngine
from moltghost.errors import ExitCode, Failed, Interrupted, Refused
from moltghost.progress import Event

from .stand_in import CONFIG, Cli, event
from .test_events import URN, settings, state

ROOT = "urn:pulumi:a.local::moltghost::pulumi:pulumi:Stack::moltghost-a.local"
LOCKED = "error: the stack is currently locked by 1 lock(s). Either wait or `pulumi cancel`"


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def engine(cli: Cli, project: Path) -> StockEngine:
    return StockEngine(project)


def test_an_up_previews_refreshes_and_says_what_it_did(
    engine: StockEngine, cli: Cli, events: list[Event]
) -> None:
    result = engine.up("a.local", report=events.append)

    assert [(step.op, step.title) for step in result.steps] == [
        (Op.CREATE, "ConfigMap agent-a/settings")
    ]
    assert result.outputs == {"plain": "x", "password": "[secret]"}
    [preview], [up] = cli.calls("preview"), cli.calls("up")
    assert "--refresh" in preview
    assert {"--refresh", "--yes", "--skip-preview"} <= set(up)
    assert [(each.task, each.state) for each in events] == [
        ("preview a.local", "started"),
        ("preview a.local", "done"),
        ("ConfigMap agent-a/settings", "started"),
        ("ConfigMap agent-a/settings", "done"),
    ]


def test_the_stack_is_not_made_the_current_one(engine: StockEngine, cli: Cli) -> None:
    engine.up("a.local", report=lambda _event: None)

    [made] = cli.calls("stack init")
    assert "--no-select" in made
    assert cli.calls("stack select") == []


def test_a_preview_of_a_new_stack_leaves_nothing_in_the_backend(
    engine: StockEngine, cli: Cli, project: Path
) -> None:
    preview = engine.preview("a.local", report=lambda _event: None)

    assert preview.changes
    assert cli.stacks() == {}
    assert engine.stacks() == []
    assert (project / "Pulumi.a.local.yaml").read_text() == CONFIG


def test_an_up_that_is_refused_leaves_nothing_in_the_backend(
    engine: StockEngine, cli: Cli, project: Path
) -> None:
    cli.write("fail", {"preview": "error: no such pool"})

    with pytest.raises(Refused, match=r"stack a\.local: no such pool"):
        engine.up("a.local", report=lambda _event: None)

    assert cli.stacks() == {}
    assert cli.calls("up") == []
    assert (project / "Pulumi.a.local.yaml").read_text() == CONFIG


def test_an_edit_made_during_the_preview_of_a_new_stack_stays(
    engine: StockEngine, cli: Cli, project: Path
) -> None:
    file = project / "Pulumi.a.local.yaml"

    def edit(happened: Event) -> None:
        if happened.state == "started":
            file.write_text(f"{file.read_text()}# mine\n")

    engine.preview("a.local", report=edit)

    assert cli.stacks() == {}
    assert file.read_text().startswith(CONFIG)
    assert file.read_text().endswith("# mine\n")


def test_a_stack_that_cannot_be_removed_again_hides_no_refusal(
    engine: StockEngine, cli: Cli, project: Path
) -> None:
    cli.write("fail", {"preview": "error: no such pool", "stack rm": "error: the disk is full"})

    with pytest.raises(Refused, match=r"stack a\.local: no such pool"):
        engine.up("a.local", report=lambda _event: None)

    assert (project / "Pulumi.a.local.yaml").read_text() == CONFIG


def test_a_stack_that_cannot_be_made_leaves_no_config_of_its_own(
    engine: StockEngine, cli: Cli, project: Path
) -> None:
    cli.write("fail", {"stack init": "error: the disk is full"})
    pending = project / "pending.yaml"
    pending.write_text(CONFIG)

    with pytest.raises(Refused, match=r"stack b\.local: the disk is full"):
        engine.up("b.local", config=pending, report=lambda _event: None)

    assert not (project / "Pulumi.b.local.yaml").exists()
    assert pending.read_text() == CONFIG


def test_an_up_that_fails_keeps_the_stack(engine: StockEngine, cli: Cli) -> None:
    cli.write("fail", {"up": "error: it broke"})

    with pytest.raises(Failed, match=r"stack a\.local: it broke") as failure:
        engine.up("a.local", report=lambda _event: None)

    assert failure.value.exit_code is ExitCode.FAILED
    assert list(cli.stacks()) == ["a.local"]


def test_what_opens_the_secrets_goes_to_the_config_that_was_given(
    engine: StockEngine, project: Path
) -> None:
    own, pending = project / "Pulumi.b.local.yaml", project / "pending.yaml"
    pending.write_text(f"# a comment\n{CONFIG}")

    engine.up("b.local", config=pending, report=lambda _event: None)

    assert not own.exists()
    assert pending.read_text().startswith("# a comment\nconfig:\n")
    assert "encryptionsalt: v1:c2FsdA==" in pending.read_text()


@pytest.mark.parametrize("wanted", ["file", "variable"])
def test_a_new_stack_gets_the_secrets_provider_that_is_named(
    wanted: str, engine: StockEngine, cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wanted == "file":
        text = f"secretsprovider: awskms://alias/molt\n{CONFIG}"
        (project / "Pulumi.a.local.yaml").write_text(text)
    else:
        monkeypatch.setenv("MOLTGHOST_SECRETS_PROVIDER", "awskms://alias/molt")

    engine.up("a.local", report=lambda _event: None)

    [made] = cli.calls("stack init")
    assert made[-2:] == ["--secrets-provider", "awskms://alias/molt"]


def test_the_policy_pack_is_asked_with_the_config_of_the_environment(
    engine: StockEngine, cli: Cli, project: Path
) -> None:
    (project / "policies" / "config").mkdir(parents=True)
    (project / "policies" / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (project / "policies" / "config" / "local.json").write_text("{}")

    engine.up("a.local", report=lambda _event: None)

    for (call,) in (cli.calls("preview"), cli.calls("up")):
        assert call[call.index("--policy-pack") + 1] == str(project / "policies")
        assert call[call.index("--policy-pack-config") + 1].endswith("config/local.json")


def test_a_mandatory_violation_is_refused_in_the_words_of_the_gate(
    engine: StockEngine, cli: Cli
) -> None:
    violation = {
        "resourceUrn": URN,
        "policyName": "a-rule",
        "enforcementLevel": "mandatory",
        "message": "What the rule says\nConfigMap agent-a/settings: it is bad. Fix: mend it",
    }
    planned = event("resourcePreEvent", "create", new=state(inputs=settings()))
    cli.write("events", {"preview": [planned, {"policyEvent": violation}]})
    cli.write("fail", {"preview": "error: preview failed"})

    with pytest.raises(
        Refused, match=r"(?s)rules that are mandatory:.*agent-a/settings: it is bad \(a-rule\)"
    ) as refusal:
        engine.up("a.local", report=lambda _event: None)

    assert refusal.value.hint.startswith("mend it. moltghost policy explain a-rule")
    assert cli.calls("up") == []


def test_an_object_that_would_be_deleted_and_made_anew_is_refused(
    engine: StockEngine, cli: Cli
) -> None:
    same_name = state(inputs=settings())
    cli.write(
        "events",
        {
            "preview": [
                event("resourcePreEvent", "delete-replaced", old=same_name),
                event(
                    "resourcePreEvent",
                    "replace",
                    old=same_name,
                    new=same_name,
                    detailedDiff={"data": {"diffKind": "update-replace"}},
                ),
            ]
        },
    )

    with pytest.raises(
        Refused, match=r"ConfigMap agent-a/settings would have to be replaced: data can't change"
    ):
        engine.up("a.local", report=lambda _event: None)

    assert cli.calls("up") == []


def test_a_locked_stack_is_refused(engine: StockEngine, cli: Cli) -> None:
    cli.write("stacks", {"a.local": {"resources": [{"urn": "u"}]}})
    cli.write("fail", {"preview": LOCKED})

    with pytest.raises(Refused, match=r"being changed by another process") as refusal:
        engine.up("a.local", report=lambda _event: None)

    assert "pulumi cancel --stack a.local" in refusal.value.hint


def test_a_stack_of_the_embedded_engine_is_refused_before_the_cli_is_asked(
    engine: StockEngine, cli: Cli
) -> None:
    record = paths.stacks_home("moltghost") / "a.local.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("{}")

    for change in (
        lambda: engine.preview("a.local", report=lambda _event: None),
        lambda: engine.up("a.local", report=lambda _event: None),
        lambda: engine.destroy("a.local", protected="keep", report=lambda _event: None),
        lambda: engine.drift("a.local", report=lambda _event: None),
    ):
        with pytest.raises(Refused, match=r"belongs to the embedded engine") as refusal:
            change()
        assert "moltghost stack adopt local --engine stock" in refusal.value.hint

    assert not (cli.folder / "calls.jsonl").exists()


def test_protected_resources_are_kept_or_the_destroy_is_refused(
    engine: StockEngine, cli: Cli
) -> None:
    space = {"urn": "u", "type": "kubernetes:core/v1:Namespace", "custom": True, "id": "agent-a"}
    cli.write("stacks", {"a.local": {"resources": [{**space, "protect": True}]}})

    with pytest.raises(Refused, match=r"has protected resources: agent-a"):
        engine.destroy("a.local", protected="refuse", report=lambda _event: None)
    assert cli.calls("destroy") == []

    engine.destroy("a.local", protected="keep", report=lambda _event: None)
    [call] = cli.calls("destroy")
    assert "--exclude-protected" in call
    assert list(cli.stacks()) == ["a.local"]


def test_protected_resources_are_deleted_in_one_run_that_leaves_their_protection(
    engine: StockEngine, cli: Cli
) -> None:
    space = {"urn": "u", "type": "kubernetes:core/v1:Namespace", "custom": True, "id": "agent-a"}
    protected = {"a.local": {"resources": [{**space, "protect": True}]}}
    cli.write("stacks", protected)
    cli.write("fail", {"destroy": "error: configured Kubernetes cluster is unreachable"})

    with pytest.raises(Failed, match=r"is unreachable"):
        engine.destroy("a.local", protected="delete", report=lambda _event: None)
    assert cli.stacks() == protected

    cli.write("fail", {})
    engine.destroy("a.local", protected="delete", report=lambda _event: None)
    assert cli.stacks() == {}
    assert cli.calls("state") == []


def test_a_cli_that_cannot_delete_what_is_protected_is_not_asked_to(
    project: Path, cli: Cli
) -> None:
    cli.write("version", "v3.255.9")
    cli.write("stacks", {"a.local": {"resources": [{"urn": "u", "protect": True}]}})

    with pytest.raises(Refused, match=r"3\.255\.9 can't delete what is protected; 3\.256 is"):
        StockEngine(project).destroy("a.local", protected="delete", report=lambda _event: None)

    assert cli.calls("destroy") == []


def test_a_stack_without_resources_is_forgotten_and_its_config_stays(
    engine: StockEngine, cli: Cli, project: Path
) -> None:
    cli.write("stacks", {"a.local": {"resources": []}})

    engine.destroy("a.local", protected="refuse", report=lambda _event: None)

    [call] = cli.calls("stack rm")
    assert "--preserve-config" in call
    assert cli.stacks() == {}


def test_outputs_are_masked_unless_secrets_are_asked_for(engine: StockEngine, cli: Cli) -> None:
    cli.write("stacks", {"a.local": {"resources": [{"urn": "u"}]}})

    assert engine.outputs("a.local") == {"plain": "x", "password": "[secret]"}
    assert engine.outputs("a.local", show_secrets=True)["password"] == "s3cret"


def test_a_stack_that_is_not_there_is_refused_with_those_that_are(
    engine: StockEngine, cli: Cli
) -> None:
    cli.write("stacks", {"a.local": {"resources": []}})

    with pytest.raises(Refused, match=r"there is no stack b\.local") as refusal:
        engine.outputs("b.local")

    assert refusal.value.hint == "stacks of this engine: a.local"


@pytest.mark.parametrize("command", ["up", "destroy"])
def test_ctrl_c_lets_the_cli_end_in_order(command: str, engine: StockEngine, cli: Cli) -> None:
    (cli.folder / "wait").write_text(command)
    cli.write("stacks", {"a.local": {"resources": [{"urn": "u"}]}})

    def interrupt() -> None:
        while not (cli.folder / "waiting").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(Interrupted, match=r"stopped on request"):
        if command == "up":
            engine.up("a.local", report=lambda _event: None)
        else:
            engine.destroy("a.local", protected="keep", report=lambda _event: None)

    assert time.monotonic() - began < 30
    assert list(cli.stacks()) == ["a.local"]


def test_the_preview_of_a_new_stack_holds_for_its_first_up(engine: StockEngine, cli: Cli) -> None:
    preview = engine.preview("a.local", report=lambda _event: None)

    engine.up("a.local", report=lambda _event: None, expect=preview)

    assert len(cli.calls("preview")) == 1
    assert len(cli.calls("up")) == 1


def test_a_preview_that_no_longer_holds_is_refused(
    engine: StockEngine, cli: Cli, project: Path
) -> None:
    cli.write("stacks", {"a.local": {"resources": [{"urn": "u"}]}})
    preview = engine.preview("a.local", report=lambda _event: None)
    (project / "Pulumi.a.local.yaml").write_text(f"{CONFIG}# changed\n")

    with pytest.raises(Refused, match=r"changed since the preview"):
        engine.up("a.local", report=lambda _event: None, expect=preview)

    assert cli.calls("up") == []


def test_drift_is_asked_by_the_preview_of_a_refresh_without_the_program(
    engine: StockEngine, cli: Cli, events: list[Event]
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", **settings(a="1")}
    known = state(inputs=body, outputs=body)
    cli.write("stacks", {"a.local": {"resources": [known]}})
    gone = event("resOutputsEvent", "delete", old=known)
    cli.write("events", {"refresh": [event("resourcePreEvent", "refresh", old=known), gone]})

    drift = engine.drift("a.local", report=events.append)

    assert [(each.title, each.state) for each in drift.objects] == [
        ("ConfigMap agent-a/settings", "gone")
    ]
    [call] = cli.calls("refresh")
    assert "--preview-only" in call
    assert "--run-program=false" in call
    assert [(each.task, each.state, each.detail) for each in events] == [
        ("drift a.local", "started", ""),
        ("drift a.local", "done", "1 of 1 objects"),
    ]


def test_drift_that_the_cli_cannot_tell_is_refused_with_its_reason(
    engine: StockEngine, cli: Cli, events: list[Event]
) -> None:
    cli.write("stacks", {"a.local": {"resources": [{"urn": "u"}]}})
    cli.write("fail", {"refresh": "error: configured Kubernetes cluster is unreachable"})

    with pytest.raises(Refused, match=r"stack a\.local: configured .* is unreachable"):
        engine.drift("a.local", report=events.append)

    assert [each.state for each in events] == ["started", "failed"]


def test_both_engines_open_secrets_with_one_passphrase(engine: StockEngine) -> None:
    engine.up("a.local", report=lambda _event: None)

    key = paths.key_file("moltghost")
    assert key.stat().st_mode & 0o777 == 0o600
