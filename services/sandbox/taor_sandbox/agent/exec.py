"""From a request to a running program.

A program is spawned by the kernel's shortest way (no code of ours runs in the child), so bash itself does in its first
line what must happen before it: lower the limits for good, enter the folder.
"""

import os
import resource
import signal
from collections.abc import Mapping, Sequence

from taor_sandbox.agent.config import Config
from taor_sandbox.agent.journal import CANNOT_START
from taor_sandbox.agent.messages import Claim, Spawn
from taor_sandbox.agent.processes import OP_VARIABLE

OUTPUTS = ("stdout", "stderr")
_CWD = "cwd"
_BASH = "/bin/bash"
_OUTPUT = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_THREADS_PER_PROCESS = 4
"""RLIMIT_NPROC counts threads; the agent counts processes and kills, the kernel's limit only slows a bomb down."""
_PENDING_SIGNALS, _QUEUE_BYTES = 4096, 256 * 1024
"""The kernel counts signals (and timers) that wait, and message queues, per user: a build leaves some to the others."""
_FIRST_VICTIM = 500
"""If the machine runs out of memory, a command goes before any service."""
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


def start_command(claim: Claim, folder: str, config: Config) -> int:
    """Start the command of a claim whose folder was just made; returns the pid of its shell."""
    stdio = _open_stdio(folder)
    # On one line with the command, so that the shell's line numbers are the command's own.
    script = f"{_prologue(config, config.file_bytes)}; shift; trap 'pwd -P >|{folder}/{_CWD}' EXIT; {claim.command}"
    try:
        return _spawn((script, _BASH, claim.cwd), config.env | claim.env | {OP_VARIABLE: claim.op_id}, stdio)
    finally:
        for fd in stdio:
            os.close(fd)


def start_helper(spawn: Spawn, stdio: Sequence[int], config: Config) -> int:
    """Start a helper on three given descriptors; returns its pid."""
    script = f'{_prologue(config, spawn.file_bytes or config.file_bytes)}; shift; exec "$@"'
    env = config.env | spawn.env | {OP_VARIABLE: spawn.helper_id}
    return _spawn((script, "taor", spawn.cwd, *spawn.argv), env, stdio)


def _prologue(config: Config, file_bytes: int) -> str:
    """Limits, then the folder that is the script's first argument."""
    files = _at_most(resource.RLIMIT_NOFILE, config.open_files)
    threads = _at_most(resource.RLIMIT_NPROC, config.processes * _THREADS_PER_PROCESS)
    kibibytes = _at_most(resource.RLIMIT_FSIZE, file_bytes) // 1024
    signals = _at_most(resource.RLIMIT_SIGPENDING, _PENDING_SIGNALS)
    queues = _at_most(resource.RLIMIT_MSGQUEUE, _QUEUE_BYTES)
    victim = f"{{ echo {_FIRST_VICTIM} >|/proc/self/oom_score_adj; }} 2>/dev/null"
    limits = f"ulimit -c 0 -n {files} -u {threads} -f {kibibytes} -i {signals} -q {queues}"
    return f'{victim}; {limits}; cd -- "$1" || exit {CANNOT_START}'


def _at_most(limit: int, value: int) -> int:
    """A limit can only be lowered; where the machine's own is lower, that one holds."""
    _, hard = resource.getrlimit(limit)
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _open_stdio(folder: str) -> list[int]:
    """Everything that the shell writes to in the claim's folder is there before it starts, or it does not start."""
    stdio: list[int] = []
    try:
        stdio.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        for name in OUTPUTS:
            stdio.append(os.open(f"{folder}/{name}", _OUTPUT, 0o600))
        os.close(os.open(f"{folder}/{_CWD}", _OUTPUT, 0o600))
    except OSError:
        for fd in stdio:
            os.close(fd)
        raise
    return stdio


def _spawn(arguments: Sequence[str], env: Mapping[str, str], stdio: Sequence[int]) -> int:
    redirections = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in enumerate(stdio)]
    return os.posix_spawn(
        _BASH, [_BASH, "-c", *arguments], env, file_actions=redirections, setsid=True, setsigdef=_IGNORED_BY_PYTHON
    )
