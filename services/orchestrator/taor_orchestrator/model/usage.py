"""What a stream says about its cost: where it is vague, the dearer reading is taken; where silent, none."""

from __future__ import annotations

from taor_orchestrator.model.port import Usage


class Tally:
    """Collects the two reports of a stream: only `message_start` splits the cache writes, `message_delta` is final."""

    def __init__(self) -> None:
        self._start: dict[str, object] = {}
        self._end: dict[str, object] = {}

    def start(self, usage: object) -> None:
        """Take the report at the beginning of the answer."""
        self._start = usage if isinstance(usage, dict) else {}

    def end(self, usage: object) -> None:
        """Take the report at its end; several add up to the last, for they count from the beginning."""
        self._end = {**self._end, **(usage if isinstance(usage, dict) else {})}

    def usage(self) -> Usage | None:
        """The usage of a complete answer; None if what the model read or wrote was not told."""
        output = _count(self._end, "output_tokens")
        return None if output is None else self._usage(output)

    def so_far(self) -> Usage | None:
        """The least that an answer has cost which broke off."""
        output = _count(self._end, "output_tokens")
        return self._usage(output if output is not None else _count(self._start, "output_tokens") or 0)

    def _usage(self, output_tokens: int) -> Usage | None:
        told = {**self._start, **{key: value for key, value in self._end.items() if value is not None}}
        read = _count(told, "input_tokens")
        if read is None:
            return None
        split = told.get("cache_creation")
        split = split if isinstance(split, dict) else {}
        five_minutes = _count(split, "ephemeral_5m_input_tokens") or 0
        one_hour = _count(split, "ephemeral_1h_input_tokens") or 0
        written = _count(told, "cache_creation_input_tokens") or 0
        return Usage(
            input_tokens=read,
            output_tokens=output_tokens,
            cache_read_tokens=_count(told, "cache_read_input_tokens") or 0,
            cache_write_5m_tokens=five_minutes,
            # Writes without a split are taken as the dearer kind.
            cache_write_1h_tokens=one_hour + max(0, written - five_minutes - one_hour),
            service_tier=str(told.get("service_tier") or ""),
        )


def _count(table: dict[str, object], key: str) -> int | None:
    value = table.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
