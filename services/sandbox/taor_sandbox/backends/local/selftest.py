"""A sandbox is started once, at the service's start: either it works, or the operator reads what to do."""

import shutil
import uuid
from pathlib import Path

from taor_sandbox.backends.errors import BackendUnavailable
from taor_sandbox.backends.local.bwrap import Launcher, Variant, inside_uid
from taor_sandbox.backends.local.folder import Shelf, State, boot_id
from taor_sandbox.backends.local.launch import connect, ended
from taor_sandbox.backends.port import Limits

_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
_USERNS_CLONE = Path("/proc/sys/kernel/unprivileged_userns_clone")
_USERNS_MAX = Path("/proc/sys/user/max_user_namespaces")


async def check(shelf: Shelf, launcher: Launcher, uid: int | None) -> None:
    """Start a sandbox and end it; raises BackendUnavailable with the remedy."""
    key = f"selftest-{uuid.uuid4().hex[:12]}/1"
    folder = shelf.folder(key)
    try:
        folder.lay(State(key, boot_id(), uid, Limits()), inside_uid(launcher.variant, uid))
        (await connect(launcher, folder)).close()
        async with ended(folder):
            launcher.reap()
    except BackendUnavailable as error:
        raise BackendUnavailable(f"{error}\n{remedy(launcher)}") from error
    finally:
        shutil.rmtree(folder.path.parent, ignore_errors=True)


def remedy(launcher: Launcher) -> str:
    """What most likely keeps this machine from making sandboxes, and the way out."""
    if launcher.variant is Variant.ROOT:
        return (
            "Running as root without the right to make namespaces: this looks like a container. Start it with "
            "CAP_SYS_ADMIN, or run the service as an ordinary user where user namespaces are allowed."
        )
    if _says(_APPARMOR, "1"):
        return (
            "AppArmor forbids user namespaces here (Ubuntu 23.10 and later). Install the system's bubblewrap and its "
            "profile, or allow them: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
        )
    if _says(_USERNS_CLONE, "0"):
        return "User namespaces are switched off: sudo sysctl kernel.unprivileged_userns_clone=1"
    if _says(_USERNS_MAX, "0"):
        return "User namespaces are switched off: sudo sysctl user.max_user_namespaces=15000"
    return (
        "No user namespace could be made. In a Kubernetes pod this needs hostUsers: false and procMount: Unmasked; "
        "in Docker it needs --security-opt seccomp=unconfined, or run the service on the host."
    )


def _says(path: Path, value: str) -> bool:
    return path.exists() and path.read_text().strip() == value
