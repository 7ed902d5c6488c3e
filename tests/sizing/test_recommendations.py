import pytest

from moltghost.errors import Refused
from moltghost.models.facts import Fitness
from moltghost.sizing import recommend
from moltghost.sizing.recommendations import recommended_models


def test_recommended_models_come_best_first() -> None:
    found = [model.id for model in recommended_models()]
    assert found[:3] == ["qwen3.6-27b", "gemma4-26b-a4b", "gpt-oss-20b"]
    assert len(found) == 13


@pytest.mark.parametrize(
    ("gpu", "first", "there", "not_there"),
    [
        # Totals at 64k of recommended models: 24 to 34 GB for a card of 48, 67.7 of gpt-oss-120b.
        ("l40s", "qwen3.6-27b-q8_0", "gemma4-31b-q8_0", "gpt-oss-120b-mxfp4"),
        ("h100", "qwen3.6-27b-q8_0", "gpt-oss-120b-mxfp4", "qwen3-235b-a22b-q4_K_M"),
    ],
)
def test_on_a_gpu_is_what_one_of_them_holds(
    gpu: str, first: str, there: str, not_there: str
) -> None:
    found = recommend(gpu)
    names = [each.choice.name for each in found]
    assert names[0] == first
    assert there in names
    assert not_there not in names
    for each in found:
        assert each.choice.model.agents.verdict is Fitness.RECOMMENDED
        assert (each.option.gpu_count, each.option.card.kind) == (1, gpu)
        assert each.context == 65536


def test_without_a_gpu_all_are_placed_in_their_default() -> None:
    found = recommend(None)
    assert len(found) == 13
    assert all(e.choice.quantization == e.choice.model.default_quantization for e in found)


def test_a_gpu_that_isnt_there_is_refused() -> None:
    with pytest.raises(Refused, match="there is no GPU kind 'b200'"):
        recommend("b200")
