"""The words of running calls beside the events of a build, which lose nothing by them."""

import asyncio

from taor_orchestrator.feed import EventHub, Feeds
from taor_orchestrator.livetext import CallName, LiveText, Piece
from taor_orchestrator.model.port import Delta, DeltaKind
from taor_orchestrator.store.events import EventStore
from taor_orchestrator.store.projection import BuildRow
from taor_orchestrator.watch import Watch
from tests.service.orchestrator.conftest import Orchestrator
from tests.service.orchestrator.test_projection import claimed, full_log


async def test_words_come_before_the_event_of_their_turn_and_every_event_comes_once(orchestrator: Orchestrator) -> None:
    claim = await claimed(orchestrator)
    hub, live, stopping = EventHub(), LiveText(), asyncio.Event()
    watch = Watch(Feeds(EventStore(orchestrator.pool), hub, stopping), live, stopping)
    following = aiter(watch.follow_with_text("local", claim.build_id, 0))
    page = await anext(following)
    assert not isinstance(page, Piece)
    assert [event.sequence for event in page] == [1]
    assert live.is_read(claim.build_id)
    call = CallName(claim.build_id, f"{claim.build_id}/1/0", 1)
    live.teller(call)(Delta(DeltaKind.TEXT, 0, "I begin. "))
    await BuildRow(orchestrator.pool, hub.tell).project(claim, full_log(claim), 5)
    assert await anext(following) == Piece(call, "I begin. ")
    page = await anext(following)
    assert not isinstance(page, Piece)
    assert [event.sequence for event in page] == list(range(2, 13))
    stopping.set()
    assert await anext(following, None) is None
    assert not live.is_read(claim.build_id)
