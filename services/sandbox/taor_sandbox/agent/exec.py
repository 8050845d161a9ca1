"""From a fork of the agent to a running program: what happens in the child."""

import os
import resource
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

from taor_sandbox.agent.config import Config
from taor_sandbox.agent.journal import write_whole
from taor_sandbox.agent.messages import Claim, Spawn
from taor_sandbox.agent.processes import OP_VARIABLE, start_time

CANNOT_START = 126
_THREADS_PER_PROCESS = 4
"""RLIMIT_NPROC counts threads; the agent counts processes and kills, the kernel's limit only slows a bomb down."""
_OUTPUT = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_RESET = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT)


def start_claimed(claim: Claim, folder: str, config: Config) -> int:
    """Fork a child that makes the claim itself, then becomes the command; returns its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            _claim_and_exec(claim, folder, config)
        except BaseException as error:
            _fail(error)
    return pid


def start_helper(spawn: Spawn, fds: Sequence[int], config: Config) -> int:
    """Fork a child that becomes a helper on three given descriptors; returns its pid."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            _redirect(fds)
            env = config.env | spawn.env | {OP_VARIABLE: spawn.helper_id}
            _become(spawn.argv, spawn.cwd, env, config, spawn.file_bytes or config.file_bytes)
        except BaseException as error:
            _fail(error)
    return pid


def _claim_and_exec(claim: Claim, folder: str, config: Config) -> NoReturn:
    os.setsid()
    os.mkdir(folder, 0o700)  # the claim: of two children, or two sandboxes' worth of stale requests, one gets past here
    write_whole(f"{folder}/owner", f"{os.getpid()} {start_time(os.getpid())}")
    stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    outputs = [os.open(f"{folder}/{name}", _OUTPUT, 0o600) for name in ("stdout", "stderr")]
    _redirect((stdin, *outputs))
    env = config.env | claim.env | {OP_VARIABLE: claim.op_id}
    _become(["/bin/bash", "-c", _script(claim.command, folder)], claim.cwd, env, config, config.file_bytes)


def _script(command: str, folder: str) -> str:
    """The command, after a trap that leaves the shell's last folder behind; on one line, so that line numbers stay."""
    return f"trap 'pwd -P >|{folder}/cwd' EXIT; {command}"


def _become(argv: Sequence[str], cwd: str, env: Mapping[str, str], config: Config, file_bytes: int) -> NoReturn:
    os.chdir(cwd)
    for limit, value in (
        (resource.RLIMIT_NOFILE, config.open_files),
        (resource.RLIMIT_NPROC, config.processes * _THREADS_PER_PROCESS),
        (resource.RLIMIT_FSIZE, file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    for number in _RESET:
        signal.signal(number, signal.SIG_DFL)
    os.closerange(3, 1 << 16)
    os.execvpe(argv[0], list(argv), env)


def _redirect(fds: Sequence[int]) -> None:
    for target, fd in enumerate(fds):
        os.dup2(fd, target)


def _fail(error: BaseException) -> NoReturn:
    """End a child that could not become its program; it says why where the program's stderr would have gone."""
    os.write(2, f"taor: {error}\n".encode())
    os._exit(CANNOT_START)
