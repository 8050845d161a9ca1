"""What leaves the sandbox: nothing that looks like a secret, nothing that a database would choke on, not too much."""

from typing import Any

from taor.sandbox.v1 import sandbox_pb2 as pb

from tests.service.sandbox.harness import Harness

# Put together inside only: what the agent itself writes into a call is its own.
SECRET = "sk-ant-api03-" + "x" * 20
MAKE = "SECRET=sk-ant-api03-$(printf 'x%.0s' $(seq 20))"
SHOWN = "[redacted anthropic-key]"
REDACTED_KEY = ["[redacted", "private-key]"]


async def files_with_a_secret(harness: Harness) -> None:
    """A file that holds one, and one that is named by one."""
    await harness.attach()
    await harness.bash(1, f'{MAKE}; mkdir names; printf "above\\nkey = $SECRET\\n" > config; touch "names/$SECRET"')


async def test_output_of_commands_is_redacted_on_both_streams(harness: Harness) -> None:
    await files_with_a_secret(harness)
    said = await harness.bash(2, f"{MAKE}; echo out $SECRET; echo err $SECRET >&2; exit 3")
    assert said.text.startswith(f"out {SHOWN}\n[stderr]\nerr {SHOWN}\n")
    failed = await harness.bash(3, f"{MAKE}; echo $SECRET; exit 3", background=True)
    assert SHOWN in failed.text
    await _nothing_leaks(harness, said, failed)


async def test_two_streams_do_not_break_a_secret_in_two(harness: Harness) -> None:
    await harness.attach()
    halves = "printf sk-ant-api03-; sleep 0.3; echo noise >&2; sleep 0.3; printf 'x%.0s' $(seq 20); echo"
    pieces = [piece async for piece in harness.stub.Dispatch(harness.request(1, bash=pb.Bash(command=halves)))]
    shown = b"".join(piece.output for piece in pieces).decode()
    assert "noise\n" in shown
    assert SHOWN in shown
    assert "x" * 20 not in shown


async def test_of_a_private_key_no_line_is_shown_for_itself(harness: Harness) -> None:
    await harness.attach()
    await harness.write(
        1, "key.pem", "-----BEGIN PRIVATE KEY-----\nMIIEabcd\nefgh==\n-----END PRIVATE KEY-----\nbelow\n"
    )
    some = await harness.run(harness.request(2, read_file=pb.ReadFile(path="key.pem", start_line=2, end_line=5)))
    assert some.text.split() == ["2", *REDACTED_KEY, "3", *REDACTED_KEY, "4", *REDACTED_KEY, "5", "below"]
    tail = await harness.bash(3, "tail -n 3 key.pem")
    assert tail.text == "[redacted private-key]\nbelow\n"


async def test_files_and_names_are_redacted_also_where_a_tool_fails(harness: Harness) -> None:
    await files_with_a_secret(harness)
    missed = pb.EditFile.Replacement(old_text="above\nno", new_text="x")
    tools: list[dict[str, Any]] = [
        {"read_file": pb.ReadFile(path="config")},
        {"grep": pb.Grep(pattern="key")},
        {"glob": pb.Glob(pattern="names/*")},
        {"edit_file": pb.EditFile(path="config", edits=[missed])},
    ]
    for sequence, tool in enumerate(tools, start=2):
        result = await harness.run(harness.request(sequence, **tool))
        assert SHOWN in result.text, tool
        await _nothing_leaks(harness, result)


async def test_what_was_redacted_is_the_same_when_it_is_done_again(harness: Harness) -> None:
    """The stored text is not what the tool says: a comparison of the two would give up all effects from here on."""
    await files_with_a_secret(harness)
    missed = pb.EditFile.Replacement(old_text="above\nno", new_text="x")
    await harness.run(harness.request(2, edit_file=pb.EditFile(path="config", edits=[missed])))
    await harness.write(3, "later", "kept\n")
    await harness.lose_sandbox()
    await harness.attach()
    assert (await harness.bash(4, "cat later")).text == "kept\n"


async def _nothing_leaks(harness: Harness, *results: pb.ToolResult) -> None:
    assert SECRET not in str(results)
    rows = await harness.pool.fetchval("SELECT string_agg(o::text, ' ') FROM operations o")
    assert rows
    assert SECRET not in rows
    assert SECRET.encode().hex() not in rows


async def test_what_is_no_text_is_shown_all_the_same(harness: Harness) -> None:
    """A database takes no zero character, and no bytes that are no UTF-8; neither may end a build."""
    await harness.attach()
    said = await harness.bash(1, r"printf 'a\0b\n\xff\n'; mkdir $'odd\xff'; cd $'odd\xff'; exit 3")
    assert said.text.startswith("a\N{REPLACEMENT CHARACTER}b\n\N{REPLACEMENT CHARACTER}\n[")
    assert (await harness.bash(2, r"ls -d $'/workspace/odd\xff'")).text == "/workspace/odd\N{REPLACEMENT CHARACTER}\n"


async def test_a_flood_of_output_leaves_little_in_the_database(harness: Harness) -> None:
    await harness.attach()
    flood = await harness.bash(1, "yes 'a line that goes on and on'")
    assert flood.failure.code == pb.Failure.LIMIT
    stored = await harness.pool.fetchval("SELECT sum(octet_length(o::text)) FROM operations o")
    assert 20_000 < stored < 70_000
