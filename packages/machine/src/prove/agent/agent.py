"""
The intruder: root on the host, with a Python of his own on a volume that the host accepted because it is signed.
He takes one JSON request a line from the second serial port, tries the attack, and answers with one JSON line.
"""

import json
import os
import sys
import termios
import time

import command
import execution
import kernel
import memory
import pods
import policy
import state
import storage

ATTACKS = {
    **execution.ATTACKS, **memory.ATTACKS, **kernel.ATTACKS, **policy.ATTACKS, **storage.ATTACKS, **state.ATTACKS,
    **command.ATTACKS, **pods.ATTACKS,
}
MARKS = (
    "ipe_op=", "avc:", "Lockdown:", "verity", "Loading of", "module verification", "IPE", "SELinux:", "osguard-layers",
)


class KernelLog:
    """Lines of /dev/kmsg that came after this object was made."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        found = []
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                break
            except OSError:
                continue  # EPIPE: records were overwritten before we read them
            text = record.split("\n", 1)[0].split(";", 1)[-1]
            if any(mark in text for mark in MARKS):
                found.append(text)
        os.close(self.fd)
        return found


def perform(request):
    name = request["attack"]
    log = KernelLog()
    started = time.monotonic()
    attempts, control = ATTACKS[name](request.get("args", {}))
    seconds = time.monotonic() - started
    time.sleep(0.05)  # audit records reach the kernel log from a kernel thread
    return {
        "attack": name,
        "attempts": [{"succeeded": a.succeeded, "detail": a.detail} for a in attempts],
        "control": None if control is None else {"succeeded": control.succeeded, "detail": control.detail},
        "kernel": list(dict.fromkeys(log.lines()))[:40],
        "seconds": round(seconds, 3),
    }


def answer(line):
    try:
        request = json.loads(line)
    except ValueError as error:
        return {"error": f"not JSON: {error}"}
    try:
        return {"id": request.get("id"), **perform(request)}
    except BaseException as error:
        return {"id": request.get("id"), "attack": request.get("attack"), "error": repr(error)}


def raw_terminal(fd):
    mode = termios.tcgetattr(fd)
    mode[0] = mode[1] = mode[3] = 0
    mode[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
    mode[4] = mode[5] = termios.B115200
    termios.tcsetattr(fd, termios.TCSANOW, mode)


def hear_everything():
    """Evidence is what the kernel says: it must not leave lines out because there are many."""
    try:
        with open("/proc/sys/kernel/printk_ratelimit", "w") as limit:
            limit.write("0")
    except OSError:
        pass


def main():
    hear_everything()
    path = sys.argv[1] if len(sys.argv) > 1 else "/dev/ttyS1"
    port = os.open(path, os.O_RDWR | os.O_NOCTTY)
    if os.isatty(port):
        raw_terminal(port)
    say = lambda value: os.write(port, json.dumps(value, separators=(",", ":")).encode() + b"\n")
    say({"ready": True, "attacks": sorted(ATTACKS)})
    pending = b""
    while True:
        piece = os.read(port, 65536)
        if not piece:
            return
        pending += piece
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            if line.strip():
                say(answer(line))


main()
