"""Protobuf messages as JSON, and the schemas of that JSON: both from the messages' descriptors.

Names are the protocol's. Numbers are JSON numbers, 64-bit ones too; a 32-bit float becomes the double of the same
value, so nothing is lost. An enum value whose name begins with the enum's name is written without it, in lower case,
such as "serving" for STATE_SERVING.
"""

import re
from typing import Any, TypeAlias

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

INTEGERS = (
    *(FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64),
    *(FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64),
)
FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)
Descriptor: TypeAlias = Any
Field: TypeAlias = Any
"""Descriptors of a message and of a field: protobuf has them in Python and in C, without a common type."""
SCHEMAS = "#/components/schemas/"


def as_json(message: Message) -> dict[str, Any]:
    """A message as JSON; an unset field has its default value, and an unset message is left out."""
    found: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = getattr(message, field.name)
        if _is_map(field):
            of = _values_of(field)
            found[field.name] = {str(key): _value(of, one) for key, one in value.items()}
        elif field.is_repeated:
            found[field.name] = [_value(field, one) for one in value]
        elif not field.has_presence or message.HasField(field.name):
            found[field.name] = _value(field, value)
    return found


def schemas(message: type[Message]) -> dict[str, Any]:
    """Name -> schema, for a message and all messages in it."""
    found: dict[str, Any] = {}
    _add(message.DESCRIPTOR, found)
    return found


def reference(message: type[Message]) -> dict[str, str]:
    """A reference to the schema of a message."""
    return _reference(message.DESCRIPTOR)


def _reference(descriptor: Descriptor) -> dict[str, str]:
    return {"$ref": SCHEMAS + descriptor.name}


def _value(field: Field, value: Any) -> Any:
    if field.message_type is not None:
        return as_json(value)
    if field.enum_type is not None:
        found = field.enum_type.values_by_number.get(value)
        return value if found is None else _word(field.enum_type, found.name)
    return value


def _word(enum: Any, name: str) -> str:
    own = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper() + "_"
    return name.removeprefix(own).lower() if name.startswith(own) else name


def _is_map(field: Field) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _values_of(map_field: Field) -> Field:
    return map_field.message_type.fields_by_name["value"]


def _add(descriptor: Descriptor, found: dict[str, Any]) -> None:
    if descriptor.name in found:
        return
    properties: dict[str, Any] = {}
    found[descriptor.name] = {"type": "object", "properties": properties, "additionalProperties": False}
    for field in descriptor.fields:
        if _is_map(field):
            properties[field.name] = {"type": "object", "additionalProperties": _schema(_values_of(field), found)}
        elif field.is_repeated:
            properties[field.name] = {"type": "array", "items": _schema(field, found)}
        else:
            properties[field.name] = _schema(field, found)
    required = [field.name for field in descriptor.fields if field.is_repeated or not field.has_presence]
    if required:
        found[descriptor.name]["required"] = required


def _schema(field: Field, found: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None:
        _add(field.message_type, found)
        return _reference(field.message_type)
    if field.enum_type is not None:
        return {"type": "string", "enum": [_word(field.enum_type, value.name) for value in field.enum_type.values]}
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"type": "boolean"}
    if field.cpp_type in INTEGERS:
        return {"type": "integer"}
    return {"type": "number"} if field.cpp_type in FLOATS else {"type": "string"}
