import pytest

from moltghost.models.capabilities import capabilities_of

JINJA_TOOLS = "{%- if tools %}<tools>{{ tools | tojson }}</tools>{% endif %}"
JINJA_THINKS = "{%- if enable_thinking is false %}<think>\n\n</think>{% endif %}"
GO_TOOLS = "{{ if .Tools }}{{ range .Tools }}{{ . }}{{ end }}{{ end }}"
GO_PLAIN = "{{ .System }}{{ .Prompt }}"


@pytest.mark.parametrize(
    ("jinja", "go", "parser", "tools", "thinking"),
    [
        (JINJA_TOOLS, None, None, True, False),
        (JINJA_TOOLS + JINJA_THINKS, None, None, True, True),
        ("{{ messages }}", None, None, False, False),
        (None, GO_TOOLS, None, True, False),
        (None, GO_TOOLS + "{{ .Thinking }}", None, True, True),
        # Ollama's template is used in place of the file's.
        (JINJA_TOOLS, GO_PLAIN, None, False, False),
        (None, GO_PLAIN, "qwen3-coder", True, False),
        (None, GO_PLAIN, "passthrough", False, False),
        (None, None, None, False, False),
    ],
)
def test_the_template_or_the_parser_says_what_a_model_can_do(
    jinja: str | None, go: str | None, parser: str | None, tools: bool, thinking: bool
) -> None:
    found = capabilities_of(jinja, go, parser)
    assert (found.tools, found.thinking) == (tools, thinking)


def test_the_evidence_names_what_was_read() -> None:
    assert capabilities_of(JINJA_TOOLS).evidence == "the file's chat template has place for tools"
    assert capabilities_of(None).evidence == "it has no chat template"
    assert capabilities_of(None, GO_PLAIN).evidence == (
        "its template of Ollama's registry has no place for tools"
    )
