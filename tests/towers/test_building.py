"""From a feature's specification to its tower, and what is said when they don't fit."""

from __future__ import annotations

import pytest

from tfrec.config.dataset import FeatureConfig
from tfrec.config.model import Component
from tfrec.errors import DescriptionError
from tfrec.schema import FeatureSpec
from tfrec.towers import DEFAULT_TOWERS, build_tower, prepared_kind


def spec(modality: str, **options: object) -> FeatureSpec:
    extra = {"dimension": 4} if modality == "embedding" else {}
    names = ("max_length", "sample_rate")
    extra |= {key: value for key, value in options.items() if key in names}
    rest = {key: value for key, value in options.items() if key not in names}
    config = FeatureConfig(modality=modality, **extra)
    return FeatureSpec(name="cover", modality=config.modality, config=config, **rest)


@pytest.mark.parametrize("kind", [k for k in DEFAULT_TOWERS if k != "vector"])
def test_each_modality_has_a_default(kind: str) -> None:
    tower = build_tower(spec(kind, vocabulary_size=9), None, 8)
    assert kind in tower.modalities and tower.dimension == 8


def test_an_encoded_feature_is_a_vector() -> None:
    """Once an encoder was run, its raw form isn't read any more."""
    assert prepared_kind(spec("image", encoded_dim=12)) == "vector"
    assert build_tower(spec("image", encoded_dim=12), None, 8).modalities == {"vector"}
    assert prepared_kind(spec("embedding")) == "vector"


def test_a_tower_takes_from_the_data_what_it_needs() -> None:
    """And an option of the configuration wins."""
    assert build_tower(spec("tags", vocabulary_size=9), None, 8).vocabulary_size == 9
    assert build_tower(spec("audio", sample_rate=8000), None, 8).sample_rate == 8000
    text = spec("text", max_length=12)
    assert build_tower(text, None, 8).max_length == 12
    assert build_tower(text, Component(type="words", max_length=5), 8).max_length == 5


def test_a_tower_of_another_modality_is_refused_with_those_that_fit() -> None:
    with pytest.raises(
        DescriptionError, match=r"tower of `cover`.*reads text.*Received: image"
    ) as i:
        build_tower(spec("image"), Component(type="text_cnn"), 8)
    assert "image_cnn, image_resnet, image_transformer" in str(i.value)
    with pytest.raises(DescriptionError, match=r"prepared as an encoded vector.*projection"):
        build_tower(spec("image", encoded_dim=3), Component(type="image_cnn"), 8)


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({"type": "text_cnm"}, r"Received: text_cnm\. Perhaps `text_cnn`"),
        ({"type": "words", "depth": 2}, r"no such option\. Received: depth: 2"),
        ({"type": "words", "buckets": 1}, r"`buckets` must be at least 2"),
        ({"type": "text_transformer", "heads": 3}, r"`heads` must divide 8\. Received: heads=3"),
    ],
)
def test_a_wrong_tower_is_one_line(component: dict, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        build_tower(spec("text"), Component(**component), 8)
