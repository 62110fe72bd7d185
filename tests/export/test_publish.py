"""Versions are published whole, labelled, taken back and removed; and signed."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tfrec import cli
from tfrec.errors import DescriptionError, ExportError, TfrecError
from tfrec.export import publish
from tfrec.published import (
    MANIFEST_FILE,
    SIGNATURE_FILE,
    check_manifest,
    read_key,
    read_labels,
    write_manifest,
)

KEY, OTHER = b"0123456789abcdef", b"fedcba9876543210"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model with versions 1 to 4."""
    for number in range(1, 5):
        release(tmp_path / "m", f"graph {number}")
    return tmp_path / "m"


def release(model: Path, text: str, key: bytes | None = None) -> int:
    with publish.publishing(model, key=key) as (number, folder):
        (folder / "saved_model.pb").write_text(text)
        (folder / "variables").mkdir()
        (folder / "variables" / "variables.index").write_text(text * 3)
    return number


def test_labels_follow_what_is_published(model: Path) -> None:
    """The first version is stable until somebody says otherwise; the newest is the canary."""
    assert read_labels(model) == {"canary": 4, "stable": 1}
    publish.set_label(model, "stable", 3)
    assert read_labels(model) == {"canary": 4, "stable": 3}
    for label, number in (("stable", 9), ("latest", 3), ("no word", 3)):
        with pytest.raises(DescriptionError, match="--label"):
            publish.set_label(model, label, number)


def test_a_rollback_takes_the_newest_back_and_can_be_undone(model: Path) -> None:
    """Labels move along, numbers aren't used again, and a withdrawn version can return."""
    done = publish.roll_back(model)
    assert (done.version, done.withdrawn) == (3, (4,))
    assert publish.list_versions(model) == [1, 2, 3]
    assert read_labels(model) == {"canary": 3, "stable": 1}
    assert publish.roll_back(model, 1).withdrawn == (2, 3)
    assert release(model, "new") == 5
    assert publish.roll_back(model, 3).version == 3
    assert publish.list_versions(model) == [1, 3]
    assert publish.withdrawn_versions(model) == [2, 4, 5]
    with pytest.raises(DescriptionError, match=r"Published: 1, 3; withdrawn: 2, 4, 5"):
        publish.roll_back(model, 8)


def test_a_rollback_never_goes_to_a_damaged_version(model: Path) -> None:
    (model / "3" / "saved_model.pb").write_text("graph 5")
    with pytest.raises(ExportError, match=r"as it was published\. Received: other saved_model.pb"):
        publish.roll_back(model)
    assert publish.list_versions(model) == [1, 2, 3, 4]


def test_old_versions_go_and_labelled_ones_stay(model: Path) -> None:
    publish.set_label(model, "pinned", 2)
    release(model, "five")
    publish.roll_back(model)
    assert publish.prune(model, 1) == (3,)
    assert publish.list_versions(model) == [1, 2, 4]
    assert publish.withdrawn_versions(model) == [5]
    with pytest.raises(DescriptionError, match="at least one version"):
        publish.prune(model, 0)


DAMAGES = {
    "changed byte": lambda v: (v / "saved_model.pb").write_text("graph X"),
    "truncated file": lambda v: (v / "variables" / "variables.index").write_text("gra"),
    "missing file": lambda v: (v / "variables" / "variables.index").unlink(),
    "damaged manifest": lambda v: (v / MANIFEST_FILE).write_text("{"),
    "another number": lambda v: write_manifest(v, 7),
    "path out of the version": lambda v: _name_outside(v),
}


def _name_outside(version: Path) -> None:
    path = version / MANIFEST_FILE
    content = json.loads(path.read_text())
    content["files"]["../2/saved_model.pb"] = content["files"]["saved_model.pb"]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_manifest_finds_every_damage(model: Path, damage: str) -> None:
    assert check_manifest(model / "1", 1)
    DAMAGES[damage](model / "1")
    with pytest.raises(ExportError):
        check_manifest(model / "1", 1)


