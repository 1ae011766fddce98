"""Attacks on the policies: IPE and SELinux switched off, replaced, rolled back, removed."""

import base64
import os

from system import *

IPE = "/sys/kernel/security/ipe"
SELINUX = "/sys/fs/selinux"


def write_control(path, content):
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, content)
        return "accepted"
    finally:
        os.close(fd)


def policies():
    return sorted(os.listdir(f"{IPE}/policies"))


def active():
    return [name for name in policies() if read_file(f"{IPE}/policies/{name}/active").strip() == b"1"]


def enforcing():
    return read_file(f"{IPE}/enforce").strip() == b"1"


def control_state():
    """Not a control of the attack: the state in which the attack was made, so that it means something."""
    return Attempt(enforcing() and bool(active()), f"enforce={int(enforcing())}, active policy {', '.join(active())}")


def ipe_off(_args):
    attempts = [attempt("echo 0 > ipe/enforce", lambda: write_control(f"{IPE}/enforce", b"0"))]
    attempts.append(attempt("umount securityfs and mount it elsewhere", lambda: other_mount("securityfs", "ipe/enforce")))
    return attempts, control_state()


def other_mount(kind, leaf):
    folder = f"/tmp/{kind}-{os.getpid()}"
    os.makedirs(folder)
    try:
        mount(kind, folder, kind, 0)
        try:
            return write_control(f"{folder}/{leaf}", b"0")
        finally:
            umount(folder)
    finally:
        os.rmdir(folder)


def ipe_load(key, what):
    def attack(args):
        blob = base64.b64decode(args[key])
        attempts = [attempt(what, lambda: write_control(f"{IPE}/new_policy", blob))]
        for name in policies():
            attempts.append(
                attempt(f"{what}, as update of {name}", lambda: write_control(f"{IPE}/policies/{name}/update", blob))
            )
        return attempts, control_state()

    return attack


def ipe_delete(_args):
    attempts = []
    for name in policies():
        attempts.append(attempt(f"delete {name}", lambda: write_control(f"{IPE}/policies/{name}/delete", b"1")))
        attempts.append(attempt(f"deactivate {name}", lambda: write_control(f"{IPE}/policies/{name}/active", b"0")))
    return attempts, control_state()


def selinux_state():
    on = read_file(f"{SELINUX}/enforce").strip() == b"1"
    return Attempt(on, f"SELinux enforce={int(on)}")


def selinux_off(_args):
    before = selinux_state()
    attempts = [attempt("setenforce 0", lambda: write_control(f"{SELINUX}/enforce", b"0"))]
    attempts.append(attempt("selinuxfs mounted elsewhere", lambda: other_mount("selinuxfs", "enforce")))
    if os.path.exists(f"{SELINUX}/disable"):
        said = attempt("selinux/disable", lambda: write_control(f"{SELINUX}/disable", b"1"))
        # The file is kept for old programs; a write is taken and does nothing. What counts is what is enforced.
        after = selinux_state()
        attempts.append(Attempt(not after.succeeded, f"{said.detail}; afterwards {after.detail}"))
    return attempts, before


def selinux_load(_args):
    policy = read_file(f"{SELINUX}/policy")
    attempts = [attempt("loading a policy", lambda: write_control(f"{SELINUX}/load", policy))]
    for name in ("allow_execmem", "allow_execmod", "selinuxuser_execmod"):
        path = f"{SELINUX}/booleans/{name}"
        if os.path.exists(path):
            attempts.append(attempt(f"boolean {name}", lambda: write_control(path, b"1")))
    return attempts, selinux_state()


ATTACKS = {
    "ipe-off": ipe_off,
    "ipe-foreign": ipe_load("foreign", "policy signed by a foreign key"),
    "ipe-rollback": ipe_load("older", "an older policy, signed by the right key"),
    "ipe-delete": ipe_delete,
    "selinux-off": selinux_off,
    "selinux-load": selinux_load,
}
