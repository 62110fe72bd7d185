"""Components by name: how YAML finds a tower or a fusion, and how a stranger's package adds one.

    @register("fusion", "mine")
    class MyFusion(Fusion): ...

and `fusion: {type: mine, temperature: 0.5}` builds it. A package of one's own is imported first: by
`--import my_module`, or without a word when it declares an entry point of the group
`tfrec.components`. Options are checked against the types in the constructor's signature.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tfrec.config.model import Component
from tfrec.errors import DescriptionError

__all__ = [
    "ENTRY_POINT_GROUP",
    "create",
    "import_components",
    "lookup",
    "names",
    "options_of",
    "register",
]

ENTRY_POINT_GROUP = "tfrec.components"

_Class = TypeVar("_Class", bound=type)
_CLASSES: dict[str, dict[str, type]] = {}


def register(kind: str, name: str) -> Callable[[_Class], _Class]:
    """Makes a class known by name.

    Args:
        kind: What it is: `tower`, `history`, `fusion`.
        name: What configurations call it.

    Returns:
        A decorator that gives the class back unchanged.

    Raises:
        ValueError: Another class has the name already.

    Example:
        >>> @register("doctest", "doubling")
        ... class Doubling:
        ...     def __init__(self, times: int = 2) -> None:
        ...         self.times = times
        >>> create("doctest", Component(type="doubling", times=3), where="here").times
        3
    """

    def decorate(cls: _Class) -> _Class:
        known = _CLASSES.setdefault(kind, {}).setdefault(name, cls)
        # A module that is imported twice (by `python -m`, by a reload) registers the same class.
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ValueError(
                f"the {kind} `{name}` is registered by {known.__module__}.{known.__qualname__};"
                f" give {cls.__module__}.{cls.__qualname__} another name"
            )
        _CLASSES[kind][name] = cls
        return cls

    return decorate


def names(kind: str) -> tuple[str, ...]:
    """The names that are registered for a kind, sorted."""
    return tuple(sorted(_CLASSES.get(kind, {})))


def lookup(kind: str, name: str, *, where: str) -> type:
    """The class that is registered under a name.

    Raises:
        DescriptionError: No class is; the message lists those that are.
    """
    found = _CLASSES.get(kind, {}).get(name)
    if found is None:
        near = difflib.get_close_matches(name, names(kind), n=1)
        perhaps = f"Perhaps `{near[0]}` is meant; all: " if near else "Known: "
        raise DescriptionError(
            where,
            f"the {kind} must be a registered one",
            received=name,
            remedy=f"{perhaps}{', '.join(names(kind)) or 'none'}; `--import` your own module",
        )
    return found


def options_of(cls: type) -> dict[str, inspect.Parameter]:
    """The named parameters of a class's constructor."""
    variadic = inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
    parameters = inspect.signature(cls).parameters
    return {name: p for name, p in parameters.items() if p.kind not in variadic}


def create(kind: str, component: Component, *, where: str, **given: Any) -> Any:
    """Builds a component, its options checked.

    Args:
        kind: What it is.
        component: Its name and options, as a configuration gives them.
        where: The configuration key, for errors.
        **given: Arguments that the caller knows; an option of the same name wins.

    Returns:
        The instance.

    Raises:
        DescriptionError: The name or an option is unknown, a value has the wrong type, an option
            that has no default is missing, or the class refuses a value.
    """
    cls = lookup(kind, component.type, where=where)
    parameters = options_of(cls)
    hints = typing.get_type_hints(type.__getattribute__(cls, "__init__"))
    arguments = {name: value for name, value in given.items() if name in parameters}
    for name, value in component.options.items():
        if name not in parameters:
            known = ", ".join(sorted(parameters))
            raise DescriptionError(
                f"{where}.{name}",
                f"the {kind} `{component.type}` has no such option",
                received=f"{name}: {value!r}",
                remedy=f"Its options: {known or 'none'}",
            )
        try:
            arguments[name] = TypeAdapter(hints.get(name, Any)).validate_python(value)
        except ValidationError as error:
            rule = error.errors()[0]["msg"]
            raise DescriptionError(
                f"{where}.{name}",
                rule[0].lower() + rule[1:],
                received=value,
                remedy=f"See the {kind} `{component.type}`",
            ) from error
    required = [
        name
        for name, parameter in parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in arguments
    ]
    if required:
        raise DescriptionError(
            where,
            f"the {kind} `{component.type}` needs the option `{required[0]}`",
            received="nothing",
            remedy="Add it",
        )
    try:
        return cls(**arguments)
    except ValueError as error:
        message = " ".join(str(error).split())
        raise DescriptionError(where, message.rstrip("."), remedy="Change the option") from error


def import_components(modules: Sequence[str] = ()) -> None:
    """Imports what registers components from outside: entry points, then the named modules.

    Args:
        modules: What `--import` was given, as dotted names.

    Raises:
        DescriptionError: A module can't be imported.
    """
    found: list[tuple[str, Callable[[], Any]]] = [
        (e.value, e.load) for e in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
    ]
    for module in modules:
        found.append((module, functools.partial(importlib.import_module, module)))
    for name, load in found:
        try:
            load()
        # A stranger's module may raise anything while it is imported; the line names it.
        except Exception as error:
            raise DescriptionError(
                f"--import {name}" if name in modules else f"entry point {name}",
                "the module must be importable",
                received=f"{type(error).__name__}: {error}",
                remedy="Check that it is installed or on PYTHONPATH",
            ) from error
