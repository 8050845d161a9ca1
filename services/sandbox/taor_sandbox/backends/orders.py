"""From the port's specifications to the agent's requests, for every backend that has an agent inside."""

import hashlib

from taor_sandbox.agent.messages import Claim, Write
from taor_sandbox.backends.errors import InvalidRequest
from taor_sandbox.backends.port import MAX_COMMAND_BYTES, MAX_WRITE_BYTES, ClaimSpec, WriteSpec


def claim_of(spec: ClaimSpec) -> Claim:
    """The request that claims a command; raises InvalidRequest."""
    if len(spec.command.encode(errors="surrogatepass")) > MAX_COMMAND_BYTES:
        raise InvalidRequest(f"a command has at most {MAX_COMMAND_BYTES} bytes")
    return Claim(
        spec.op_id,
        spec.epoch,
        spec.nonce,
        spec.command,
        spec.cwd,
        dict(spec.env),
        spec.timeout_seconds,
        spec.output_bytes,
        spec.background,
    )


def write_of(spec: WriteSpec) -> Write:
    """The request that claims a file write; the content travels beside it. Raises InvalidRequest."""
    if len(spec.content) > MAX_WRITE_BYTES:
        raise InvalidRequest(f"a file is written with at most {MAX_WRITE_BYTES} bytes")
    digest = hashlib.sha256(spec.content).hexdigest()
    return Write(spec.op_id, spec.epoch, spec.nonce, spec.path, spec.within, spec.mode, spec.expected_sha256, digest)
