"""Structured outputs and strict tools: the part of JSON Schema that can be enforced, and how much of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from worksite.common.testing.messages_api.refusals import invalid
from worksite.common.testing.messages_api.requests import Countable

MAX_STRICT_TOOLS, MAX_OPTIONAL, MAX_UNIONS = 20, 24, 16
Schema = dict[str, Any]
_KNOWN = {
    "type", "properties", "required", "additionalProperties", "items", "minItems", "enum", "const", "anyOf", "allOf",
    "$ref", "$defs", "title", "description", "format",
}  # fmt: skip
_FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}


def check_schemas(request: Countable) -> None:
    """Raises Refusal."""
    strict = [tool.input_schema for tool in request.tools if tool.strict]
    if len(strict) > MAX_STRICT_TOOLS:
        raise invalid(f"tools: at most {MAX_STRICT_TOOLS} may be strict")
    for tool in request.tools:
        if tool.input_schema.get("type") != "object":
            raise invalid(f"tools.{tool.name}.input_schema.type: must be object")
    asked = request.output_config.format.schema_ if request.output_config and request.output_config.format else None
    schemas = strict + ([asked] if asked is not None else [])
    nodes = [node for schema in schemas for node in _nodes(schema)]
    for node in nodes:
        _check_node(node)
    for schema in schemas:
        _check_recursion(schema, schema, ())
    _check_complexity(nodes)


def _check_node(node: Schema) -> None:
    if unknown := set(node) - _KNOWN:
        raise invalid(f"output_config.format.schema: keyword {sorted(unknown)[0]!r} is not supported")
    if "$ref" in node and set(node) - {"$ref", "$defs"}:
        raise invalid("output_config.format.schema: nothing may stand beside $ref")
    if node.get("type") == "object" and node.get("additionalProperties") is not False:
        raise invalid("output_config.format.schema: 'additionalProperties' must be set to false for object types")
    if node.get("minItems", 0) not in (0, 1):
        raise invalid("output_config.format.schema: 'minItems' must be 0 or 1")
    if "format" in node and node["format"] not in _FORMATS:
        raise invalid(f"output_config.format.schema: format {node['format']!r} is not supported")
    if not set(node) & {"type", "enum", "const", "anyOf", "allOf", "$ref"}:
        raise invalid("output_config.format.schema: a schema must say what it takes")


def _check_recursion(root: Schema, node: Schema, above: tuple[str, ...]) -> None:
    if "$ref" in node:
        name = str(node["$ref"])
        if name in above:
            raise invalid(f"output_config.format.schema: recursive reference {name}")
        target: Any = root
        for key in name.removeprefix("#/").split("/"):
            if not isinstance(target, dict) or key not in target:
                raise invalid(f"output_config.format.schema: {name} leads nowhere")
            target = cast(Schema, target)[key]
        _check_recursion(root, target, (*above, name))
        return
    for child in _children(node):
        _check_recursion(root, child, above)


def _check_complexity(nodes: list[Schema]) -> None:
    optional = sum(len(set(node.get("properties", {})) - set(node.get("required", ()))) for node in nodes)
    unions = sum("anyOf" in node or isinstance(node.get("type"), list) for node in nodes)
    if optional > MAX_OPTIONAL or unions > MAX_UNIONS:
        raise invalid("Schema is too complex for compilation.")


def _nodes(schema: Schema) -> Iterator[Schema]:
    yield schema
    for child in [*_children(schema), *schema.get("$defs", {}).values()]:
        yield from _nodes(child)


def _children(schema: Schema) -> list[Schema]:
    items = [schema["items"]] if "items" in schema else []
    return [*schema.get("properties", {}).values(), *items, *schema.get("anyOf", ()), *schema.get("allOf", ())]
