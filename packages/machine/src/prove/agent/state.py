"""Not attacks: what the clean boot itself shows, asked before anything is attacked."""

import json
import os

from system import *


def boot_state(_args):
    failed = capture("/usr/bin/systemctl", ["systemctl", "--no-pager", "--plain", "--no-legend", "--failed"])[2]
    startup = capture("/usr/bin/systemd-analyze", ["systemd-analyze", "time", "--no-pager"])[2]
    memory = {
        line.split(":")[0]: int(line.split()[1]) * 1024
        for line in read_file("/proc/meminfo").decode().splitlines()
        if line.startswith(("MemTotal", "MemAvailable"))
    }
    log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    denials = []
    while True:
        try:
            record = os.read(log, 8192).decode(errors="replace")
        except BlockingIOError:
            break
        except OSError:
            continue
        if "avc:  denied" in record or "ipe_op=" in record:
            denials.append(record.split("\n", 1)[0].split(";", 1)[-1])
    os.close(log)
    facts = {
        "failed": failed.split("\n") if failed.strip() else [],
        "denials": denials,
        "startup": startup.strip().splitlines(),
        "memoryUsed": memory["MemTotal"] - memory["MemAvailable"],
        "credentials": sorted(os.listdir("/run/credentials/@system")) if os.path.isdir("/run/credentials/@system") else [],
        "commandLine": read_file("/proc/cmdline").decode().strip(),
        "context": read_file("/proc/self/attr/current").decode().strip("\0\n"),
        "lockdown": read_file("/sys/kernel/security/lockdown").decode().strip(),
        "lsm": read_file("/sys/kernel/security/lsm").decode().strip(),
        "kernel": os.uname().release,
        "capBnd": next(l for l in read_file("/proc/self/status").decode().splitlines() if l.startswith("CapBnd")),
    }
    return [Attempt(False, json.dumps(facts))], None


ATTACKS = {"boot-state": boot_state}
