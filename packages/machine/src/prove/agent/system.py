"""System calls and small helpers the attacks share. Everything here is what a root intruder could do himself."""

import ctypes
import errno
import os
import struct

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long
libc.syscall.restype = ctypes.c_long

PAGE = 4096
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MAP_PRIVATE, MAP_ANONYMOUS = 2, 0x20
MS_REMOUNT, MS_BIND, MS_RDONLY, MS_REC, MS_PRIVATE = 32, 4096, 1, 16384, 1 << 18
CLONE_NEWNS = 0x20000
AT_EMPTY_PATH = 0x1000

# x86-64 system call numbers (arch/x86/entry/syscalls/syscall_64.tbl).
SYS_INIT_MODULE, SYS_KEXEC_LOAD, SYS_FINIT_MODULE = 175, 246, 313
SYS_KEXEC_FILE_LOAD, SYS_BPF, SYS_EXECVEAT = 320, 321, 322

# Exit status of the unsigned program: what the attacks look for.
RAN = 42
# Exit status of a child that was refused something, and of one that failed in a way no attack is meant to fail.
REFUSED, BROKEN = 125, 126


def fail(what):
    code = ctypes.get_errno()
    raise OSError(code, f"{what}: {os.strerror(code)}")


def check(result, what):
    if result in (-1, ctypes.c_void_p(-1).value):
        fail(what)
    return result


def syscall(number, what, *args):
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return check(libc.syscall(ctypes.c_long(number), *wide), what)


def mount(source, target, kind, flags, data=None):
    check(
        libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), data),
        f"mount {kind or ''} on {target}",
    )


def umount(target):
    libc.umount2(target.encode(), 2)


def map_memory(length, protection, flags, fd=-1, offset=0):
    return check(libc.mmap(None, length, protection, flags, fd, offset), "mmap")


def machine_code():
    """mov eax, 42; ret: a function that only runs when its page is executable."""
    return b"\xb8\x2a\x00\x00\x00\xc3"


def call(address):
    return ctypes.CFUNCTYPE(ctypes.c_int)(address)()


def tiny_elf():
    """A static x86-64 ELF of 132 bytes that exits with status 42: unsigned code no one has ever seen."""
    code = b"\xbf\x2a\x00\x00\x00\xb8\x3c\x00\x00\x00\x0f\x05"  # exit(42)
    base = 0x400000
    header = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\x02\x01\x01", 2, 62, 1, base + 120, 64, 0, 0, 64, 56, 1, 0, 0, 0,
    )
    size = 120 + len(code)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return header + program + code


def write_file(path, content, mode=0o755):
    with open(path, "wb") as out:
        out.write(content)
    os.chmod(path, mode)


def read_file(path):
    with open(path, "rb") as source:
        return source.read()


def in_child(action):
    """Runs `action` in a forked child and returns (exit status or None, signal or None, error text or '')."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = BROKEN
        try:
            os.close(reader)
            result = action()
            status = result if isinstance(result, int) else 0
        except OSError as error:
            os.write(writer, describe(error).encode()[:2000])
            status = REFUSED
        except BaseException as error:  # the child must never return into the agent's loop
            os.write(writer, repr(error).encode()[:2000])
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        text = said.read().decode(errors="replace")
    _, raw = os.waitpid(pid, 0)
    if os.WIFSIGNALED(raw):
        return None, os.WTERMSIG(raw), text
    return os.WEXITSTATUS(raw), None, text


def execute(path, argv=None, env=None, stdout=None):
    """Executes a program in a child; returns what in_child returns."""

    def start():
        if stdout is not None:
            os.dup2(stdout, 1)
            os.dup2(stdout, 2)
        os.execve(path, argv or [path], env if env is not None else {})

    return in_child(start)


def capture(path, argv, env=None):
    """Executes a program and returns (status, signal, error, output)."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            os.execve(path, argv, env if env is not None else dict(os.environ))
        except OSError as error:
            os.write(writer, describe(error).encode())
        finally:
            os._exit(125)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        output = said.read().decode(errors="replace")
    _, raw = os.waitpid(pid, 0)
    status = os.WEXITSTATUS(raw) if os.WIFEXITED(raw) else None
    signal = os.WTERMSIG(raw) if os.WIFSIGNALED(raw) else None
    return status, signal, output


def describe(error):
    name = errno.errorcode.get(error.errno or 0, "?")
    return f"{name}: {f'{error.filename}: ' if error.filename is not None else ''}{error.strerror}"


class Attempt:
    """One attempt: whether the attack got what it wanted, and what was seen."""

    def __init__(self, succeeded, detail):
        self.succeeded = succeeded
        self.detail = detail


def attempt(what, action):
    """Runs `action`, which returns a detail when the attack worked and raises OSError when it was refused."""
    try:
        return Attempt(True, f"{what}: {action()}")
    except OSError as error:
        return Attempt(False, f"{what}: {describe(error)}")


def from_child(what, outcome, expected=RAN):
    status, signal, text = outcome
    if status == expected:
        return Attempt(True, f"{what}: ran")
    if status == BROKEN:
        raise RuntimeError(f"{what}: {text or 'the child failed'}")
    if signal is not None:
        return Attempt(False, f"{what}: killed by signal {signal} {text}".rstrip())
    return Attempt(False, f"{what}: {text or f'exit status {status}'}")
