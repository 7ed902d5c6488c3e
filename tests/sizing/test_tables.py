from collections.abc import Iterator

from moltghost.sizing import SizingRequest, size
from tests.sizing.tables import CLAIMS, DOCS, judged, written


def test_the_documents_tables_are_those_that_are_computed() -> None:
    text = DOCS.read_text()
    assert written(text) == text, "run python -m tests.sizing.tables"


def test_the_product_texts_speeds_are_judged_by_bandwidth_and_measurements() -> None:
    small, large, largest = (judged(claim) for claim in CLAIMS)
    assert "plausible" in small
    assert "of the bandwidth; the best measured share" in large
    assert "impossible" in largest


def keys_of(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys_of(inner)


def test_every_key_of_the_json_is_documented() -> None:
    schema = DOCS.read_text().partition("## JSON")[2]
    found = size(SizingRequest("llama3.1-70b-q4")).to_json()
    missing = {key for key in keys_of(found) if f"`{key}`" not in schema}
    missing -= {"footprint", "placement", "resources", "load", "speed", "cost", "request"}
    assert missing <= {"candidates", "why"}  # they are written with their brackets
