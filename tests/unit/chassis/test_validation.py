"""Fields are there, make sense and fit, or the refusal names them."""

import pytest

from taor_chassis.validation import (
    FieldInvalid,
    FieldMissing,
    FieldTooLarge,
    require,
    require_between,
    require_bytes,
    require_text,
    within,
)


def test_what_fits_is_returned() -> None:
    assert require_text("brief", "é", max_bytes=2) == "é"
    assert require_bytes("body", b"ab", max_bytes=2) == b"ab"
    assert require_between("turns", 3, 1, 3) == 3
    assert within("title", "", max_bytes=0) == ""
    require(True, FieldInvalid("x", "never raised"))


def test_a_limit_counts_bytes_and_not_letters() -> None:
    with pytest.raises(FieldTooLarge) as caught:
        require_text("brief", "éé", max_bytes=3)
    assert caught.value.metadata == {"field": "brief", "size_bytes": "4", "max_bytes": "3"}
    with pytest.raises(FieldTooLarge):
        require_bytes("body", b"abc", max_bytes=2)


def test_an_empty_field_is_missing() -> None:
    with pytest.raises(FieldMissing, match=r"^brief: "):
        require_text("brief", "", max_bytes=1)
    with pytest.raises(FieldMissing):
        require_bytes("body", b"", max_bytes=1)


@pytest.mark.parametrize("value", [0, 4])
def test_a_number_out_of_range_names_the_range(value: int) -> None:
    with pytest.raises(FieldInvalid, match=r"turns: \d is not between 1 and 3"):
        require_between("turns", value, 1, 3)


def test_a_condition_that_fails_raises_the_given_error() -> None:
    with pytest.raises(FieldInvalid, match="tier: unknown"):
        require("", FieldInvalid("tier", "unknown"))
