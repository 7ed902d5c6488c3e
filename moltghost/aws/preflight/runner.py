"""Runs the probes side by side; one that hangs or fails costs its own answer and no other's."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Sequence

from moltghost.aws.preflight.probe import AwsError, Context, Probe, unanswered
from moltghost.aws_errors import trouble
from moltghost.checks import Check, unknown

OVERALL_TIMEOUT_SECONDS = 60.0

_Answers = queue.SimpleQueue[tuple[int, Sequence[Check]]]


def run_probes(
    probes: Sequence[Probe], context: Context, timeout_seconds: float = OVERALL_TIMEOUT_SECONDS
) -> list[Check]:
    """All answers, in the order of the probes; one that has none in time is ``unknown``.

    Args:
        probes: what to ask.
        context: whom and about what.
        timeout_seconds: for all of them; each has its own as well.
    """
    answers: _Answers = queue.SimpleQueue()
    start = time.monotonic()
    for index, probe in enumerate(probes):
        # A thread that hangs in a call can't be stopped; as a daemon it doesn't hold up the exit.
        threading.Thread(
            target=_answer, args=(index, probe, context, answers), daemon=True, name=probe.id
        ).start()
    limits = [min(probe.timeout_seconds, timeout_seconds) for probe in probes]
    found: dict[int, Sequence[Check]] = {}
    while len(found) < len(probes):
        missing = [limits[index] for index in range(len(probes)) if index not in found]
        left = start + max(missing) - time.monotonic()
        try:
            index, checks = answers.get(timeout=max(0.0, left))
        except queue.Empty:
            break
        # An answer after its own limit counts as none, however long the others take.
        late = time.monotonic() - start > limits[index]
        found[index] = [_too_late(probes[index], limits[index])] if late else checks
    return [
        check
        for index, probe in enumerate(probes)
        for check in found.get(index, [_too_late(probe, limits[index])])
    ]


def _answer(index: int, probe: Probe, context: Context, answers: _Answers) -> None:
    answers.put((index, ask(probe, context)))


def ask(probe: Probe, context: Context) -> Sequence[Check]:
    """The probe's answers; an error is an answer that says ``unknown``."""
    try:
        return probe.ask(context)
    except AwsError as error:
        return [unanswered(probe.id, trouble(error, probe.permissions))]
    except Exception as error:  # a thread's exception would be lost, and the check with it
        return [
            unknown(
                probe.id,
                f"the check itself failed: {type(error).__name__}: {error}",
                "report it as a fault of moltghost, with this message",
            )
        ]


def _too_late(probe: Probe, seconds: float) -> Check:
    asked = ", ".join(probe.permissions) or "the network"
    return unknown(
        probe.id,
        f"no answer within {seconds:g} s (asked: {asked})",
        "run it again; if it stays so, look at this machine's network, proxy and VPN",
    )
