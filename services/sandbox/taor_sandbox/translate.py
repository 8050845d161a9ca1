"""Between the messages of the contract and the types of this service; refuses what cannot be meant."""

import re
import uuid
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from taor.sandbox.v1 import sandbox_pb2 as pb

from taor_chassis.validation import FieldInvalid, FieldMissing, require_between, require_text, within
from taor_sandbox.changes import shown
from taor_sandbox.comparison import Difference
from taor_sandbox.download import Form
from taor_sandbox.outcome import Failure, Outcome
from taor_sandbox.records import BuildKey, BuildState, Call, Moment, Operation, Position, Snapshot
from taor_sandbox.tools.bash import DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS
from taor_sandbox.tools.inputs import (
    Bash,
    EditFile,
    Glob,
    Grep,
    ReadFile,
    Replacement,
    TakeScreenshot,
    ToolInput,
    Viewport,
    WriteFile,
)
from taor_sandbox.tools.search import MAX_RESULTS

MAX_CONTENT_BYTES = 8 * 1024 * 1024
MAX_COMMAND_BYTES = 100_000
MAX_EDITS = 100
_MAX_ID_BYTES = 200
_MAX_PATH_BYTES = 4_096
_MAX_PATTERN_BYTES = 10_000
_DEFAULT_RESULTS = 100
_URL_PATH = re.compile(r"/[!-~]*")


def form(wanted: pb.DownloadFilesRequest.Format.ValueType) -> Form:
    """How files are to be packed."""
    match wanted:
        case pb.DownloadFilesRequest.FORMAT_UNSPECIFIED | pb.DownloadFilesRequest.TAR:
            return Form.TAR
        case pb.DownloadFilesRequest.ZIP:
            return Form.ZIP
        case pb.DownloadFilesRequest.GIT_BUNDLE:
            return Form.GIT_BUNDLE
        case _:
            raise FieldInvalid("format", "not a format that is known here")


def build_key(tenant_id: str, build_id: str) -> BuildKey:
    """The key of a build; build ids are UUIDs, because they name folders and stand in preview addresses."""
    require_text("build_id", build_id, max_bytes=_MAX_ID_BYTES)
    try:
        if str(uuid.UUID(build_id)) == build_id:
            return BuildKey(tenant_id, build_id)
    except ValueError:
        pass
    raise FieldInvalid("build_id", "not a UUID in lower case with hyphens")


def claim(epoch: int, generation: int) -> tuple[int, int]:
    """Epoch and generation, both from 1."""
    return require_between("epoch", epoch, 1, 2**53), require_between("generation", generation, 1, 2**53)


def call(tenant_id: str, request: pb.DispatchRequest) -> Call:
    """The call for one operation."""
    key = build_key(tenant_id, request.build_id)
    epoch, generation = claim(request.epoch, request.generation)
    log_sequence = require_between("log_sequence", request.log_sequence, 1, 2**53)
    op_id = require_text("op_id", request.op_id, max_bytes=_MAX_ID_BYTES)
    position = Position(log_sequence, _block(op_id))
    return Call(key, epoch, generation, op_id, position, tool_input(request))


def _block(op_id: str) -> int:
    """The block index at the end of `{rid}/{block index}`."""
    block = op_id.rpartition("/")[2]
    if not (block.isascii() and block.isdigit() and len(block) <= 6) or not op_id[: -len(block)].strip("./"):
        raise FieldInvalid("op_id", "not of the form {rid}/{block index}")
    return int(block)


def tool_input(request: pb.DispatchRequest) -> ToolInput:
    """The tool and its input, with defaults filled in."""
    match request.WhichOneof("tool"):
        case "read_file":
            return _read_file(request.read_file)
        case "write_file":
            content = within("write_file.content", request.write_file.content, max_bytes=MAX_CONTENT_BYTES)
            return WriteFile(_path("write_file.path", request.write_file.path), content)
        case "edit_file":
            return _edit_file(request.edit_file)
        case "bash":
            return _bash(request.bash)
        case "grep":
            return _grep(request.grep)
        case "glob":
            pattern = require_text("glob.pattern", request.glob.pattern, max_bytes=_MAX_PATTERN_BYTES)
            return Glob(pattern, within("glob.path", request.glob.path, max_bytes=_MAX_PATH_BYTES))
        case "take_screenshot":
            return _take_screenshot(request.take_screenshot)
        case None:
            raise FieldMissing("tool", "name one of the tools")


def _read_file(message: pb.ReadFile) -> ReadFile:
    start = require_between("read_file.start_line", message.start_line, 0, 2**31 - 1)
    end = require_between("read_file.end_line", message.end_line, 0, 2**31 - 1)
    if end and end < start:
        raise FieldInvalid("read_file.end_line", f"{end} is before start_line {start}")
    return ReadFile(_path("read_file.path", message.path), start, end)


def _edit_file(message: pb.EditFile) -> EditFile:
    require_between("edit_file.edits", len(message.edits), 1, MAX_EDITS)
    edits = tuple(Replacement(edit.old_text, edit.new_text) for edit in message.edits)
    size = sum(len(edit.old_text) + len(edit.new_text) for edit in edits)
    require_between("edit_file.edits", size, 0, MAX_CONTENT_BYTES)
    return EditFile(_path("edit_file.path", message.path), edits)


