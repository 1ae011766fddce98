"""Not attacks: what the clean boot itself shows, asked before anything is attacked."""

import json
import os
import time

from execution import interpreters_in_usr
from system import *

CREDENTIALS = "/run/credentials/@system"
SMBIOS = "/sys/firmware/dmi/tables/DMI"


def imported():
    return sorted(os.listdir(CREDENTIALS)) if os.path.isdir(CREDENTIALS) else []


def time_of_boot():
    """PID 1 knows it only when its last job is done, which may be after this program was started."""
    for _ in range(60):
        said = capture("/usr/bin/systemd-analyze", ["systemd-analyze", "time", "--no-pager"])[2]
        if "not yet finished" not in said:
            break
        time.sleep(0.5)
    return said


def boot_state(_args):
    failed = capture("/usr/bin/systemctl", ["systemctl", "--no-pager", "--plain", "--no-legend", "--failed"])[2]
    startup = time_of_boot()
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
        "memoryTotal": memory["MemTotal"],
        "credentials": imported(),
        "interpreters": [path for path, _ in interpreters_in_usr()],
        "commandLine": read_file("/proc/cmdline").decode().strip(),
        "context": read_file("/proc/self/attr/current").decode().strip("\0\n"),
        "lockdown": read_file("/sys/kernel/security/lockdown").decode().strip(),
        "lsm": read_file("/sys/kernel/security/lsm").decode().strip(),
        "kernel": os.uname().release,
        "capBnd": next(l for l in read_file("/proc/self/status").decode().splitlines() if l.startswith("CapBnd")),
    }
    return [Attempt(False, json.dumps(facts))], None


def credential_smbios(args):
    """The hypervisor handed in a unit as a credential before the host started: it must have no effect."""
    unit, found = args["unit"], imported()
    status, _, _ = capture("/usr/bin/systemctl", ["systemctl", "cat", "--no-pager", unit])
    attempts = [
        Attempt(bool(found), f"credentials imported: {', '.join(found) or 'none'}"),
        Attempt(status == 0, f"PID 1 {'knows' if status == 0 else 'does not know'} the unit {unit}"),
    ]
    there = unit.encode() in read_file(SMBIOS)
    return attempts, Attempt(there, f"the credential {'lies' if there else 'is not'} in the SMBIOS tables of this host")


ATTACKS = {"boot-state": boot_state, "credential-smbios": credential_smbios}
