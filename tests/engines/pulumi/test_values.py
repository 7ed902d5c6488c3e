"""Property values between the SDK, the state and what is shown."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import struct_pb2

from moltghost.engines.pulumi.values import (
    SIGNATURE_KEY,
    UNKNOWN,
    UNKNOWN_WIRE,
    Secret,
    decode,
    encode,
    format_path,
    from_state,
    masked,
    plain,
    redact,
    secret_texts,
    to_state,
    unknown_paths,
)
from moltghost.errors import Refused

SAMPLE: dict[str, Any] = {
    "text": "a",
    "whole": 3,
    "broken": 1.5,
    "yes": True,
    "nothing": None,
    "empty": {},
    "none": [],
    "list": [1, {"inner": Secret("hidden")}],
    "secret": Secret({"a": ["deep", UNKNOWN]}),
    "unknown": UNKNOWN,
}


def test_values_survive_the_wire_and_whole_numbers_stay_whole() -> None:
    decoded = decode(encode(SAMPLE))

    assert decoded == SAMPLE
    assert isinstance(decoded["whole"], int)
    assert decoded["unknown"] is UNKNOWN


def test_a_secret_within_a_secret_is_one_secret() -> None:
    assert decode(encode({"a": Secret(Secret("x"))})) == {"a": Secret("x")}


def test_an_asset_is_refused_by_name() -> None:
    struct = struct_pb2.Struct()
    asset = struct.fields["file"].struct_value
    asset.fields[SIGNATURE_KEY].string_value = "c44067f5952c0a294b673a41bacd8c17"

    with pytest.raises(Refused, match="asset"):
        decode(struct)


def test_what_is_shown_has_neither_secrets_nor_signatures() -> None:
    shown = repr(masked(SAMPLE))

    assert "hidden" not in shown
    assert "deep" not in shown
    assert UNKNOWN_WIRE not in shown
    assert masked(SAMPLE)["unknown"] == "[unknown]"
    assert "hidden" not in repr(SAMPLE)


def test_the_state_holds_ciphertexts_only_and_gives_the_values_back() -> None:
    stored = to_state(SAMPLE["list"], lambda text: text[::-1])

    assert "hidden" not in repr(stored)
    assert from_state(stored, lambda text: text[::-1]) == SAMPLE["list"]


def test_secrets_are_found_and_blanked_out_in_a_message() -> None:
    secrets = secret_texts({"a": Secret({"b": ["password-1"]}), "c": [Secret("xy")]})

    assert secrets == {"password-1", "xy"}
    assert redact("bad value password-1 in xy", secrets) == "bad value [secret] in xy"


def test_unknowns_are_found_inside_secrets() -> None:
    assert unknown_paths(SAMPLE) == [("secret", "a", 1), ("unknown",)]
    assert plain(SAMPLE)["secret"]["a"][0] == "deep"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("spec", "containers", 0, "image"), "spec.containers[0].image"),
        (("metadata", "annotations", "a.b/c"), 'metadata.annotations["a.b/c"]'),
    ],
)
def test_paths_read_as_pulumi_writes_them(path: tuple[str | int, ...], text: str) -> None:
    assert format_path(path) == text
