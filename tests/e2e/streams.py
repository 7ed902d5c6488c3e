"""Keeps streams open through an agent's gate until it is told to stop, and says how each ended.

    python -m tests.e2e.streams URL TOKEN_FILE STOP_FILE STREAMS CONTEXT < nothing

Run in the network namespace of the node, where Services have their addresses. It speaks plain HTTP
with connections that are kept alive, as OpenClaw does, and asks with OpenClaw's options.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

_PREDICT = 24
_TIMEOUT_SECONDS = 120
_BROKEN = (OSError, http.client.HTTPException)


@dataclass
class Stream:
    """One request.

    Attributes:
        ended: ``whole``, or what went wrong.
        first_seconds: until the first piece of the answer.
    """

    began: float
    ended: str = ""
    first_seconds: float = 0.0
    seconds: float = 0.0
    pieces: int = 0


def ask(connection: http.client.HTTPConnection, token: str, context: int) -> Stream:
    """One streamed answer; raises only as long as nothing of the answer has come."""
    stream = Stream(began=time.time())
    body = {
        "model": "moltghost/agent:current",
        "messages": [{"role": "user", "content": "Count from one to twenty in words."}],
        "stream": True,
        "shift": False,
        "truncate": False,
        "think": False,
        "keep_alive": -1,
        "options": {"num_ctx": context, "num_predict": _PREDICT, "seed": 1},
    }
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/api/chat", body=json.dumps(body), headers=headers)
    answer = connection.getresponse()
    if answer.status != http.client.OK:
        stream.ended = f"{answer.status}: {answer.read()[:200].decode(errors='replace')}"
        return stream
    try:
        for line in answer:
            _take(stream, json.loads(line))
    except (*_BROKEN, ValueError) as error:
        connection.close()
        stream.ended = f"cut: {type(error).__name__}: {error}"
    stream.ended = stream.ended or "truncated"
    return stream


def _take(stream: Stream, piece: dict[str, object]) -> None:
    stream.first_seconds = stream.first_seconds or time.time() - stream.began
    stream.pieces += 1
    if "error" in piece:
        stream.ended = f"error in the stream: {piece['error']}"
    elif piece.get("done"):
        stream.ended = "whole"


def work(url: str, token: str, stop: Path, context: int, done: list[Stream]) -> None:
    """Ask again and again."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_TIMEOUT_SECONDS)
    while not stop.exists():
        began, kept_alive = time.time(), connection.sock is not None
        try:
            stream = ask(connection, token, context)
        except _BROKEN as error:
            connection.close()
            if kept_alive:
                # The other side had closed the idle connection: nothing was asked yet, so a client
                # asks on a new one (RFC 9112, 9.3.1).
                continue
            stream = Stream(began=began, ended=f"{type(error).__name__}: {error}")
        stream.seconds = time.time() - began
        done.append(stream)


def main(url: str, token_file: str, stop_file: str, streams: str, context: str) -> None:
    """Ask side by side until the stop file is there."""
    token, done = Path(token_file).read_text(), list[Stream]()
    threads = [
        threading.Thread(target=work, args=(url, token, Path(stop_file), int(context), done))
        for _ in range(int(streams))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write(json.dumps([asdict(stream) for stream in done]))


if __name__ == "__main__":
    main(*sys.argv[1:])
