"""What is wrong with an input, field by field, in words for a person.

The values themselves are never repeated: they may be secret, or ten megabytes long.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from devteam.kit.errors import FieldError

MAX_ERRORS = 50
MAX_PATH = 200

_MESSAGES: Mapping[str, str] = {
    "missing": "This is needed.",
    "extra_forbidden": "There is no such field.",
    "json_invalid": "The body is not valid JSON.",
    "string_type": "This must be a text.",
    "string_unicode": "The text is not valid Unicode.",
    "string_too_short": "At least {min_length} characters are needed.",
    "string_too_long": "At most {max_length} characters are allowed.",
    "string_pattern_mismatch": "The text does not have the form that is needed.",
    "int_type": "This must be a whole number.",
    "int_parsing": "This must be a whole number.",
    "int_from_float": "This must be a whole number.",
    "int_parsing_size": "The number is too large.",
    "float_type": "This must be a number.",
    "float_parsing": "This must be a number.",
    "finite_number": "This must be a finite number.",
    "greater_than": "This must be greater than {gt}.",
    "greater_than_equal": "This must be at least {ge}.",
    "less_than": "This must be less than {lt}.",
    "less_than_equal": "This must be at most {le}.",
    "bool_type": "This must be true or false.",
    "bool_parsing": "This must be true or false.",
    "list_type": "This must be a list.",
    "too_short": "At least {min_length} entries are needed.",
    "too_long": "At most {max_length} entries are allowed.",
    "uuid_type": "This must be an identifier (a UUID).",
    "uuid_parsing": "This must be an identifier (a UUID).",
    "enum": "This must be one of: {expected}.",
    "literal_error": "This must be one of: {expected}.",
    "union_tag_not_found": "The field {discriminator} is needed.",
    "union_tag_invalid": "The field {discriminator} must be one of: {expected_tags}.",
    "model_attributes_type": "This must be a JSON object, sent as application/json.",
    "model_type": "This must be a JSON object.",
    "dict_type": "This must be a JSON object.",
}


def field_errors(errors: Sequence[Any], body: Any) -> list[FieldError]:
    """The validation errors of pydantic as field errors; at least one."""
    return [_field_error(error, body) for error in errors[:MAX_ERRORS]]


def _field_error(error: Mapping[str, Any], body: Any) -> FieldError:
    place, *path = error["loc"] or ("body",)
    if error["type"] == "json_invalid":
        path = []
    elif place == "body":
        path = _without_tags(path, body, keep_last=error["type"] == "missing")
    return FieldError(".".join(str(part) for part in path)[:MAX_PATH], _message(error))


def _without_tags(path: Sequence[int | str], body: Any, *, keep_last: bool) -> list[int | str]:
    """Pydantic puts the tag of a union's member into the path; it is no field, so it goes."""
    kept: list[int | str] = []
    value = body
    for index, part in enumerate(path):
        last = index == len(path) - 1
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
        elif isinstance(value, dict) and part not in value and not (last and keep_last):
            continue
        else:
            value = value.get(part) if isinstance(value, dict) else None
        kept.append(part)
    return kept


def _message(error: Mapping[str, Any]) -> str:
    context = error.get("ctx") or {}
    if error["type"] == "value_error":
        return _sentence(str(context.get("error", "This value is not valid")))
    template = _MESSAGES.get(error["type"], "This value is not valid.")
    return template.format_map({**context, "expected": str(context.get("expected", "")).replace("'", "")})


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
