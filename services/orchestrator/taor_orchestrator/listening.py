"""A tenure listens to people: their texts go to the agent between two turns, and each of them once."""

from __future__ import annotations

from taor_orchestrator import context, inbox
from taor_orchestrator.history import EntryKind
from taor_orchestrator.inbox import InboxText
from taor_orchestrator.tenure import Tenure


async def unread(tenure: Tenure) -> tuple[InboxText, ...]:
    """What people have told the build and its log does not carry yet."""
    tenure.ports.lease.inbox_waiting.clear()  # before the look: what comes after it sets this again
    return inbox.unread(tenure.history, await tenure.ports.builds.unread(tenure.claim))


async def pass_on(tenure: Tenure, items: tuple[InboxText, ...]) -> None:
    """Put texts into the log with their ids, in one message; the fence of the log makes that happen once."""
    body = context.texts_body([inbox.as_read(item) for item in items])
    ids = tuple(item.inbox_id for item in items)
    await tenure.log.append(tenure.log.draft(EntryKind.USER, body, inbox_ids=ids))


async def hear(tenure: Tenure) -> bool:
    """Let the agent read what people have told it; whether there was anything."""
    items = await unread(tenure)
    if items:
        await pass_on(tenure, items)
    return bool(items)


async def look_up(tenure: Tenure) -> None:
    """The build's row has moved: learn what people want of its worker, without waiting for a hint."""
    tenure.ports.lease.hear(await tenure.ports.builds.signals(tenure.claim))
