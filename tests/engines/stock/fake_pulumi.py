"""Stands in for the Pulumi CLI: keeps stacks in a folder and tells the events that a test wrote.

``$FAKE_PULUMI`` is the folder: ``stacks.json`` (name -> deployment), ``events.json`` (command ->
events), ``fail.json`` (command -> what it prints to stderr before it fails), ``version.json``
(its version), ``calls.jsonl`` (what was asked). A command that is in ``wait`` waits for SIGINT.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ["FAKE_PULUMI"])
SUMMARY: dict[str, Any] = {"summaryEvent": {"maybeCorrupt": False, "durationSeconds": 1}}
SALT = "encryptionsalt: v1:c2FsdA==:v1:bm9uY2U=:cHJvYmU=\n"


def read(name: str) -> Any:
    file = HOME / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else {}


def write(name: str, value: Any) -> None:
    (HOME / f"{name}.json").write_text(json.dumps(value))


def answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def option(arguments: list[str], name: str) -> str | None:
    return arguments[arguments.index(name) + 1] if name in arguments else None


def tell(address: str, events: list[dict[str, Any]]) -> None:
    import grpc
    from pulumi.runtime.proto import events_pb2, events_pb2_grpc

    with grpc.insecure_channel(address.removeprefix("tcp://")) as channel:
        messages = (events_pb2.EventRequest(event=json.dumps(each)) for each in [*events, SUMMARY])
        events_pb2_grpc.EventsStub(channel).StreamEvents(messages)


def init(arguments: list[str]) -> None:
    name = arguments[2]
    write("stacks", {**read("stacks"), name: {"resources": []}})
    with Path(f"Pulumi.{name}.yaml").open("a") as file:
        file.write(SALT)


def remove(arguments: list[str]) -> None:
    stacks = read("stacks")
    del stacks[arguments[2]]
    write("stacks", stacks)


def listed() -> None:
    rows = [
        {
            "name": name,
            "current": False,
            "lastUpdate": "2026-11-25T10:00:00.000Z",
            "resourceCount": len(deployment["resources"]),
        }
        for name, deployment in read("stacks").items()
    ]
    answer(json.dumps(rows))


def operate(command: str, arguments: list[str]) -> None:
    tell(str(option(arguments, "--event-log")), read("events").get(command, []))
    if (HOME / "wait").exists() and (HOME / "wait").read_text() == command:
        signal.signal(signal.SIGINT, lambda *_: sys.exit("error: update canceled"))
        (HOME / "waiting").touch()
        time.sleep(60)
    if text := read("fail").get(command):
        sys.exit(text)
    stacks = read("stacks")
    if command == "up":
        stacks[str(option(arguments, "--stack"))]["resources"] = [{"urn": "u"}]
    if command == "destroy":
        destroy(stacks[str(option(arguments, "--stack"))], arguments)
    write("stacks", stacks)


def destroy(deployment: dict[str, Any], arguments: list[str]) -> None:
    protected = [each for each in deployment["resources"] if each.get("protect")]
    if "--exclude-protected" in arguments:
        deployment["resources"] = protected
    elif protected and os.environ.get("PULUMI_OPTION_IGNORE_PROTECT") != "true":
        sys.exit(f"error: resource {protected[0]['urn']} cannot be deleted because it is protected")
    else:
        deployment["resources"] = []


def main(arguments: list[str]) -> None:
    if arguments == ["version"]:
        answer(read("version") or "v3.272.0")
        return
    arguments.remove("--non-interactive")
    with (HOME / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    if text := read("fail").get(" ".join(arguments[:2])):
        sys.exit(text)
    match arguments:
        case ["stack", "init", *_]:
            init(arguments)
        case ["stack", "rm", *_]:
            remove(arguments)
        case ["stack", "ls", *_]:
            listed()
        case ["stack", "output", *_]:
            shown = "s3cret" if "--show-secrets" in arguments else "[secret]"
            answer(json.dumps({"plain": "x", "password": shown}))
        case ["stack", "export", *_]:
            deployment = read("stacks")[option(arguments, "--stack")]
            answer(json.dumps({"version": 3, "deployment": deployment}))
        case ["stack", "import", *_]:
            deployment = json.load(sys.stdin)["deployment"]
            write("stacks", {**read("stacks"), str(option(arguments, "--stack")): deployment})
        case ["stack", "history", *_]:
            entry = {"kind": "update", "startTime": "2026-11-25T10:00:00.000Z", "message": ""}
            answer(json.dumps([{**entry, "environment": {}, "config": {}, "result": "succeeded"}]))
        case [("preview" | "up" | "destroy" | "refresh") as command, *_]:
            operate(command, arguments)
        case _:
            sys.exit(f"error: unknown command {arguments}")


main(sys.argv[1:])
