"""Whether the file system of a folder holds the locks by which no two workers train one stack.

Locks are those of POSIX (fcntl). They hold on ext4, XFS, Btrfs, ZFS and tmpfs within one machine, and between machines on NFS 4,
NFS 3 with lockd, Lustre mounted with `flock`, GPFS, CephFS, GlusterFS and BeeGFS with global locks. What does not hold them, or
only pretends to, is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from losslab.errors import BadRequest

_NOT_SHARED = {  # options with which locks are known to one machine alone
    "nfs": ("nolock", "local_lock=all", "local_lock=posix"),
    "nfs4": ("local_lock=all", "local_lock=posix"),
    "lustre": ("localflock", "noflock"),
    "cifs": ("nobrl",),
}
_WITHOUT = (
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
    "fuse.goofys",
    "fuse.rclone",
    "fuse.blobfuse",
    "fuse.blobfuse2",
    "vboxsf",
)


class Mount(NamedTuple):
    """Where a file system is, of which kind, with which options."""

    place: Path
    kind: str
    options: tuple[str, ...]


def check(folder: Path, mounts: Path = Path("/proc/self/mounts")) -> None:
    """Raises BadRequest where workers on several machines could train one stack at once."""
    mount = mounted(folder, mounts)
    if mount is None:
        return
    found = [option for option in _NOT_SHARED.get(mount.kind, ()) if option in mount.options]
    if mount.kind == "lustre" and not {"flock", *found} & set(mount.options):
        found = ["no flock"]
    if found or mount.kind in _WITHOUT:
        how = f"{mount.kind} mounted with {found[0]}" if found else mount.kind
        raise BadRequest(
            f"{folder} is on {mount.place} ({how}), which does not hold locks between machines, so two workers might train one "
            "stack; choose a folder on NFS 4, Lustre with flock, GPFS or CephFS with hydra.sweep.dir=DIR."
        )
    if not _locks(folder):
        raise BadRequest(
            f"{folder} is on {mount.place} ({mount.kind}), which has no locks, so two workers might train one stack; choose another "
            "folder with hydra.sweep.dir=DIR."
        )


def mounted(folder: Path, mounts: Path) -> Mount | None:
    """The file system on which a folder lies; None where the system does not tell, as elsewhere than on Linux."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    there = folder.absolute().resolve()
    best = None
    for line in lines:
        _, place, kind, options, *_ = line.split(" ")
        path = Path(place.replace("\\040", " "))
        if there.is_relative_to(path) and (best is None or len(path.parts) >= len(best.place.parts)):
            best = Mount(path, kind, tuple(options.split(",")))
    return best


def _locks(folder: Path) -> bool:
    """Whether a file in a folder can be locked at all."""
    import fcntl
    import tempfile

    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".losslab-") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
