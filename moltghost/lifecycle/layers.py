"""An environment's two stacks, brought up and taken down in order.

Why: docs/decisions/0024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from moltghost.config import StackName
from moltghost.engines.interface import Engine, Result
from moltghost.environments.environment import Environment, TakenDown
from moltghost.progress import Report


def bring_up(
    environment: Environment,
    stacks: Sequence[StackName],
    engine: Engine,
    report: Report,
    done: Callable[[StackName, Result], None],
) -> list[Result]:
    """Bring up stacks of an environment, and first what they stand on.

    Args:
        environment: theirs.
        stacks: both of it in their order, or one.
        engine: carries them out.
        report: progress of the one that is being brought up.
        done: called with each that is up.

    Raises:
        Refused: nothing was changed.
        Failed: it was tried; what is up stays up.
    """
    results = []
    environment.start(report)
    for stack in stacks:
        result = engine.up(str(stack), report=report)
        results.append(result)
        environment.stack_is_up(stack, engine)
        done(stack, result)
    return results


def take_down(environment: Environment, engine: Engine, report: Report) -> TakenDown:
    """Remove an environment's stacks, platform first. Can be repeated after a failure.

    Raises:
        Refused: nothing was changed.
        Failed: something is left; the message says what.
    """
    removed: list[str] = []
    cloud, platform = environment.stacks
    known = {StackName.parse(each.name) for each in engine.stacks()}
    if platform in known:
        removed += environment.drain(report)
    for stack in (platform, cloud):
        if stack in known:
            protected = environment.protected_cloud if stack == cloud else "refuse"
            result = engine.destroy(str(stack), protected=protected, report=report)
            removed += [step.title or step.name for step in result.steps]
    ended = environment.end()
    return replace(ended, removed=(*removed, *ended.removed))
