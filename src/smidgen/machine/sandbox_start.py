"""The start of a sandboxed program: `python -I sandbox_start.py SPEC`. Started by `sandbox`; do not run it by hand.

It leaves the machine's network, processes and files behind (namespaces of Linux), copies the given files into a small disk in memory, gives
up every privilege, forbids system calls that no test needs (seccomp), sets the limits and runs the command. It says on the descriptor
`report` whether that worked; the command runs only if all of it did, or if the caller asked for less. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import platform
import shutil
import struct
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

WORK = "/tmp/smidgen-work"
"""The working folder of a confined program."""
REFUSED = 125
"""The exit code where the sandbox could not be made."""
_NS, _USER, _PID, _NET, _IPC, _UTS = 0x20000, 0x10000000, 0x20000000, 0x40000000, 0x8000000, 0x4000000
_RDONLY, _NOSUID, _NODEV, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_DETACH = 2
_NO_NEW_PRIVS, _DEATH_SIGNAL, _KILL = 38, 1, 9
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/etc/alternatives")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
_INNER = 1000
"""The number of the user in a user namespace."""
_FIRST, _COUNT = 200_000, 60_000
"""Numbers of users that nobody has: one of them runs the program where smidgen is run by root."""
_COUNTED_APART = (5, 14)
"""The Linux from which on a user's processes are counted for each namespace."""