def test_a_signature_is_by_the_key_of_this_number_and_all_files(model: Path) -> None:
    """Unsigned, signed by another, copied from another version, with a file slipped in."""
    number = release(model, "signed", KEY)
    version = model / str(number)
    assert check_manifest(version, number, KEY) and check_manifest(version, number)
    with pytest.raises(ExportError, match="with the key that is asked for"):
        check_manifest(version, number, OTHER)
    with pytest.raises(ExportError, match="is signed"):
        check_manifest(model / "1", 1, KEY)
    # A replayed old version under a new number.
    version.rename(model / "9")
    with pytest.raises(ExportError, match="manifest of version 9"):
        check_manifest(model / "9", 9, KEY)
    (model / "9").rename(version)
    (version / "assets").mkdir()
    (version / "assets" / "more").write_text("")
    with pytest.raises(ExportError, match="holds no other file"):
        check_manifest(version, number, KEY)
    # Whoever has no key can't make the changed files fit.
    signature = (version / SIGNATURE_FILE).read_text()
    write_manifest(version, number)
    (version / SIGNATURE_FILE).write_text(signature)
    with pytest.raises(ExportError, match="with the key that is asked for"):
        check_manifest(version, number, KEY)
    (model / "short").write_text("secret")
    for path in (model / "short", model / "absent"):
        with pytest.raises(DescriptionError):
            read_key(path)


@contextmanager
def full_disk(left: int) -> Iterator[None]:
    """No file may grow beyond `left` bytes: writes fail as on a full disk, also TensorFlow's."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_publishes_nothing(model: Path) -> None:
    """One line, and no trace."""
    before = sorted(os.listdir(model))
    with full_disk(5000), pytest.raises(ExportError, match="a version can be written here"):
        release(model, "x" * 10_000)
    assert sorted(os.listdir(model)) == before


def test_a_full_disk_stops_tensorflow_too(tmp_path: Path) -> None:
    """The variables of a changed catalogue are written by TensorFlow, which raises its own."""
    import tensorflow as tf

    from tfrec.export.variables import Variables

    module = tf.Module()
    module.v = tf.Variable(tf.zeros([4000]), name="items/values")
    checkpoint = tf.train.Checkpoint(catalogue=module)
    checkpoint.write(str(tmp_path / "1" / "variables" / "variables"))
    variables = Variables(tmp_path / "1")
    with full_disk(5000), pytest.raises(ExportError, match="a version can be written here"):
        variables.write(tmp_path / "2", {})


def test_a_publisher_killed_between_its_last_renames_is_finished(model: Path) -> None:
    """Everything was proved and written then, but servers don't see it yet."""
    graph = model / "4" / "saved_model.pb"
    graph.rename(graph.with_name(".saved_model.pb"))
    assert release(model, "five") == 5
    assert graph.read_text() == "graph 4" and check_manifest(model / "4", 4)


def test_the_commands(model: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`versions` lists, labels, checks and writes a models.config; `rollback` takes back."""
    config = tmp_path / "models.config"
    words = ["versions", str(model), "--label", "stable=2", "--json", "--check"]
    words += ["--models-config", str(config), "--base-path", "/models/m"]
    assert cli.main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["labels"] for row in told["versions"]] == [[], ["stable"], [], ["canary", "latest"]]
    assert {row["files"] for row in told["versions"]} == {"as published"}
    from serving.stock_files import read_models

    (entry,) = read_models(config).config
    assert dict(entry.version_labels) == {"canary": 4, "latest": 4, "stable": 2}
    assert list(entry.model_version_policy.specific.versions) == [2, 4]
    assert cli.main(["rollback", str(model)]) == 0
    assert "3 is the newest; taken back: 4; canary 3, stable 2" in capsys.readouterr().out
    (model / "2" / "saved_model.pb").write_text("other")
    assert cli.main(["versions", str(model), "--check", "--keep", "2"]) == 1
    assert "removed: 1" in capsys.readouterr().out
    for wrong in (["--label", "stable"], ["--label", "stable=8"]):
        assert cli.main(["versions", str(model), *wrong]) == 2
    assert cli.main(["versions", str(tmp_path / "nothing")]) == 2
    assert issubclass(DescriptionError, TfrecError)


def test_a_folder_without_a_version_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["versions", str(tmp_path)]) == 0
    assert f"`tfrec export RUN {tmp_path}` publishes one" in capsys.readouterr().out
