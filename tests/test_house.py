"""The house rules that no linter knows: imports, lazy loading, exports, file sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("tfrec", "preprocessing", "serving")

# Each layer may import itself and the layers named here; docs/design.md draws the same picture.
CONTRACT = {
    "tfrec",
    "tfrec.errors",
    "tfrec.fingerprint",
    "tfrec.config",
    "tfrec.schema",
    "tfrec.published",
}
MEDIA = {"tfrec.media", "tfrec.encoders", "tfrec.registry"}
LAYERS = {
    "tfrec.fusion",
    "tfrec.losses",
    "tfrec.optimizers",
    "tfrec.towers",
}
INPUT = {"tfrec.input"}
TEACHERS = {"tfrec.teachers"}
MODEL = {"tfrec.model"}
TRAINING = {"tfrec.training"}
EVALUATION = {"tfrec.evaluation", "tfrec.baselines"}
ALLOWED: dict[str, set[str]] = {
    "tfrec.errors": set(),
    "tfrec.fingerprint": set(),
    "tfrec.config": {"tfrec.errors"},
    "tfrec.schema": {"tfrec.errors", "tfrec.config"},
    "tfrec.published": {"tfrec.errors"},
    "tfrec.registry": CONTRACT,
    "tfrec.simulate": CONTRACT,
    "tfrec.media": CONTRACT,
    "tfrec.encoders": CONTRACT | MEDIA,
    "tfrec.input": CONTRACT,
    "tfrec.towers": CONTRACT | MEDIA | {"tfrec.fusion"},
    "tfrec.fusion": CONTRACT | MEDIA,
    "tfrec.losses": CONTRACT | MEDIA,
    "tfrec.optimizers": CONTRACT | MEDIA,
    "tfrec.teachers": CONTRACT | INPUT,
    "tfrec.baselines": CONTRACT | INPUT | TEACHERS,
    "tfrec.model": CONTRACT | MEDIA | LAYERS | INPUT | TEACHERS,
    "tfrec.evaluation": CONTRACT | INPUT | EVALUATION | TEACHERS,
    "tfrec.online": CONTRACT | {"tfrec.evaluation", "tfrec.simulate", "tfrec.inspection"},
    "tfrec.training": CONTRACT | MEDIA | LAYERS | INPUT | MODEL | EVALUATION | TEACHERS,
    "tfrec.experiments": CONTRACT | INPUT | EVALUATION | TRAINING,
    "tfrec.inspection": CONTRACT | INPUT,
    "tfrec.index": CONTRACT | MEDIA,
    "tfrec.export": CONTRACT
    | MEDIA
    | LAYERS
    | INPUT
    | MODEL
    | EVALUATION
    | TEACHERS
    | TRAINING
    | {"tfrec.index"},
    "tfrec.catalog": CONTRACT | MEDIA | {"tfrec.index", "tfrec.export", "preprocessing"},
    "preprocessing": CONTRACT | MEDIA,
    "serving": CONTRACT,
}
# The composition root: may import everything, but only when a command runs.
ROOTS = {"tfrec.cli", "tfrec.commands", "tfrec.demo", "tfrec.quiet_start", "tfrec.__main__"}


def python_files() -> list[Path]:
    return sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(module: str) -> str:
    if module.split(".")[0] in ("preprocessing", "serving"):
        return module.split(".")[0]
    return ".".join(module.split(".")[:2])


def imports_of(file: Path, module: str) -> set[str]:
    """Every module of ours that the file imports, also inside functions."""
    found = set()
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                stem = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*stem, base] if base else stem)
            found.add(base)
            found |= {f"{base}.{alias.name}" for alias in node.names if base in ("tfrec",)}
    return {name for name in found if name.split(".")[0] in PACKAGES}


def wrong_arrows(files: list[Path]) -> list[str]:
    wrong = []
    for file in files:
        module = module_of(file)
        layer = layer_of(module)
        if layer in ROOTS or module == "tfrec":
            continue
        for target in imports_of(file, module):
            other = layer_of(target)
            if target == "tfrec.__version__" or other in ("tfrec", layer):
                continue
            if other not in ALLOWED.get(layer, set()):
                wrong.append(f"{module} imports {target}")
    return wrong


def test_imports_point_one_way() -> None:
    """Stages meet at files and at the contract, so one can be replaced without the others."""
    assert wrong_arrows(python_files()) == []


def test_every_layer_has_its_place() -> None:
    """A new package is placed in the picture before it is used."""
    layers = {layer_of(module_of(file)) for file in python_files()} - {"tfrec"}
    assert layers <= set(ALLOWED) | ROOTS


def test_a_backward_arrow_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk sees an arrow hidden in a function, so the test above can fail."""
    file = tmp_path / "tfrec" / "model" / "wrong.py"
    file.parent.mkdir(parents=True)
    file.write_text("def f():\n    from serving.client import Client\n    return Client\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert wrong_arrows([file]) == ["tfrec.model.wrong imports serving.client"]


@pytest.mark.parametrize("module", ["tfrec.cli", "tfrec.schema", "tfrec.config", "tfrec.errors"])
def test_the_contract_loads_without_tensorflow(module: str) -> None:
    """A Beam launcher, a client or `--help` never waits for TensorFlow."""
    heavy = "{'tensorflow', 'keras', 'apache_beam'}"
    code = f"import sys, {module}; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_exports_are_sorted_and_packages_only_re_export() -> None:
    """`__all__` reads as an index, and code has a file whose name tells what it is."""
    wrong = []
    for file in python_files():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                names = ast.literal_eval(node.value)
                # Ruff's order: CONSTANTS, then Classes, then functions, each by name.
                key = [(not n.isupper(), not n[:1].isupper(), n) for n in names]
                if key != sorted(key):
                    wrong.append(f"{file.relative_to(ROOT)}: __all__ is not sorted")
        if file.name == "__init__.py" and any(
            isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body
        ):
            wrong.append(f"{file.relative_to(ROOT)}: a package file defines things")
    assert wrong == []


def test_files_stay_short_enough_to_read() -> None:
    """A module does one thing: 450 lines is the outer bound, 400 the aim."""
    folders = [*PACKAGES, "tests", "benchmarks"]
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in files
    }
    assert {name: length for name, length in lengths.items() if length > 450} == {}
