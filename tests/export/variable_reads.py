"""Which variables of an export are gathered from and read too: each read then copies them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import saved_model_pb2

_GATHER = {"ResourceGather", "ResourceGatherNd"}
_READ = {"ReadVariableOp"}

Names = Mapping[str, str]


def copied_variables(version: Path) -> set[str]:
    """Names of variables that some signature gathers from and some signature reads.

    After the first ResourceGather a variable is in TensorFlow's copy-on-read mode for good.
    """
    data = (version / "saved_model.pb").read_bytes()
    graph = saved_model_pb2.SavedModel.FromString(data).meta_graphs[0]
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    answers = {
        output.name.partition(":")[0]
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
        for output in signature.outputs.values()
    }
    found: dict[str, set[str]] = defaultdict(set)
    seen: set[tuple[str, tuple[tuple[str, str], ...]]] = set()

    def walk(nodes: Iterable[node_def_pb2.NodeDef], handles: Names) -> None:
        for node in nodes:
            inputs = [name.partition(":")[0] for name in node.input if name[0] != "^"]
            if node.op in _GATHER | _READ and inputs[0] in handles:
                found[handles[inputs[0]]].add(node.op)
            # The first input of a condition is no argument of its branches.
            given = inputs[1:] if node.op in {"If", "StatelessIf", "Case"} else inputs
            for value in node.attr.values():
                for called in [value.func.name, *(each.name for each in value.list.func)]:
                    if called not in functions:
                        continue
                    function = functions[called]
                    arguments = [argument.name for argument in function.signature.input_arg]
                    known = {
                        argument: handles[name]
                        for argument, name in zip(arguments, given, strict=False)
                        if name in handles
                    }
                    key = called, tuple(sorted(known.items()))
                    if known and key not in seen:
                        seen.add(key)
                        walk(function.node_def, known)

    nodes = graph.graph_def.node
    handles = {node.name: node.name for node in nodes if node.op == "VarHandleOp"}
    assert handles and answers
    walk([node for node in nodes if node.name in answers], handles)
    assert found
    return {name for name, ops in found.items() if ops & _GATHER and ops & _READ}
