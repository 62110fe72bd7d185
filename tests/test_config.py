"""Dataset and model descriptions: what is accepted, and the one line that each mistake gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tfrec.config import DatasetConfig, LabelRule, ModelConfig, load_config, parse_override
from tfrec.config.presets import find_model_config
from tfrec.errors import DescriptionError

SMALL: dict[str, Any] = {
    "name": "shop",
    "interactions": {"path": "events.csv", "label": "rating >= 4"},
    "items": {
        "path": "items.csv",
        "features": {
            "title": {"modality": "text", "column": ["title", "plot"]},
            "photo": {"modality": "image", "path": "photos/{item_id}.jpg"},
        },
    },
}


def write(folder: Path, content: Any) -> Path:
    path = folder / "dataset.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


def changed(path: str, value: Any) -> dict[str, Any]:
    """A copy of `SMALL` with the dotted `path` set."""
    copy: dict[str, Any] = yaml.safe_load(yaml.safe_dump(SMALL))
    node = copy
    *parents, last = path.split(".")
    for key in parents:
        node = node.setdefault(key, {})
    node[last] = value
    return copy


def refusal(folder: Path, content: Any, overrides: tuple[str, ...] = ()) -> str:
    with pytest.raises(DescriptionError) as caught:
        load_config(write(folder, content), DatasetConfig, overrides)
    assert caught.value.exit_status == 2
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith((str(folder), "--set"))
    return message


def test_a_description_is_typed_and_frozen(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, SMALL), DatasetConfig)
    assert config.interactions.label == LabelRule(column="rating", comparison=">=", value=4.0)
    assert config.items.features["title"].columns("title") == ("title", "plot")
    assert config.items.features["photo"].columns("photo") == ("photo",)
    with pytest.raises(ValueError, match="frozen"):
        config.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("interactions.lable", "x", "unknown key `interactions.lable`"),
        ("items.features.photo.modality", "picture", "`items.features.photo.modality`"),
        ("interactions.path", "../events.csv", "stays below the data root"),
        ("items.path", "/etc/passwd", "stays below the data root"),
        ("items.features.photo.path", "a/../../{item_id}.jpg", "stays below the data root"),
        ("interactions.label", "rating is good", "`interactions.label`"),
        ("interactions.label", "event > like", "compares numbers"),
        ("items.features.Title", {"modality": "text"}, "lower case"),
        ("items.features.item_id", {"modality": "text"}, "not one of"),
        ("items.features.title.path", "x.txt", "`path` belongs to image"),
        ("items.features.vector", {"modality": "embedding"}, "needs its `dimension`"),
        ("items.features.year", {"modality": "numeric", "encoder": "minilm"}, "`encoder` belongs"),
        ("items.features.photo.size", [4, 64], "between 8 and 2048"),
        (
            "users",
            {"path": "u.csv", "features": {"face": {"modality": "image"}}},
            "a profile holds",
        ),
        ("interactions.context", {"note": {"modality": "text"}}, "context is categorical"),
        ("split", {"validation": 0.6, "test": 0.5}, "nothing to train on"),
        ("split", {"test_from": 5}, "given together"),
        ("split", {"method": "random"}, "`split.method`"),
        ("name", "../up", "`name`"),
    ],
)
def test_a_mistake_gets_one_line_that_names_it(
    tmp_path: Path, path: str, value: Any, says: str
) -> None:
    assert says in refusal(tmp_path, changed(path, value))


def test_an_unknown_key_suggests_the_near_one(tmp_path: Path) -> None:
    assert "Perhaps `label` is meant" in refusal(tmp_path, changed("interactions.lable", "x"))
    message = refusal(tmp_path, changed("items.features.title.modal", "x"))
    assert "Perhaps `modality` is meant" in message


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    message = refusal(tmp_path, {"name": "x", "items": SMALL["items"]})
    assert "the key `interactions` is required" in message


@pytest.mark.parametrize(
    ("content", "says"),
    [("", "an empty file"), ("- a\n", "a mapping"), ("a: [", "must be YAML")],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, content: str, says: str) -> None:
    assert says in refusal(tmp_path, content)


def test_a_file_that_is_absent_or_not_utf8_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match="must exist"):
        load_config(tmp_path / "none.yaml", DatasetConfig)
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: caf\xe9".encode("latin-1"))
    with pytest.raises(DescriptionError, match="UTF-8"):
        load_config(path, DatasetConfig)


def test_overrides_reach_any_key_and_are_validated(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL)
    config = load_config(path, DatasetConfig, ["split.test=0.2", "interactions.path=b.csv"])
    assert config.split.test == 0.2
    assert config.interactions.path == "b.csv"
    unknown = refusal(tmp_path, SMALL, ("split.tset=0.2",))
    assert unknown.startswith("--set split.tset=0.2: unknown key `split.tset`")
    assert "not a mapping" in refusal(tmp_path, SMALL, ("name.x=1",))


def test_a_fault_is_blamed_on_who_wrote_it(tmp_path: Path) -> None:
    """On the last `--set` of the key, of one above or below it; else on the file."""
    twice = ("split.test=0.2", "split.test=x")
    assert refusal(tmp_path, SMALL, twice).startswith("--set split.test=x: `split.test`")
    above = refusal(tmp_path, SMALL, ("split={test: x}",))
    assert above.startswith("--set split={test: x}: `split.test`")
    other = refusal(tmp_path, changed("split.validation", "x"), ("split.test=0.2",))
    assert other.startswith(str(tmp_path))


@pytest.mark.parametrize("text", ["split.test", "=1", "a..b=1", "a=[1"])
def test_a_malformed_override_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError, match="--set"):
        parse_override(text)


@pytest.mark.parametrize(
    ("rule", "cell", "holds"),
    [
        ("rating >= 4", "4.0", True),
        ("rating >= 4", "3.5", False),
        ("rating > 4", 4, False),
        ("event == like", "like", True),
        ("event != skip", "skip", False),
        ("event in like, share", "share", True),
        ("event in like, share", "shares", False),
        ("liked == 1", "1.0", True),
    ],
)
def test_a_label_rule_judges_a_cell(rule: str, cell: float | str, holds: bool) -> None:
    assert LabelRule.parse(rule).holds(cell) is holds


def test_a_resolved_description_reads_back_equal(tmp_path: Path) -> None:
    """The manifest keeps the description; reading it back must not change a run."""
    config = load_config(write(tmp_path, SMALL), DatasetConfig)
    assert DatasetConfig.model_validate_json(config.model_dump_json()) == config


def test_a_component_keeps_its_options() -> None:
    content = {"name": "m", "item": {"fusion": {"type": "gated", "dropout": 0.1}}}
    config = ModelConfig.model_validate(content)
    assert config.item.fusion.type == "gated"
    assert config.item.fusion.options == {"dropout": 0.1}
    assert ModelConfig.model_validate_json(config.model_dump_json()) == config


def test_a_shipped_model_is_found_by_name_and_others_are_listed() -> None:
    assert find_model_config("ids").name == "ids.yaml"
    assert find_model_config("some/file.yaml") == Path("some/file.yaml")
    with pytest.raises(DescriptionError, match="multimodal"):
        find_model_config("multimodel")
