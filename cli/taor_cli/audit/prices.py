"""What a call costs, computed anew: not with the budget service's code, so that a mistake there is seen."""

from datetime import datetime

from taor_cli.audit.evidence import Price, Usage

TOKENS_PER_MTOK = 1_000_000


def price_row(prices: tuple[Price, ...], model: str, start: datetime, usage: Usage) -> Price | None:
    """The row that prices a call: the newest of its model at its start, in the tier of its prompt."""
    dated = [row for row in prices if row.model == model and row.effective_time <= start]
    newest = max((row.effective_time for row in dated), default=None)
    fitting = [
        row
        for row in dated
        if row.effective_time == newest
        and (not row.above_prompt_tokens or usage.prompt_tokens > row.above_prompt_tokens)
    ]
    return max(fitting, key=lambda row: row.above_prompt_tokens, default=None)


def cost(usage: Usage, row: Price) -> int:
    """Microdollars, rounded up once."""
    sum_over_kinds = (
        usage.input_tokens * row.input_rate
        + usage.output_tokens * row.output_rate
        + usage.cache_read_tokens * row.cache_read_rate
        + usage.cache_write_5m_tokens * row.cache_write_5m_rate
        + usage.cache_write_1h_tokens * row.cache_write_1h_rate
    )
    return -(-sum_over_kinds // TOKENS_PER_MTOK)
