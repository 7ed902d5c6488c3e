from pathlib import Path

import pytest

from moltghost.errors import Refused
from moltghost.models import find_model, models

# What people type, the answer, and what of it has to be said. Collected from issue threads, model
# pages and configs of Ollama, OpenClaw, llama.cpp and LocalAI, 2026-11-30.
TYPED = [
    (*line.split("\t"), "")[:3]
    for line in (Path(__file__).parent / "typed_names.tsv").read_text().splitlines()
]


def test_there_are_many_names_that_people_type() -> None:
    assert len({typed for typed, *_ in TYPED}) == len(TYPED) >= 150


@pytest.mark.parametrize(("typed", "answer", "said"), TYPED, ids=lambda text: text)
def test_what_people_type_is_understood_or_answered_helpfully(
    typed: str, answer: str, said: str
) -> None:
    if answer == "refused":
        with pytest.raises(Refused, match=r"no model|has no quantization|may be any of") as refused:
            find_model(typed)
        assert said
        assert said in refused.value.message
        assert "moltghost" in refused.value.hint or "GGUF" in refused.value.hint
    else:
        choice = find_model(typed)
        assert choice.name == answer
        assert said in choice.said


def test_another_quantization_than_ollamas_is_said_with_its_reason() -> None:
    choice = find_model("mixtral:8x22b")
    assert choice.said == (
        "Ollama's mixtral:8x22b is mixtral-8x22b in Q4_0; Q4_K_M was taken, Mixtral's default here,"
        " and the catalogue has no Q4_0 of it."
    )
    assert find_model("phi3:mini").quantization == "Q4_0"
    assert find_model("llama3.2:1b").quantization == "Q8_0"


def test_a_full_name_needs_no_words() -> None:
    assert find_model("llama3.1-70b-q4").said == ""


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("llama3.1-70b-q4", "llama3.1-70b-q4_K_M"),
        ("LLAMA3.1-70B-Q4_K_M", "llama3.1-70b-q4_K_M"),
        ("llama3.1-8b-q8", "llama3.1-8b-q8_0"),
        ("llama3.1-8b-q5", "llama3.1-8b-q5_K_M"),
        ("llama3.1-8b-f16", "llama3.1-8b-f16"),
        ("llama3.1-8b-fp16", "llama3.1-8b-f16"),
        ("qwen2.5-72b-q4", "qwen2.5-72b-q4_K_S"),
        ("qwen2.5-72b-q4_K_M", "qwen2.5-72b-q4_K_M"),
        ("qwen2_5-72b_q6", "qwen2.5-72b-q6_K"),
        ("mistral-nemo-12b-q4", "mistral-nemo-12b-q4_K_M"),
        ("mixtral-8x22b-q4", "mixtral-8x22b-q4_K_M"),
        ("phi3-mini-q8", "phi3-mini-q8_0"),
        ("phi3:3.8b", "phi3-mini-q4_0"),
        ("llama3.1:70b", "llama3.1-70b-q4_K_M"),
        ("llama-3.1-70b-instruct", "llama3.1-70b-q4_K_M"),
        ("llama3.1:70b-instruct-q8_0", "llama3.1-70b-q8_0"),
        ("mistral-nemo", "mistral-nemo-12b-q4_K_M"),
        ("mistral-7b", "mistral-7b-v0.3-q4_K_M"),
    ],
)
def test_a_name_as_users_type_it_is_the_model_they_mean(typed: str, name: str) -> None:
    assert find_model(typed).name == name


def test_the_full_name_of_every_file_is_found_again_in_any_case() -> None:
    for model in models():
        for quantization in model.quantizations:
            name = f"{model.id}-{quantization[0].lower()}{quantization[1:]}".replace("mXFP", "mxfp")
            for spelled in (name, name.upper(), name.replace("-", "_")):
                choice = find_model(spelled)
                assert (choice.name, choice.defaulted) == (name, False)


def test_every_ollama_tag_names_its_own_file() -> None:
    for model in models():
        for file in model.files.values():
            if file.ollama_tag:
                choice = find_model(file.ollama_tag)
                assert (choice.model, choice.quantization) == (model, file.quantization)


def test_a_name_without_quantization_takes_the_familys_default_and_says_so() -> None:
    assert find_model("phi3-medium").defaulted
    assert find_model("phi3-medium").quantization == "Q8_0"
    assert not find_model("phi3-medium-q8").defaulted


@pytest.mark.parametrize("typed", ["lama3.1-70b", "llama3.1-70b-instrct", "llama31-71b-q4"])
def test_a_misspelt_name_is_refused_with_the_nearest_and_the_command_that_lists(typed: str) -> None:
    with pytest.raises(Refused, match=r"nearest: .*llama3\.1-70b") as refused:
        find_model(typed)
    assert "moltghost models" in refused.value.hint


@pytest.mark.parametrize("typed", ["", "-", "q4", "gpt-5", "llama3.1-70b-q4-q4", "../etc/passwd"])
def test_nonsense_is_refused(typed: str) -> None:
    with pytest.raises(Refused, match="there is no model"):
        find_model(typed)


def test_a_name_that_several_models_begin_with_is_refused_with_all_of_them() -> None:
    with pytest.raises(Refused, match=r"llama3\.1-8b, llama3\.1-70b, llama3\.1-405b"):
        find_model("llama3.1-q4")


def test_a_quantization_that_a_model_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(Refused, match=r"llama3\.1-70b has no quantization 'q3'") as refused:
        find_model("llama3.1-70b-q3")
    assert "Q4_K_S, Q4_K_M, Q5_K_M, Q6_K, Q8_0, F16" in refused.value.hint
