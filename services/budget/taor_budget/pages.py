"""Pages of a list: how long they are, and where the next one begins."""

from taor_chassis.validation import FieldInvalid, require_between


def size_of(wanted: int, *, usual: int, most: int) -> int:
    """The number of rows on a page; 0 asks for the usual one."""
    return require_between("page_size", wanted, 0, most) or usual


def place_of(token: str, parts: int) -> tuple[int, ...] | None:
    """The place after which a page begins; None for the first page."""
    if not token:
        return None
    numbers = token.split("-")
    if len(numbers) != parts or not all(number.isdecimal() and len(number) < 19 for number in numbers):
        raise FieldInvalid("page_token", "did not come from the page before")
    return tuple(map(int, numbers))


def token_of(*place: int) -> str:
    """Asks for the page after this place."""
    return "-".join(map(str, place))
