"""Attacks on code that is already running: signed when it was loaded, changed afterwards."""

import os
import signal

from system import *

PTRACE_TRACEME, PTRACE_PEEKTEXT, PTRACE_POKETEXT, PTRACE_ATTACH = 0, 1, 4, 16

# A page of the signed volume whose first bytes are `mov eax, 7; ret`: the code to be patched.
TARGET = "/run/attack/bin/patch-me"


def signed_code():
    fd = os.open(TARGET, os.O_RDONLY)
    address = map_memory(PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd)
    os.close(fd)
    return address


def control_runs():
    return from_child("the unpatched function", in_child(lambda: call(signed_code())), 7)


def patch_proc_mem(_args):
    def action():
        address = signed_code()
        with open("/proc/self/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            memory.write(machine_code())
        return call(address)

    return [from_child("signed code overwritten through /proc/self/mem", in_child(action))], control_runs()


def patch_ptrace(_args):
    def traced():
        check(libc.ptrace(PTRACE_TRACEME, 0, None, None), "PTRACE_TRACEME")
        address = signed_code()
        os.kill(os.getpid(), signal.SIGSTOP)
        return call(address)

    def attach():
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            address = signed_code()
            os.write(writer, address.to_bytes(8, "little"))
            signal.pause()
            os._exit(call(address))
        address = int.from_bytes(os.read(reader, 8), "little")
        try:
            check(libc.ptrace(PTRACE_ATTACH, pid, None, None), "PTRACE_ATTACH")
            os.waitpid(pid, 0)
            word = int.from_bytes(machine_code().ljust(8, b"\x90"), "little")
            check(libc.ptrace(PTRACE_POKETEXT, pid, ctypes.c_void_p(address), ctypes.c_void_p(word)), "POKETEXT")
            return RAN
        finally:
            os.kill(pid, signal.SIGKILL)

    attempts = [from_child("signed code overwritten through PTRACE_ATTACH", in_child(attach))]

    def trace_child():
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                status = traced()
            finally:
                os._exit(status)
        _, raw = os.waitpid(pid, os.WUNTRACED)
        if not os.WIFSTOPPED(raw):
            raise OSError(1, "the child could not ask to be traced")
        os.kill(pid, signal.SIGKILL)
        return RAN

    attempts.append(from_child("PTRACE_TRACEME of an own child", in_child(trace_child)))
    return attempts, control_runs()


def patch_private_page(_args):
    def action():
        fd = os.open(TARGET, os.O_RDONLY)
        address = map_memory(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd)
        ctypes.memmove(address, machine_code(), len(machine_code()))
        check(libc.mprotect(address, PAGE, PROT_READ | PROT_EXEC), "mprotect")
        return call(address)

    return [from_child("private page of a signed file, written, then +x", in_child(action))], control_runs()


ATTACKS = {
    "patch-proc-mem": patch_proc_mem,
    "patch-ptrace": patch_ptrace,
    "patch-private-page": patch_private_page,
}
