"""Images on AWS come from the environment's own registry, by digest where it is known."""

from __future__ import annotations

import pytest

from moltghost.errors import Refused
from moltghost.planning.images import pinned_images
from tests.planning.aws import cloud_plan

DIGEST = f"sha256:{'a' * 64}"
REGISTRY = "111122223333.dkr.ecr.us-east-1.amazonaws.com/moltghost-prod"


def test_every_image_of_an_agent_has_a_repository_and_is_pulled_from_it() -> None:
    plan = cloud_plan()
    copies = {each.image: each.source for each in plan.repositories}
    for name, source in pinned_images().model_dump().items():
        image = getattr(plan.images, name)
        assert image.startswith(f"{REGISTRY}/")
        assert copies[image] == source


def test_a_digest_pins_the_image_and_leaves_its_version_readable() -> None:
    plan = cloud_plan(image_digests={"ollama": DIGEST})
    assert plan.images.ollama == f"{REGISTRY}/ollama:0.33.3@{DIGEST}"
    assert plan.images.ollama_version == pinned_images().ollama_version


def test_a_digest_of_no_image_is_refused() -> None:
    with pytest.raises(Refused, match="image_digests names llama") as caught:
        cloud_plan(image_digests={"llama": DIGEST})
    assert "ollama" in caught.value.hint
