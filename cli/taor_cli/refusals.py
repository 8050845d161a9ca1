"""A failed gRPC call as one line for a person: the service's own message, its reason, and what to do."""

import grpc

from taor_chassis.boundary import error_info
from taor_cli.exits import CommandError, RefusedError, UnreachableError

_ADVICE = {
    "TOKEN_MISSING": "give --token or --token-file; `taor token` prints the one of this machine",
    "TOKEN_INVALID": "`taor token` prints the token of this machine; a remote installation has its own",
    "BUILD_NOT_FOUND": "`taor list` shows the builds there are",
    "SANDBOX_NOT_FOUND": "the build has not started a sandbox yet; `taor show BUILD` tells where it stands",
    "NO_FILES": "the build has not written a file yet; `taor watch BUILD` follows it",
    "PREVIEW_UNAVAILABLE": "a sandbox is kept for 30 minutes after its build; `taor files BUILD` still has the files",
    "REQUEST_ID_CONFLICT": "use another --request-id, or send exactly the first request again",
    "BRIEF_TOO_LARGE": "shorten the brief, the answers or the plan; together they may have 1 MiB",
    "BUILD_ENDED": "`taor show BUILD` tells how it ended",
    "NO_OPEN_QUESTION": "`taor steer BUILD TEXT` tells the agent something all the same",
    "INBOX_FULL": "`taor watch BUILD` shows when the agent has read them",
    "TURN_NOT_KEPT": "`taor turns BUILD` shows the turns whose files are kept; `taor fork` takes others with --redo",
    "PROJECT_BUSY": "`taor cancel BUILD` ends a build; `taor watch BUILD` shows when it has ended",
    "PROJECT_DELETED": "give another --project",
    "LOG_EXPIRED": "this installation keeps logs for TAOR_CHECKPOINT_RETENTION_DAYS days after the end of a build",
    "PROJECT_NOT_FOUND": "`taor list` shows the builds there are, with their projects",
    "ID_CONFLICT": "use another --request-id, or send exactly the first request again",
    "ACCOUNT_NOT_FOUND": "the first build of a user opens an account where the installation allows it",
    "TIER_UNKNOWN": "the tiers are bootstrapper, partner, cto_scale and those that this installation has added",
    "PLAN_MISMATCH": "give the --tier that the user's account is on",
    "MODEL_UNKNOWN": "add a price for the model to the configuration, or leave --model out",
    "MODEL_NOT_ALLOWED": "leave --model out, or take one that the plan includes",
    "ISOLATION_UNAVAILABLE": "`taor status` and `taor logs sandbox` say what this machine lacks",
    "DEPENDENCY_UNAVAILABLE": "`taor status` shows which service is missing; try again in a moment",
    "INTERNAL": "`taor logs` has the details under the id in the message",
}


def explain(error: grpc.aio.AioRpcError, target: str = "") -> CommandError:
    """Turn a failed call into the error that ends the command."""
    info = error_info(error)
    if info is not None:
        return RefusedError(error.details() or info.reason, reason=info.reason, advice=_ADVICE.get(info.reason, ""))
    where = f" at {target}" if target else ""
    match error.code():
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:  # the latter from a server that stopped meanwhile
            message, advice = f"nothing answers{where}", "start it with `taor up`, or check --target"
            return UnreachableError(message, reason="UNAVAILABLE", advice=advice)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            message, advice = f"no answer in time{where}", "`taor status` shows whether the service is healthy"
            return UnreachableError(message, reason="DEADLINE_EXCEEDED", advice=advice)
        case code:
            return RefusedError(f"{code.name}: {error.details()}", reason=code.name)
