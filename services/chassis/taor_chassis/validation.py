"""Small checks at the boundary: a field is there, makes sense, and fits."""

from typing import NoReturn

import grpc

from taor_chassis.errors import ServiceError


class InvalidField(ServiceError):
    """A request field that cannot be accepted; the metadata entry `field` names it."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "FIELD_INVALID"

    def __init__(self, field: str, message: str, **metadata: str) -> None:
        super().__init__(f"{field}: {message}", field=field, **metadata)


class FieldMissing(InvalidField):
    """A required field is empty."""

    reason = "FIELD_MISSING"


class FieldInvalid(InvalidField):
    """A field holds a value that cannot be meant."""

    reason = "FIELD_INVALID"


class FieldTooLarge(InvalidField):
    """A field is longer than the application accepts; the metadata names the limit and the size in bytes."""

    reason = "FIELD_TOO_LARGE"


def require(condition: object, error: ServiceError) -> None:
    """Raise `error` unless the condition holds."""
    if not condition:
        raise error


def require_text(field: str, value: str, *, max_bytes: int) -> str:
    """Return a text that is neither empty nor longer than `max_bytes` in UTF-8."""
    if not value:
        raise FieldMissing(field, "a value is required")
    return within(field, value, max_bytes=max_bytes)


def within(field: str, value: str, *, max_bytes: int) -> str:
    """Return a text, possibly empty, that PostgreSQL can store and that is not longer than `max_bytes` in UTF-8."""
    if "\0" in value:
        raise FieldInvalid(field, "a NUL character cannot be stored; leave it out")
    if len(value) * 4 > max_bytes and (size := len(value.encode())) > max_bytes:
        _refuse_size(field, size, max_bytes)
    return value


def require_bytes(field: str, value: bytes, *, max_bytes: int) -> bytes:
    """Return bytes that are neither empty nor longer than `max_bytes`."""
    if not value:
        raise FieldMissing(field, "a value is required")
    if len(value) > max_bytes:
        _refuse_size(field, len(value), max_bytes)
    return value


def require_between(field: str, value: int, least: int, most: int) -> int:
    """Return a number of the closed range from `least` to `most`."""
    if not least <= value <= most:
        raise FieldInvalid(field, f"{value} is not between {least} and {most}", least=str(least), most=str(most))
    return value


def _refuse_size(field: str, size: int, max_bytes: int) -> NoReturn:
    message = f"{size} bytes are more than the {max_bytes} accepted; send less"
    raise FieldTooLarge(field, message, size_bytes=str(size), max_bytes=str(max_bytes))
