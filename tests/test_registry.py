"""Components by name: what a configuration may say, and what a stranger's package may add."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import Literal

import pytest

from tfrec.config.model import Component
from tfrec.errors import DescriptionError
from tfrec.registry import create, import_components, names, register


@register("toy", "plain")
class Plain:
    def __init__(
        self, width: int, *, mode: Literal["a", "b"] = "a", sizes: tuple[int, ...] = (1,)
    ) -> None:
        if width < 1:
            raise ValueError("`width` must be positive. Received: width=0.")
        self.width, self.mode, self.sizes = width, mode, sizes


def made(**options: object) -> Plain:
    return create("toy", Component(type="plain", **options), where="item.toy", width=4)


def test_options_are_typed_and_win_over_what_is_given() -> None:
    """A YAML list becomes the tuple that the signature asks for."""
    toy = made(sizes=[3, 4], mode="b", width=5)
    assert (toy.width, toy.mode, toy.sizes) == (5, "b", (3, 4))
    assert made().width == 4


def test_what_is_given_but_unknown_to_the_class_is_left_out() -> None:
    """A component takes of the caller's knowledge what it declares."""
    assert create("toy", Component(type="plain"), where="x", width=1, rate=8000).width == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 1}, r"item\.toy\.depth: .*no such option\. Received: depth: 1.*mode, sizes"),
        ({"mode": "c"}, r"item\.toy\.mode: input should be 'a' or 'b'\. Received: c\."),
        ({"sizes": "many"}, r"item\.toy\.sizes: .*Received: many"),
        ({"width": 0}, r"item\.toy: `width` must be positive"),
    ],
)
def test_a_wrong_option_is_one_line(options: dict, message: str) -> None:
    with pytest.raises(DescriptionError, match=message):
        made(**options)


def test_an_unknown_name_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(DescriptionError, match=r"Received: plan\. Perhaps `plain` is meant"):
        create("toy", Component(type="plan"), where="item.toy")


def test_a_missing_option_is_named() -> None:
    with pytest.raises(DescriptionError, match="needs the option `width`"):
        create("toy", Component(type="plain"), where="item.toy")


def test_a_name_belongs_to_one_class() -> None:
    with pytest.raises(ValueError, match=r"give .*Other another name"):

        @register("toy", "plain")
        class Other:
            pass


def test_a_module_of_ones_own_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--import my_module` makes its components known."""
    (tmp_path / "my_toys.py").write_text(
        "from tfrec.registry import register\n@register('toy', 'mine')\nclass Mine:\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import_components(["my_toys"])
    assert "mine" in names("toy")
    sys.modules.pop("my_toys")


def test_an_entry_point_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package needs no flag."""
    (tmp_path / "their_toys.py").write_text(
        "from tfrec.registry import register\n@register('toy', 'theirs')\nclass T:\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = importlib.metadata.EntryPoint("theirs", "their_toys", "tfrec.components")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: (entry,))
    import_components()
    assert "theirs" in names("toy")


def test_a_module_that_fails_is_named() -> None:
    with pytest.raises(DescriptionError, match=r"--import no_such_module_at_all: .*Received: Mod"):
        import_components(["no_such_module_at_all"])
