"""The spelling of a model call's id."""

import pytest

from taor_budget.reservations import Rid

BUILD = "01996f00-0000-7000-8000-000000000001"


def test_an_id_is_read_as_it_is_written() -> None:
    assert str(Rid.parse(f"{BUILD}/3/0")) == f"{BUILD}/3/0"


@pytest.mark.parametrize(
    "text", ["", BUILD, f"{BUILD}/1", f"{BUILD}/0/0", f"{BUILD}/1/-1", f"{BUILD}/01/1", f"{BUILD}/1/1/1"]
)
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Rid.parse(text)
