"""What the agent does for each request; the rules of claims stand here."""

import os
import socket

from taor_sandbox.agent import files, messages, processes
from taor_sandbox.agent.config import Config
from taor_sandbox.agent.connection import Connection
from taor_sandbox.agent.exec import OUTPUTS
from taor_sandbox.agent.journal import Journal, valid_op_id
from taor_sandbox.agent.messages import Claim, Done, Packet, Refused, Spawn, State, Write
from taor_sandbox.agent.operations import Operations
from taor_sandbox.agent.survey import Surveyor

_BACKLOG = 64


class Answers:
    """Answers requests, one at a time, so that a check and the start that follows it cannot be torn apart."""

    def __init__(self, config: Config, journal: Journal, operations: Operations) -> None:
        self._config = config
        self._journal = journal
        self._operations = operations
        self._surveyor = Surveyor(config.workspace)
        self._frozen_by: Connection | None = None
        self._stopped: list[int] = []
        self._listeners: dict[int, socket.socket] = {}
        self.shut_down = False

    def answer(self, connection: Connection, packet: Packet) -> None:
        """Do what a packet asks and send the reply, in a while for a helper."""
        files.open_to_owner(self._config.workspace)
        self._operations.unlock_journal()
        try:
            if isinstance(packet.message, Spawn):
                self._spawn(connection, packet.number, packet.message, packet.fds)
                return
            reply, fds = self._reply(connection, packet)
        except files.FileProblemError as error:
            reply, fds = Refused(error.problem, error.detail, 0), []
        except OSError as error:
            reply, fds = Refused(files.problem_of(error), str(error), 0), []
        except Exception as error:  # the agent's death is everybody's: no request may cause it (a NUL in a path, say)
            reply, fds = Refused("INVALID", f"{type(error).__name__}: {error}", 0), []
        connection.send(packet.number, reply, tuple(fds))
        for fd in fds:
            os.close(fd)

    def release(self, connection: Connection) -> None:
        """Undo what holds only as long as a connection: its freeze and its helpers."""
        if self._frozen_by is connection:
            self._thaw()
        for helper_id in list(connection.helpers):
            self._operations.kill(helper_id, "KILLED")

    def _reply(self, connection: Connection, packet: Packet) -> tuple[messages.Reply, list[int]]:
        match packet.message:
            case Claim() as request:
                return self._refusal(request) or messages.Claimed(self._operations.claim(request)), []
            case Write() as request:
                return self._refusal(request) or self._write(request, packet.fds[0]), []
            case messages.Look(op_id, outputs):
                return self._operations.look(op_id), self._outputs(op_id) if outputs else []
            case messages.Kill(op_id, ending):
                self._operations.kill(op_id, ending)
            case messages.RaiseEpoch(epoch):
                return self._raise_epoch(epoch), []
            case messages.WriteNonce(nonce):
                self._journal.lay(nonce)
            case messages.ReadNonce():
                return messages.Nonce(self._journal.nonce()), []
            case messages.Open(path):
                return Done(), [files.open_regular(path)]
            case messages.Stat(path):
                return files.stat_path(path), []
            case messages.Dial(port):
                return Done(), [_dial(port)]
            case messages.Listen(port):
                return Done(), [os.dup(self._listener(port).fileno())]
            case messages.Survey(since):
                return self._surveyor.survey(since), []
            case messages.Freeze():
                return self._freeze(connection), []
            case messages.Thaw():
                return self._end_freeze(connection), []
            case messages.ListLive():
                return messages.LiveOperations(self._operations.live()), []
            case messages.Shutdown(epoch, only_idle):
                return self._end(epoch, only_idle), []
            case _:
                return Refused("INVALID", "not a request", 0), []
        return Done(), []

    def _refusal(self, request: Claim | Write) -> Refused | None:
        """Why this claim may not be made now; the epoch comes first, for a stale owner's own claims too."""
        if not valid_op_id(request.op_id):
            return Refused("INVALID", "op_id cannot name a claim", 0)
        if request.epoch < self._journal.epoch:
            return Refused("STALE_EPOCH", "", self._journal.epoch)
        if request.nonce != self._journal.nonce():
            return Refused("WIPED", "the journal does not carry this nonce", 0)
        if self._frozen_by is not None and not self._operations.is_claimed(request.op_id):
            return Refused("FROZEN", "a snapshot is being taken", 0)
        return None

    def _write(self, request: Write, content: int) -> State:
        if not self._operations.is_claimed(request.op_id):
            self._operations.make_claim(request.op_id)
            self._journal.record(request.op_id, files.write_file(request, content, self._config.workspace))
        return self._operations.look(request.op_id)

    def _outputs(self, op_id: str) -> list[int]:
        """Both outputs of a command, opened; nothing while it has not made them, or when it is no command."""
        folder = self._journal.folder(op_id)
        fds: list[int] = []
        try:
            for name in OUTPUTS:
                fds.append(files.open_regular(f"{folder}/{name}"))
        except (OSError, files.FileProblemError):
            for fd in fds:
                os.close(fd)
            return []
        return fds

    def _raise_epoch(self, epoch: int) -> Done | Refused:
        if epoch < self._journal.epoch:
            return Refused("STALE_EPOCH", "", self._journal.epoch)
        if epoch > self._journal.epoch:
            self._thaw()  # whoever froze it may be stalled for long, and what he does under it is refused anyway
        self._journal.raise_epoch(epoch)
        return Done()

    def _end(self, epoch: int | None, only_idle: bool) -> Done | Refused:
        if epoch is not None and epoch < self._journal.epoch:
            return Refused("STALE_EPOCH", "", self._journal.epoch)
        if only_idle and (live := self._operations.live()):
            return Refused("BUSY", f"{live[0]} runs", 0)
        self.shut_down = True
        return Done()

    def _spawn(self, connection: Connection, number: int, request: Spawn, fds: list[int]) -> None:
        def ended(status: int) -> None:
            connection.helpers.discard(request.helper_id)
            connection.send(number, messages.Status(status))

        self._operations.spawn(request, fds, ended)
        connection.helpers.add(request.helper_id)

    def _listener(self, port: int) -> socket.socket:
        """Kept here: whoever connects while no service is there to accept waits for the next one."""
        if port not in self._listeners:
            self._listeners[port] = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        return self._listeners[port]

    def _freeze(self, connection: Connection) -> Done | Refused:
        if self._frozen_by is not None:
            return Refused("FROZEN", "a snapshot is being taken", 0)
        self._frozen_by = connection
        self._stopped = processes.stop_all()
        return Done()

    def _end_freeze(self, connection: Connection) -> Done | Refused:
        if self._frozen_by is not connection:
            return Refused("FROZEN", "the freeze has not held until now", 0)
        self._thaw()
        return Done()

    def _thaw(self) -> None:
        self._frozen_by = None
        processes.resume(self._stopped)
        self._stopped = []


def _dial(port: int) -> int:
    """A socket on its way to a port; whoever gets it waits for it, the agent does not."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", port))
    return sock.detach()
