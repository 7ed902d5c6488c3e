"""Where stores lie is written and read by one module."""

from __future__ import annotations

import pytest

from moltghost.store_layout import (
    StoreKey,
    bucket_name,
    bucket_url,
    prefix_of,
    source_key,
    source_url,
)

KEY = StoreKey(ollama_version="0.33.3", model="gemma3-270m", quantization="Q4_K_M")
PREFIX = "stores/ollama-0.33.3/gemma3-270m/Q4_K_M/"


def test_a_store_is_found_again_by_whatever_lies_in_it() -> None:
    assert KEY.prefix == PREFIX
    assert StoreKey.of(PREFIX) == KEY
    assert StoreKey.of(f"{PREFIX}blobs/sha256-ab") == KEY


@pytest.mark.parametrize(
    "key",
    [
        PREFIX.rstrip("/"),
        "sources/ab.gguf",
        "stores/store.json",
        "stores/ollama-0.33.3/gemma3-270m/store.json",
        "stores/0.33.3/gemma3-270m/Q4_K_M/store.json",
        "stores/ollama-/gemma3-270m/Q4_K_M/store.json",
        "stores/ollama-0.33.3//Q4_K_M/store.json",
        "other/stores/ollama-0.33.3/gemma3-270m/Q4_K_M/store.json",
    ],
)
def test_what_lies_elsewhere_is_of_no_store(key: str) -> None:
    assert StoreKey.of(key) is None


def test_urls_say_the_bucket_and_the_prefix() -> None:
    url = KEY.url(bucket_url("weights"))
    assert url == "s3://weights/stores/ollama-0.33.3/gemma3-270m/Q4_K_M"
    assert bucket_name(url) == bucket_name("s3://weights") == "weights"
    assert prefix_of(url) == PREFIX
    assert source_key("ab") == "sources/ab.gguf"
    assert source_url("s3://weights", "ab") == "s3://weights/sources/ab.gguf"


def test_another_scheme_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="https://weights/x isn't a URL of S3"):
        prefix_of("https://weights/x")
