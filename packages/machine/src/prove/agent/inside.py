"""
The intruder inside a container: started from a signed layer, he tries what he tries on the host, and prints one line of
JSON, attack by attack. `inside.py ATTACK...`
"""

import json
import os
import sys

import escape
import execution
from system import Attempt

# Mounted read-write by whoever starts the container.
MOUNTS = ("/mnt/tmpfs", "/mnt/host", "/mnt/empty")

ATTACKS = {
    "container-drop-exec": execution.exec_from("/", "/tmp", "/var/tmp", "/dev/shm"),
    "container-memfd": execution.exec_memfd,
    "container-preload": execution.exec_preload,
    "container-mount-exec": execution.exec_from(*MOUNTS),
    "container-escape-write-usr": escape.write_usr,
}


def told(attempt):
    return None if attempt is None else {"succeeded": attempt.succeeded, "detail": attempt.detail}


def main(names):
    seen = {}
    for name in names:
        try:
            attempts, control = ATTACKS[name](None)
        except Exception as error:  # one attack that cannot be made must not hide the others
            attempts, control = [], Attempt(False, repr(error))
        seen[name] = {"attempts": [told(a) for a in attempts], "control": told(control)}
    print(f"INSIDE {json.dumps(seen, separators=(',', ':'))}", flush=True)
    os._exit(0)


main(sys.argv[1:])