def _bash(message: pb.Bash) -> Bash:
    command = require_text("bash.command", message.command, max_bytes=MAX_COMMAND_BYTES)
    seconds = require_between("bash.timeout_seconds", message.timeout_seconds, 0, MAX_TIMEOUT_SECONDS)
    return Bash(command, seconds or DEFAULT_TIMEOUT_SECONDS, message.background)


def _grep(message: pb.Grep) -> Grep:
    return Grep(
        pattern=require_text("grep.pattern", message.pattern, max_bytes=_MAX_PATTERN_BYTES),
        path=within("grep.path", message.path, max_bytes=_MAX_PATH_BYTES),
        glob=within("grep.glob", message.glob, max_bytes=_MAX_PATTERN_BYTES),
        max_results=require_between("grep.max_results", message.max_results, 0, MAX_RESULTS) or _DEFAULT_RESULTS,
    )


def _take_screenshot(message: pb.TakeScreenshot) -> TakeScreenshot:
    path = within("take_screenshot.path", message.path, max_bytes=_MAX_PATH_BYTES) or "/"
    if not _URL_PATH.fullmatch(path):
        raise FieldInvalid("take_screenshot.path", "begins with / and has no spaces")
    port = require_between("take_screenshot.port", message.port, 1, 65535)
    mobile = message.viewport == pb.TakeScreenshot.MOBILE
    return TakeScreenshot(port, path, Viewport.MOBILE if mobile else Viewport.DESKTOP)


def _path(field: str, path: str) -> str:
    return require_text(field, path, max_bytes=_MAX_PATH_BYTES)


def result(outcome: Outcome, *, replayed: bool) -> pb.ToolResult:
    """The message of a result."""
    message = pb.ToolResult(
        text=outcome.text,
        text_sha256=outcome.text_sha256,
        replayed=replayed,
        elapsed_seconds=outcome.elapsed_seconds,
    )
    if outcome.failure is not None:
        message.failure.CopyFrom(_failure(outcome.failure))
    if outcome.image is not None:
        message.image.CopyFrom(pb.Image(media_type=outcome.image.media_type, content=outcome.image.content))
    if outcome.exit_status is not None:
        message.exit_status = outcome.exit_status
    return message


def _failure(failure: Failure) -> pb.Failure:
    return pb.Failure(code=pb.Failure.Code.Value(failure.code.value), message=failure.message)


def operation(row: Operation) -> pb.Operation:
    """The message of a journal row."""
    return pb.Operation(
        op_id=row.op_id,
        log_sequence=row.position.log_sequence,
        generation=row.generation,
        state=pb.Operation.State.Value(row.state.value),
        tool=row.tool,
        result_sha256=row.text_sha256,
        claims=row.claims,
        start_time=timestamp(row.started_at),
        close_time=timestamp(row.closed_at) if row.closed_at else None,
    )


def snapshot(row: Snapshot, next_log_sequence: int = 0) -> pb.Snapshot:
    """The message of a snapshot."""
    return pb.Snapshot(
        snapshot_id=row.snapshot_id,
        generation=row.generation,
        covers_op_id=row.covers_op_id,
        covers_log_sequence=row.covers.log_sequence,
        tree_sha256=row.tree_sha256,
        file_count=row.file_count,
        file_bytes=row.file_bytes,
        publish_time=timestamp(row.published_at),
        next_log_sequence=next_log_sequence,
    )


def moment(tenant_id: str, build_id: str, log_sequence: int) -> Moment:
    """A moment of a build; raises FieldInvalid."""
    return Moment(build_key(tenant_id, build_id), require_between("log_sequence", log_sequence, 1, 2**53))


def difference(found: Difference) -> pb.DiffSnapshotsResponse:
    """The message of a difference."""
    changes = [
        pb.FileChange(
            path=shown(change.path),
            kind=pb.FileChange.Kind.Value(change.kind.value),
            before_bytes=change.before.size_bytes if change.before else 0,
            after_bytes=change.after.size_bytes if change.after else 0,
            text_diff=diff.text,
            text_diff_cut=diff.is_cut,
        )
        for change, diff in found.files
    ]
    return pb.DiffSnapshotsResponse(changes=changes, left_out=found.left_out)


def state(value: BuildState) -> pb.GetSandboxResponse.State.ValueType:
    """The message value of a build's state."""
    return pb.GetSandboxResponse.State.Value(value.value)


def fate(value: pb.ReleaseSandboxRequest.Fate.ValueType) -> BuildState:
    """The state that a fate leads to."""
    match value:
        case pb.ReleaseSandboxRequest.PAUSE:
            return BuildState.PAUSED
        case pb.ReleaseSandboxRequest.KEEP_FOR_PREVIEW:
            return BuildState.KEPT
        case pb.ReleaseSandboxRequest.DESTROY:
            return BuildState.DESTROYED
        case _:
            raise FieldMissing("fate", "say what happens to the sandbox")


def timestamp(time: datetime) -> Timestamp:
    """A point in time as a message."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def page_position(token: str) -> Position:
    """Where a page starts; raises FieldInvalid for a token that we did not give out."""
    if not token:
        return Position(0, 0)
    sequence, _, block = token.partition(".")
    if not (sequence.isascii() and sequence.isdigit() and block.isascii() and block.isdigit() and len(token) < 30):
        raise FieldInvalid("page_token", "not a token of ours; start with an empty one")
    return Position(int(sequence), int(block))


def page_token(position: Position) -> str:
    """Names the position that a page ends with."""
    return f"{position.log_sequence}.{position.block}"
