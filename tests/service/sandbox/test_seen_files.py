"""An edit of a file that has changed since the agent saw it is refused; a lost sandbox or service decides nothing."""

from functools import partial

from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_sandbox.records import BuildKey, Call, Position, nonce_text
from taor_sandbox.store.operations import Operations, Verdict
from taor_sandbox.store.seen import SeenFiles
from taor_sandbox.tools import effects
from taor_sandbox.tools.effects import Effect
from taor_sandbox.tools.inputs import EditFile, Replacement
from tests.service.sandbox.harness import Harness

CHANGED = pb.Failure.FILE_CHANGED
DONE = pb.Failure.CODE_UNSPECIFIED


async def test_a_file_that_a_command_has_changed_is_read_again_before_it_is_edited(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "echo a > f")
    assert await _edit(harness, 2, "a", "b") == DONE, "it was never seen"
    assert await _edit(harness, 3, "b", "c") == DONE, "an edit of its own is no surprise"
    await harness.bash(4, "echo more >> f")
    refused = await harness.run(_request(harness, 5, "c", "d"))
    assert refused.failure.code == CHANGED
    assert refused.failure.message.startswith("f has changed")
    assert await _read(harness, 6, "./f") == "     1\tc\n     2\tmore\n"
    assert await _edit(harness, 7, "c", "d") == DONE
    await harness.bash(8, "echo even more >> f")
    await harness.write(9, "f", "c\n")
    assert await _edit(harness, 10, "c", "d") == DONE, "a whole file may always be written, and is known then"


async def test_a_known_content_under_another_name_is_no_news(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "echo a > f; ln -s f link; echo old > moved")
    for path in ("f", "link", "moved"):
        await _read(harness, 2, path)
    assert await _edit(harness, 3, "a", "b", path="link") == DONE
    assert await _edit(harness, 4, "b", "c") == DONE
    await harness.bash(5, "mv f moved")
    assert await _edit(harness, 6, "c", "d", path="moved") == DONE


async def test_what_was_seen_outlives_the_service(harness: Harness) -> None:
    await harness.attach()
    await harness.bash(1, "echo a > f; echo a > g")
    for path in ("f", "g"):
        await _read(harness, 2, path)
    await harness.bash(3, "echo more >> f")
    await harness.restart()
    harness.take_over()
    await harness.attach()
    assert await _edit(harness, 4, "a", "b") == CHANGED
    assert await _edit(harness, 5, "a", "b", path="g") == DONE


async def test_what_was_seen_outlives_the_sandbox(harness: Harness) -> None:
    """The redo lets the file change again under the agent's eyes: the edit comes out as without the loss."""
    await harness.attach()
    await harness.write(1, "f", "a\n")
    await harness.bash(2, "echo more >> f")
    await _lose(harness)
    assert await _edit(harness, 3, "a", "b") == CHANGED
    assert await _read(harness, 4, "f") == "     1\ta\n     2\tmore\n"
    await _lose(harness)
    assert await _edit(harness, 5, "a", "b") == DONE


async def test_an_edit_that_was_lost_before_it_was_recorded_is_made_again(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "a\n")
    await _claim_edit(harness, 2)
    await _lose(harness)
    assert await _edit(harness, 2, "a", "b") == DONE
    assert (await harness.bash(3, "cat f")).text == "b\n"
    assert await _edit(harness, 4, "b", "c") == DONE


async def test_an_edit_whose_service_died_before_it_was_recorded_is_adopted(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "a\n")
    await _claim_edit(harness, 2)
    await harness.restart()
    harness.take_over()
    await harness.attach()
    assert await _edit(harness, 2, "a", "b") == DONE
    assert await _edit(harness, 3, "b", "c") == DONE, "what was adopted is known"


async def test_a_redo_makes_what_was_made_and_refuses_what_was_refused(harness: Harness) -> None:
    await harness.attach()
    await harness.write(1, "f", "a\n")
    await harness.snapshot()
    await harness.bash(2, "echo more >> f")
    assert await _edit(harness, 3, "a", "b") == CHANGED
    await _read(harness, 4, "f")
    assert await _edit(harness, 5, "more", "less") == DONE
    await harness.bash(6, "echo end >> f")
    await harness.lose_sandbox()
    attached = await harness.attach(tail_sequence=1)
    assert [each.state for each in attached.operations] == [pb.Operation.DONE] * 5
    assert (await harness.bash(7, "cat f")).text == "a\nless\nend\n"
    assert await _edit(harness, 8, "a", "b") == CHANGED


async def test_what_differs_after_a_redo_is_news_unless_the_agent_never_saw_more(harness: Harness) -> None:
    """The command writes something else each time, which nothing compares."""
    await harness.attach()
    await harness.bash(1, "for name in read edited; do echo $RANDOM$RANDOM > $name; echo a >> $name; done")
    await _read(harness, 2, "read")
    assert await _edit(harness, 3, "a", "b", path="edited") == DONE
    await _lose(harness)
    assert await _edit(harness, 4, "a", "b", path="read") == CHANGED
    assert await _edit(harness, 5, "b", "c", path="edited") == DONE


async def _lose(harness: Harness) -> None:
    await harness.lose_sandbox()
    await harness.attach()


async def _read(harness: Harness, sequence: int, path: str) -> str:
    return (await harness.run(harness.request(sequence, read_file=pb.ReadFile(path=path)))).text


async def _edit(harness: Harness, sequence: int, old: str, new: str, path: str = "f") -> pb.Failure.Code.ValueType:
    return (await harness.run(_request(harness, sequence, old, new, path))).failure.code


def _request(harness: Harness, sequence: int, old: str, new: str, path: str = "f") -> pb.DispatchRequest:
    replacement = pb.EditFile.Replacement(old_text=old, new_text=new)
    return harness.request(sequence, edit_file=pb.EditFile(path=path, edits=[replacement]))


async def _claim_edit(harness: Harness, sequence: int) -> None:
    """As the service does it, up to the moment before the result is recorded."""
    key = BuildKey("local", harness.build_id)
    wanted = EditFile("f", (Replacement("a", "b"),))
    call = Call(key, harness.epoch, harness.generation, harness.op_id(sequence), Position(sequence, 0), wanted)
    begun = await Operations(harness.pool).begin(call)
    assert begun.verdict is Verdict.RUN
    nonce = nonce_text(harness.generation, begun.nonce)
    async with harness.sandbox() as sandbox:
        is_news = partial(SeenFiles(harness.pool).is_news, key)
        assert await effects.start(sandbox, Effect(call.op_id, harness.epoch, nonce, None, wanted), is_news) == 1
        assert await sandbox.read("/workspace/f") == b"b\n"
