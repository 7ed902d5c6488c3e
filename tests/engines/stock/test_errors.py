"""Errors of the CLI, with what to do next. Texts are the CLI's own, of 3.259 and 3.260."""

from __future__ import annotations

import pytest
from pulumi.automation import CommandResult
from pulumi.automation.errors import create_command_error

from moltghost.engines.stock.errors import explained
from moltghost.errors import ExitCode, Failed, MoltghostError, Refused


def trouble(stderr: str, *told: str, raised: type[MoltghostError] = Failed) -> MoltghostError:
    error = create_command_error(CommandResult(stdout="", stderr=stderr, code=255))
    return explained(raised, "a.local", error, told)


def test_a_locked_stack_is_refused_with_the_way_to_take_the_lock_away() -> None:
    found = trouble(
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) "
        "to end or delete the lock file with `pulumi cancel`."
    )

    assert found.exit_code is ExitCode.REFUSED
    assert "being changed by another process" in found.message
    assert "pulumi cancel --stack a.local" in found.hint


def test_a_cli_without_a_backend_is_told_how_to_choose_one() -> None:
    found = trouble(
        "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions"
    )

    assert isinstance(found, Refused)
    assert "pulumi login file://~" in found.hint
    assert "PULUMI_BACKEND_URL" in found.hint


@pytest.mark.parametrize(
    "text",
    [
        "error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE or "
        "PULUMI_CONFIG_PASSPHRASE_FILE environment variables",
        "error: getting secrets manager: incorrect passphrase",
    ],
)
def test_a_passphrase_that_does_not_fit_is_refused(text: str) -> None:
    found = trouble(text)

    assert isinstance(found, Refused)
    assert "PULUMI_CONFIG_PASSPHRASE" in found.hint


def test_a_cluster_that_is_away_is_told_once_and_nobody_is_told_to_forget_its_objects() -> None:
    failed = "Preview failed: failed to read resource state due to unreachable cluster. If the "
    failed += "cluster was deleted, rerun with PULUMI_K8S_DELETE_UNREACHABLE"
    error = create_command_error(CommandResult(stdout="", stderr="error: refresh", code=255))
    told = (f"Secret agent-a/x: {failed}", f"Service agent-a/y: {failed}")
    reason = "configured Kubernetes cluster is unreachable: connection refused"
    warned = ("an other", f"Secret agent-a/x: {reason}", f"Service agent-a/y: {reason}")

    found = explained(Refused, "a.local", error, told, warned)

    assert found.message == "the cluster of stack a.local can't be reached: connection refused"
    assert found.hint.startswith("start it, or set its kubeconfig right")


def test_an_error_of_our_program_reads_as_the_embedded_engine_words_it() -> None:
    found = trouble(
        "error: an unhandled error occurred: Program exited with non-zero exit code: 1",
        "stack a.local belongs to the embedded engine, which applied it first\n"
        "hint: use --engine embedded",
        "an unhandled error occurred: program exited with non-zero exit code: 1",
        raised=Refused,
    )

    assert found.message == ("stack a.local belongs to the embedded engine, which applied it first")
    assert found.hint == "use --engine embedded"


def test_a_traceback_of_ours_is_cut_to_its_message() -> None:
    found = trouble(
        "",
        "Program failed with an unhandled exception:\nTraceback (most recent call last):\n"
        '  File "x.py", line 1, in <module>\nmoltghost.errors.Refused: no such pool\nhint: add it',
    )

    assert (found.message, found.hint) == ("stack a.local: no such pool", "add it")


def test_without_an_event_the_last_line_that_was_printed_counts() -> None:
    found = trouble("warning: something\nerror: the disk is full\n")

    assert found.message == "stack a.local: the disk is full"
    assert isinstance(found, Failed)


def test_a_missing_plugin_names_the_command_that_fetches_it() -> None:
    found = trouble("error: no resource plugin 'pulumi-resource-kubernetes' found in the workspace")

    assert "pulumi install" in found.hint
