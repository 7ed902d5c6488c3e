"""What a model's chat template says that the model can do: call tools, think.

It is what Ollama takes for granted too: a Go template that uses `.Tools` or `.Thinking`
(ollama@fb30760 server/images.go, Capabilities), a Jinja template that mentions tools
(server/create.go), or a parser of its own, all of which but `passthrough` read calls of tools.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_GO_TOOLS, _GO_THINKING = re.compile(r"\.Tools\b"), re.compile(r"\.Thinking\b")
_JINJA_TOOLS = re.compile(r"\btools\b")
_JINJA_THINKING = re.compile(r"enable_thinking|</?think>|reasoning_content")
_NO_PARSER = "passthrough"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the chat template says, and why it says so."""

    tools: bool
    thinking: bool
    evidence: str


def capabilities_of(
    jinja: str | None, go_template: str | None = None, parser: str | None = None
) -> Capabilities:
    """What a model can do by the ways in which its chats are written and read.

    Args:
        jinja: the file's own template.
        go_template: Ollama's, which is used in its place.
        parser: Ollama's reader of its answers, which is used in place of both.
    """
    thinks = bool(
        (go_template and _GO_THINKING.search(go_template))
        or (jinja and _JINJA_THINKING.search(jinja))
    )
    if parser and parser != _NO_PARSER:
        return Capabilities(True, thinks, f"Ollama's parser {parser} reads calls of tools")
    if go_template is not None:
        tools, where = bool(_GO_TOOLS.search(go_template)), "its template of Ollama's registry"
    elif jinja is not None:
        tools, where = bool(_JINJA_TOOLS.search(jinja)), "the file's chat template"
    else:
        return Capabilities(False, False, "it has no chat template")
    return Capabilities(tools, thinks, f"{where} {'has' if tools else 'has no'} place for tools")
