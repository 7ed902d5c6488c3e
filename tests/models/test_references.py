import pytest

from moltghost.errors import Refused
from moltghost.models.references import Reference, reference_of
from moltghost.models.sources import Registry

HUB, OLLAMA, FILE = Registry.HUGGING_FACE, Registry.OLLAMA, Registry.FILE
COMMIT = "bf5b95e96dac0462e2a09145ec66cae9a3f12067"


@pytest.mark.parametrize(
    ("typed", "reference"),
    [
        ("hf:o/Model-GGUF:Q4_K_M", Reference(HUB, "o/Model-GGUF", "Q4_K_M")),
        ("hf.co/o/Model-GGUF:UD-Q4_K_XL", Reference(HUB, "o/Model-GGUF", "UD-Q4_K_XL")),
        ("hf.co/o/Model-GGUF:latest", Reference(HUB, "o/Model-GGUF")),
        ("https://huggingface.co/o/Model-GGUF", Reference(HUB, "o/Model-GGUF")),
        ("https://huggingface.co/o/Model-GGUF/", Reference(HUB, "o/Model-GGUF")),
        ("https://huggingface.co/o/Model-GGUF/tree/main", Reference(HUB, "o/Model-GGUF")),
        (
            "https://huggingface.co/o/M/resolve/main/M-Q8_0.gguf?download=true",
            Reference(HUB, "o/M", file="M-Q8_0.gguf"),
        ),
        (
            f"https://huggingface.co/o/M/blob/{COMMIT}/Q8_0/M-Q8_0-00001-of-00002.gguf",
            Reference(HUB, "o/M", file="Q8_0/M-Q8_0-00001-of-00002.gguf", revision=COMMIT),
        ),
        ("hf:o/M/M-Q8_0.gguf", Reference(HUB, "o/M", file="M-Q8_0.gguf")),
        (f"hf:o/M:Q8_0@{COMMIT}", Reference(HUB, "o/M", "Q8_0", revision=COMMIT)),
        ("ollama:qwen3:8b", Reference(OLLAMA, "qwen3:8b")),
        ("ollama:someone/mine", Reference(OLLAMA, "someone/mine:latest")),
        ("https://ollama.com/library/qwen3:8b", Reference(OLLAMA, "qwen3:8b")),
        ("registry.ollama.ai/library/qwen3:8b", Reference(OLLAMA, "qwen3:8b")),
        ("./model.gguf", Reference(FILE, "./model.gguf")),
        ("/data/Model.GGUF", Reference(FILE, "/data/Model.GGUF")),
        ("llama3.1-8b-q4", None),
        ("llama3.1:8b", None),
        ("Qwen/Qwen3-8B", None),
    ],
)
def test_places_are_understood_as_they_are_copied_and_names_are_none(
    typed: str, reference: Reference | None
) -> None:
    assert reference_of(typed) == reference


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("hf:", "isn't a repository"),
        ("hf:owner", "isn't a repository"),
        ("hf:o/m:a:b", "isn't a repository"),
        ("hf:o/m/model.safetensors", "only GGUF files are covered"),
        ("ollama:", "names no model"),
    ],
)
def test_what_begins_as_a_place_and_is_none_is_refused(typed: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        reference_of(typed)


@pytest.mark.parametrize(
    "text", ["hf:o/m:Q4_K_M", "hf:o/m/a.gguf@v1", "ollama:qwen3:8b", "./a.gguf", "hf:o/m"]
)
def test_a_reference_is_written_as_it_is_read(text: str) -> None:
    assert str(reference_of(text)) == text
