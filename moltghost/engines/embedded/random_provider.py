"""``pulumi_random`` resources: generated once, kept encrypted in the state.

Field names, defaults and ids follow version 4.21 of the provider. ``RandomPassword.bcryptHash`` is
not computed and reads ``None``. A change of the arguments makes a new value, as there.
"""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Callable
from typing import Any

from moltghost.engines.embedded.monitor import Goal
from moltghost.engines.embedded.plan import Detail, Made, Plan
from moltghost.engines.interface import Op
from moltghost.engines.pulumi.diff import diff, same
from moltghost.engines.pulumi.state import ResourceState
from moltghost.engines.pulumi.values import UNKNOWN, Secret, plain
from moltghost.errors import Refused

_SPECIAL = "!@#$%&*()-_=+[]{}<>:?"  # the provider's default set of special characters
_CLASSES = {
    "lower": ("minLower", string.ascii_lowercase),
    "upper": ("minUpper", string.ascii_uppercase),
    "numeric": ("minNumeric", string.digits),
    "special": ("minSpecial", _SPECIAL),
}

Generated = tuple[str, dict[str, Any]]


def _text(inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A string of the wanted length and classes, and the arguments with their defaults."""
    numeric = inputs.get("numeric", inputs.get("number", True))
    chosen = {name: inputs.get(name, True) for name in _CLASSES} | {"numeric": numeric}
    alphabets = {
        name: inputs.get("overrideSpecial") or letters if name == "special" else letters
        for name, (_key, letters) in _CLASSES.items()
    }
    least = {key: inputs.get(key, 0) for key, _letters in _CLASSES.values()}
    allowed = "".join(alphabets[name] for name in _CLASSES if chosen[name])
    length = inputs["length"]
    if not allowed or sum(least.values()) > length:
        raise Refused(
            f"no random string of length {length} has the characters that are asked for",
            "allow a class of characters, or lower the minimums",
        )
    letters = [
        secrets.choice(alphabets[name])
        for name, (key, _letters) in _CLASSES.items()
        for _ in range(least[key])
    ]
    letters += [secrets.choice(allowed) for _ in range(length - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters), {"length": length, **chosen, "number": numeric, **least}


def _password(inputs: dict[str, Any]) -> Generated:
    text, arguments = _text(inputs)
    return "none", {**inputs, **arguments, "result": Secret(text)}


def _string(inputs: dict[str, Any]) -> Generated:
    text, arguments = _text(inputs)
    return text, {**inputs, **arguments, "result": text}


def _bytes(inputs: dict[str, Any]) -> Generated:
    data = secrets.token_bytes(inputs["length"])
    encoded = base64.b64encode(data).decode()
    return "none", {**inputs, "base64": Secret(encoded), "hex": Secret(data.hex())}


def _id(inputs: dict[str, Any]) -> Generated:
    data = secrets.token_bytes(inputs["byteLength"])
    prefix = inputs.get("prefix", "")
    url = base64.urlsafe_b64encode(data).decode().rstrip("=")
    return url, {
        **inputs,
        "b64Std": prefix + base64.b64encode(data).decode(),
        "b64Url": prefix + url,
        "dec": prefix + str(int.from_bytes(data)),
        "hex": prefix + data.hex(),
    }


_GENERATORS: dict[str, Callable[[dict[str, Any]], Generated]] = {
    "random:index/randomPassword:RandomPassword": _password,
    "random:index/randomString:RandomString": _string,
    "random:index/randomBytes:RandomBytes": _bytes,
    "random:index/randomId:RandomId": _id,
}
_RESULTS = ("result", "base64", "hex", "b64Std", "b64Url", "dec")


class RandomProvider:
    """Random values. They exist nowhere but in the state."""

    remembers_creation = False

    def connect(self) -> None:
        """Nothing to connect to."""

    def plan(
        self, goal: Goal, old: ResourceState | None, *, begun: frozenset[str], check: bool
    ) -> Plan:
        """A value that exists stays as long as its arguments do."""
        if goal.type not in _GENERATORS:
            raise Refused(
                f"the embedded engine has no {goal.type} ({goal.name})",
                f"it has {', '.join(kind.rsplit(':', 1)[1] for kind in _GENERATORS)}; "
                "or run this stack with the Pulumi CLI: pulumi up",
            )
        title = _title(goal.type, goal.name)
        if old and same(old.inputs, goal.inputs):
            return Plan(op=Op.SAME, inputs=goal.inputs, id=old.id, outputs=old.outputs, title=title)
        return Plan(
            op=Op.REPLACE if old else Op.CREATE,
            inputs=goal.inputs,
            outputs={**goal.inputs, **dict.fromkeys(_RESULTS, UNKNOWN)},
            diff=diff(old.inputs, goal.inputs) if old else (),
            note="a new value is generated" if old else "",
            title=title,
        )

    def apply(self, goal: Goal, plan: Plan) -> Made:
        """Generate the value."""
        id_, outputs = _GENERATORS[goal.type](plain(plan.inputs))
        return Made(id=id_, outputs=outputs)

    def wait(self, goal: Goal, plan: Plan, made: Made, detail: Detail) -> Made:
        """Nothing to wait for."""
        return made

    def delete(self, resource: ResourceState, detail: Detail) -> None:
        """Nothing to delete outside the state."""

    def title(self, resource: ResourceState) -> str:
        """``RandomPassword gate-token``."""
        return _title(resource.type, resource.urn.rsplit("::", 1)[1])


def _title(type_: str, name: str) -> str:
    return f"{type_.rsplit(':', 1)[1]} {name}"
