"""The commands in README and docs exist and accept the options that are written there."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

from tfrec.cli import COMMANDS
from tfrec.config import DatasetConfig, ModelConfig, load_config

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def commands_in(text: str) -> list[str]:
    """Lines of fenced blocks that call `tfrec`, continuation lines joined."""
    found = []
    for block in re.findall(r"```(?:bash|sh|shell|console)?\n(.*?)```", text, flags=re.S):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            line = line.strip().removeprefix("$ ")
            line = re.sub(r"^(\w+=\S+\s+)*(\.venv/bin/)?", "", line)
            if line.startswith("tfrec ") and not line.startswith("tfrec COMMAND"):
                found.append(line)
    return found


WRITTEN = [
    pytest.param(line, id=f"{document.name}: {line[:60]}")
    for document in DOCUMENTS
    for line in commands_in(document.read_text(encoding="utf-8"))
]


def own_words(line: str) -> list[str]:
    """The words of a command that its own parser sees: not a shell's, nor Beam's after `--`."""
    words = shlex.split(re.sub(r"^(\w+=\S+\s+)*", "", line), comments=True)
    ends = [place for place, word in enumerate(words) if word in ("|", "&&", ">", "&", "--")]
    return words[: min(ends, default=None)]


def parser_of(name: str) -> argparse.ArgumentParser:
    module = importlib.import_module(f"tfrec.commands.{name}")
    parser = argparse.ArgumentParser(prog=f"tfrec {name}", exit_on_error=False)
    module.add_arguments(parser)
    return parser


@pytest.mark.parametrize("line", WRITTEN)
def test_a_documented_command_is_accepted(line: str) -> None:
    """A reader who types what the documents say meets no usage error."""
    words = own_words(line)[1:]
    if words == ["--version"] or words == ["--help"]:
        return
    assert words[0] in COMMANDS
    if "--help" not in words:
        parser_of(words[0]).parse_args(words[1:])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_shows_examples_that_it_accepts(name: str) -> None:
    """The examples of `--help` are real."""
    module = importlib.import_module(f"tfrec.commands.{name}")
    assert module.SUMMARY and module.EXAMPLES
    for example in module.EXAMPLES:
        words = own_words(example)
        assert words[:2] == ["tfrec", name]
        parser_of(name).parse_args(words[2:])


@pytest.mark.parametrize("file", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda f: f.name)
def test_a_shipped_configuration_is_valid(file: Path) -> None:
    """What people start from is accepted."""
    model = DatasetConfig if file.parent.name == "datasets" else ModelConfig
    assert load_config(file, model).name


def test_links_between_documents_lead_somewhere() -> None:
    """No document points to a file that is gone."""
    broken = [
        f"{document.name}: {target}"
        for document in DOCUMENTS
        for target in re.findall(
            r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")
        )
        if not (document.parent / target).exists()
    ]
    assert broken == []