_SECCOMP, _FILTER = 22, 2
_ALLOWED, _KILLED, _ANSWERED = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Places in what a filter of system calls reads, on a machine with the low byte first."""
_ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""What the kernel calls the architecture, and the column of its numbers below."""
_FORBIDDEN = {
    **{
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "kcmp": (312, 272),
        "pidfd_getfd": (438, 438),
    },
    **{"unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41), "mount": (165, 40), "umount2": (166, 39)},
    **{"open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432)},
    **{"fspick": (433, 433), "mount_setattr": (442, 442), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280), "perf_event_open": (298, 241)},
    **{"kcmp": (312, 272), "pidfd_getfd": (438, 438), "userfaultfd": (323, 282), "fanotify_init": (300, 262), "memfd_secret": (447, 447)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427)},
    **{"init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104)},
    **{"kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89)},
    **{"syslog": (103, 116), "quotactl": (179, 60), "quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112)},
}
"""System calls that no test needs, and through which kernels were broken."""
_CLONE, _CLONE3, _NEWEST = (56, 220), 435, 466
"""A process is made by these. Calls beyond the newest that this file knows are answered like those of an older kernel."""
_SOCKET, _SOCKETPAIR = (41, 198), (53, 199)
_FAMILIES = (1, 2, 10)
"""Families of sockets: of one machine, IPv4, IPv6."""
_NAMESPACES = 0x7E020000
"""Flags of a call that makes a process in a namespace of its own."""


class _FilterProgram(ctypes.Structure):
    _fields_ = (("count", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _forbidding(machine: str) -> bytes:
    """The filter of system calls, in the kernel's instructions. Raises OSError for an architecture whose numbers are not known."""
    if machine not in _ARCHITECTURES or sys.byteorder != "little":
        raise OSError(f"the numbers of system calls are not known on {machine}")
    kernel, column = _ARCHITECTURES[machine]
    refused, unknown = _ANSWERED | errno.EPERM, _ANSWERED | errno.ENOSYS
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, kernel), (_RETURN, 0, 0, _KILLED), (_LOAD, 0, 0, _NUMBER)]
    steps += [(_GREATER, 0, 1, _NEWEST), (_RETURN, 0, 0, unknown)]  # also the second numbers of x86-64, for pointers of 32 bits
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, unknown)]  # its flags cannot be read here; libraries then take clone
    for numbers in _FORBIDDEN.values():
        steps += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, refused)]
    steps += [(_EQUAL, 0, 4, _CLONE[column]), (_LOAD, 0, 0, _FIRST_ARGUMENT), (_ANY_BIT, 0, 1, _NAMESPACES)]
    steps += [(_RETURN, 0, 0, refused), (_RETURN, 0, 0, _ALLOWED)]
    sockets = [(_LOAD, 0, 0, _FIRST_ARGUMENT)]
    for family in _FAMILIES:
        sockets += [(_EQUAL, 0, 1, family), (_RETURN, 0, 0, _ALLOWED)]
    sockets += [(_RETURN, 0, 0, _ANSWERED | errno.EAFNOSUPPORT)]
    steps += [(_EQUAL, 1, 0, _SOCKET[column]), (_EQUAL, 0, len(sockets), _SOCKETPAIR[column]), *sockets, (_RETURN, 0, 0, _ALLOWED)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


class _Libc:
    """The system calls that Python lacks. Each raises OSError."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        self._checked(self._library.unshare(ctypes.c_int(flags)), "unshare")

    def mount(self, source: str, target: str, kind: str, flags: int, data: str = "") -> None:
        texts = [ctypes.c_char_p(text.encode()) for text in (source, target, kind, data)]
        self._checked(self._library.mount(*texts[:3], ctypes.c_ulong(flags), texts[3]), f"mount {target}")

    def enter(self, root: str) -> None:
        """Make `root` the root of all paths, and forget the old one."""
        os.chdir(root)
        number = _PIVOT_ROOT.get(platform.machine())
        if number is None:
            raise OSError(f"no known way to change the root on {platform.machine()}")
        here = ctypes.c_char_p(b".")
        self._checked(self._library.syscall(ctypes.c_long(number), here, here), "pivot_root")
        self._checked(self._library.umount2(here, ctypes.c_int(_DETACH)), "umount")
        os.chdir("/")

    def prctl(self, option: int, value: int) -> None:
        zeros = [ctypes.c_ulong(0)] * 3
        self._checked(self._library.prctl(ctypes.c_int(option), ctypes.c_ulong(value), *zeros), "prctl")

    def forbid(self, instructions: bytes) -> None:
        """Install a filter of system calls, which holds for this process and all that it starts."""
        held = ctypes.create_string_buffer(instructions, len(instructions))
        program = _FilterProgram(len(instructions) // 8, ctypes.addressof(held))
        place = ctypes.c_ulong(ctypes.addressof(program))
        self._checked(self._library.prctl(ctypes.c_int(_SECCOMP), ctypes.c_ulong(_FILTER), place, *[ctypes.c_ulong(0)] * 2), "seccomp")

    def _checked(self, result: int, what: str) -> None:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"{what}: {os.strerror(code)}")


def main() -> None:
    """Confine this process, and run the command."""
    import resource  # noqa: F401  # before the root changes, after which this Python's libraries may be out of sight

    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        if spec["confined"]:
            _confine(spec)
        else:
            os.chdir(spec["stage"])
            _fill(spec, Path(spec["stage"]))
    except (OSError, ValueError, AttributeError) as error:
        _say(spec, {"refused": str(error)})
        os._exit(REFUSED)
    _say(spec, {"ready": True})
    with contextlib.suppress(OSError):
        _limit(spec["limits"])
        os.execve(spec["command"][0], spec["command"], spec["env"])
    os._exit(REFUSED)


def _say(spec: Mapping[str, Any], message: Mapping[str, Any]) -> None:
    os.write(spec["report"], (json.dumps(message) + "\n").encode("ascii"))


def _confine(spec: Mapping[str, Any]) -> None:
    """Go on as an unprivileged process that sees nothing but its own files, processes and a network without any device."""
    libc, user, group = _Libc(), os.geteuid(), os.getegid()
    nobody = _FIRST + os.getpid() % _COUNT
    own = False
    if user == 0:
        try:
            libc.unshare(_NS | _PID | _NET | _IPC | _UTS)
        except PermissionError:  # root of a container
            own = True
    if user != 0 or own:
        own = True
        libc.unshare(_USER | _NS | _PID | _NET | _IPC | _UTS)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{_INNER} {user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{_INNER} {group} 1", encoding="ascii")
    first = os.fork()
    if first:
        _wait_for(first)
    libc.prctl(_DEATH_SIGNAL, _KILL)  # the first process of a namespace takes all others with it
    _make_root(libc, spec, None if own else nobody)
    if not own:
        os.setgroups([])
        os.setresgid(nobody, nobody, nobody)
        os.setresuid(nobody, nobody, nobody)
    libc.prctl(_NO_NEW_PRIVS, 1)
    second = os.fork()
    if second:
        _wait_for(second)
    if own and _release() < _COUNTED_APART:
        spec["limits"].pop("processes", None)
    libc.forbid(_forbidding(platform.machine()))


def _release() -> tuple[int, ...]:
    return tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdigit())


def _wait_for(child: int) -> None:
    """End as the child does. Orphans of the sandbox are waited for on the way."""
    for held in range(3):  # the readers of the outputs wait for the program alone
        with contextlib.suppress(OSError):
            os.close(held)
    while True:
        ended, status = os.wait()
        if ended == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _make_root(libc: _Libc, spec: Mapping[str, Any], owner: int | None) -> None:
    """Build a root of what the program may read, and its working folder, and enter it."""
    stage = Path(spec["stage"])
    libc.mount("", "/", "", _REC | _PRIVATE)
    libc.mount("tmpfs", str(stage), "tmpfs", _NOSUID | _NODEV, f"size={spec['limits']['disk']},mode=755")
    for path in (*_SYSTEM, *_DEVICES, *spec["readable"]):
        _show(libc, Path(path), stage)
    for folder, mode in (("tmp", 0o777), ("dev/shm", 0o777), (WORK.strip("/"), 0o755)):
        place = stage / folder
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(mode)
    _fill(spec, stage / WORK.strip("/"))
    if owner is not None:
        for folder, _, names in os.walk(stage / WORK.strip("/")):
            for path in (folder, *(f"{folder}/{name}" for name in names)):
                os.chown(path, owner, owner, follow_symlinks=False)
    libc.enter(str(stage))
    os.chdir(WORK)


def _show(libc: _Libc, path: Path, stage: Path) -> None:
    """Make a file or folder of the machine readable at the same path, if there is one; a link stays one."""
    place = stage / str(path).lstrip("/")
    if path.is_symlink() and path.parent == Path("/"):
        place.symlink_to(path.readlink())
        return
    if not path.exists() or place.is_mount():
        return
    if path.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    libc.mount(str(path), str(place), "", _BIND | _REC)
    if str(path) in _DEVICES:
        return
    libc.mount("", str(place), "", _BIND | _REMOUNT | _RDONLY | _kept(place))


def _kept(place: Path) -> int:
    """The flags of a mount that a user namespace may not take away: they have the same numbers in `statvfs`."""
    return os.statvfs(place).f_flag & (_NOSUID | _NODEV | 8 | 1024 | 2048 | 4096)


def _fill(spec: Mapping[str, Any], folder: Path) -> None:
    """Copy the program's files into its folder, then write those that are given as texts."""
    for name in spec["copied"]:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(spec["source"]) / name, place)
    for name, text in spec["written"].items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")


def _limit(limits: Mapping[str, int]) -> None:
    import resource  # loaded by `main`: here its file is out of sight

    asked = {
        resource.RLIMIT_AS: limits["memory"],
        resource.RLIMIT_CPU: limits["seconds"],
        resource.RLIMIT_FSIZE: limits["file"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
        **({resource.RLIMIT_NPROC: limits["processes"]} if "processes" in limits else {}),
    }
    for kind, most in asked.items():
        hard = resource.getrlimit(kind)[1]
        with contextlib.suppress(ValueError, OSError):  # macOS has no bound of memory
            resource.setrlimit(kind, (most, most) if hard == resource.RLIM_INFINITY else (min(most, hard), min(most, hard)))


if __name__ == "__main__":
    main()
