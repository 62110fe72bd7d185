"""Protocol buffer messages from a few lines of text, for those that no package ships.

The `tensorflow-serving-api` package lacks the messages of the server's configuration files, and
those that it has load TensorFlow, which takes seconds and hundreds of megabytes that a client
doesn't need. A message that agrees in field numbers and types agrees on the wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

__all__ = ["message_classes"]

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "float": _Field.TYPE_FLOAT,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
}


def message_classes(package: str, messages: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    r"""Builds message classes.

    Args:
        package: A package name that nothing else uses.
        messages: Fields of each message, as `type name = number`, `repeated type name = number` or
            `map<string,type> name = number`. A type is a scalar, `Int64Value` and its like, or a
            message of this mapping.

    Returns:
        A class for each message.

    Example:
        >>> made = message_classes("doctest.descriptors", {"Point": ["int64 x = 1"]})
        >>> made["Point"](x=3).SerializeToString()
        b'\x08\x03'
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package.replace('.', '/')}.proto",
        package=package,
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    for name, lines in messages.items():
        message = file.message_type.add(name=name)
        for line in lines:
            _add_field(message, line, f".{package}", messages)
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in messages
    }


def _add_field(message: Any, line: str, scope: str, messages: Mapping[str, Any]) -> None:
    declaration, number = line.split("=")
    *label, kind, name = declaration.split()
    field = message.field.add(name=name, number=int(number), label=_Field.LABEL_OPTIONAL)
    if label == ["repeated"] or kind.startswith("map<"):
        field.label = _Field.LABEL_REPEATED
    if kind.startswith("map<"):
        key, value = kind[4:-1].split(",")
        entry = message.nested_type.add(
            name="".join(part.title() for part in name.split("_")) + "Entry"
        )
        entry.options.map_entry = True
        _add_field(entry, f"{key} key = 1", scope, messages)
        _add_field(entry, f"{value} value = 2", scope, messages)
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f"{scope}.{message.name}.{entry.name}"
    elif kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = f"{scope}.{kind}" if kind in messages else f".google.protobuf.{kind}"
