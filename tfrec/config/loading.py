"""Read a YAML description, apply `--set` overrides, and validate it into a typed config.

Every fault is one `DescriptionError` line that names the file, the dotted path of the key, the
rule, what was received and, for an unknown key, the nearest known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tfrec.errors import DescriptionError

__all__ = ["load_config", "parse_override", "validate"]

Config = TypeVar("Config", bound=BaseModel)


def parse_override(text: str) -> tuple[tuple[str, ...], Any]:
    """Splits `a.b=value` into a path of keys and a YAML value.

    Args:
        text: A dotted path, an equals sign, a YAML scalar or flow collection.

    Returns:
        The keys of the path, and the parsed value.

    Raises:
        DescriptionError: There is no `=`, a key is empty, or the value is not YAML.

    Example:
        >>> parse_override("split.test=0.2")
        (('split', 'test'), 0.2)
    """
    path, equals, value = text.partition("=")
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        raise DescriptionError(
            "--set",
            "an override is `key=value` with a dotted path as key",
            received=repr(text),
            remedy="Write for example `--set split.test=0.2`",
        )
    try:
        return keys, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise DescriptionError(
            f"--set {path}", "the value must be YAML", received=repr(value), remedy="Quote it"
        ) from error


def load_config(path: str | Path, model: type[Config], overrides: Sequence[str] = ()) -> Config:
    """Reads a YAML file into a frozen config.

    Args:
        path: The YAML file.
        model: The pydantic class that it must satisfy.
        overrides: `--set` texts, applied in order before validation.

    Returns:
        The validated config.

    Raises:
        DescriptionError: The file can't be read, is not YAML, or breaks a rule of `model`.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DescriptionError(
            str(path),
            "the description must exist",
            received="no such file",
            remedy="Check the path",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DescriptionError(
            str(path),
            "the description must be a readable UTF-8 file",
            received=str(error),
            remedy="Check its permissions and encoding",
        ) from error
    except yaml.YAMLError as error:
        raise DescriptionError(
            str(path), "the description must be YAML", received=str(error), remedy="Mend that line"
        ) from error
    if not isinstance(content, dict):
        raise DescriptionError(
            str(path),
            "a description is a mapping of keys",
            received=type(content).__name__ if content is not None else "an empty file",
            remedy="Start from a file in configs/",
        )
    assigned = {}
    for text in overrides:
        keys, value = parse_override(text)
        _assign(content, keys, value, text)
        assigned[tuple(keys)] = f"--set {text}"
    return validate(content, model, where=str(path), assigned=assigned)


def validate(
    content: Mapping[str, Any],
    model: type[Config],
    *,
    where: str,
    assigned: Mapping[tuple[str, ...], str] | None = None,
) -> Config:
    """Validates a mapping into `model`, turning the first fault into one line.

    Args:
        content: Parsed YAML or JSON.
        model: The pydantic class that it must satisfy.
        where: The file to name in the error.
        assigned: What to name in its place, by the dotted path of a key that came from elsewhere.

    Returns:
        The validated config.

    Raises:
        DescriptionError: A key is unknown or missing, or a value breaks its rule.
    """
    try:
        return model.model_validate(content)
    except ValidationError as error:
        details = error.errors()
        first = next((d for d in details if d["type"] == "extra_forbidden"), details[0])
        source = _source(first["loc"], assigned or {}, where)
        raise _explain(first, len(details), model, source) from error


def _source(location: Sequence[Any], assigned: Mapping[tuple[str, ...], str], where: str) -> str:
    """Where a faulty key came from: the last assignment of it, above it or below it."""
    found = where
    for keys, text in assigned.items():
        shared = min(len(keys), len(location))
        if shared and keys[:shared] == tuple(str(part) for part in location[:shared]):
            found = text
    return found


def _explain(
    fault: ErrorDetails,
    count: int,
    model: type[BaseModel],
    where: str,
) -> DescriptionError:
    location = [part for part in fault["loc"] if not str(part).startswith("function-")]
    dotted = ".".join(str(part) for part in location) or "(top level)"
    more = f" ({count - 1} more after it)" if count > 1 else ""
    kind = fault["type"]
    if kind == "extra_forbidden":
        known = _known_keys(location[:-1], model)
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        remedy = f"Perhaps `{near[0]}` is meant" if near else f"Known keys: {', '.join(known)}"
        return DescriptionError(
            where,
            f"unknown key `{dotted}`{more}",
            received=fault["input"],
            remedy=remedy,
        )
    if kind == "missing":
        return DescriptionError(
            where, f"the key `{dotted}` is required{more}", received="nothing", remedy="Add it"
        )
    rule = fault["msg"].removeprefix("Value error, ")
    return DescriptionError(
        where,
        f"`{dotted}`: {rule[0].lower()}{rule[1:]}{more}".rstrip("."),
        received=fault["input"] if not isinstance(fault["input"], Mapping) else None,
        remedy="See docs/guide.md for the field",
    )


def _known_keys(location: Sequence[Any], model: type[BaseModel]) -> list[str]:
    current: Any = model
    for part in location:
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            # A mapping from names to sub-models: its values share one class.
            continue
        current = _model_in(fields[part].annotation)
    return sorted(getattr(current, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in reversed(getattr(annotation, "__args__", ())):
        found = _model_in(argument)
        if found is not None:
            return found
    return None


def _assign(content: dict[str, Any], keys: Sequence[str], value: Any, text: str) -> None:
    node: Any = content
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if not isinstance(child, dict):
            raise DescriptionError(
                f"--set {text}",
                f"`{key}` is not a mapping, so it has no `{keys[-1]}`",
                received=child,
                remedy="Check the dotted path",
            )
        node = child
    node[keys[-1]] = value
