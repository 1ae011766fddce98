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


def still_on(args):
    """What counts in the end. Left out where the protections are off from the start."""
    if not args.get("protected", True):
        return []
    on = enforcing() and bool(active())
    return [Attempt(not on, f"afterwards: enforce={int(enforcing())}, active policy {', '.join(active()) or 'none'}")]


def ipe_off(args):
    attempts = [attempt("echo 0 > ipe/enforce", lambda: write_control(f"{IPE}/enforce", b"0"))]
    attempts.append(attempt("securityfs mounted elsewhere", lambda: other_mount("securityfs", "ipe/enforce")))
    return attempts + still_on(args), None


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


def load(blob):
    return write_control(f"{IPE}/new_policy", base64.b64decode(blob))


def update(name, blob):
    return write_control(f"{IPE}/policies/{name}/update", base64.b64decode(blob))


def control_of_loading(args):
    """A policy of the right key is taken: only where root has the capability for it, else there is no control."""
    if args.get("protected", True):
        return None
    return attempt("a new policy, signed by the right key", lambda: load(args["spare"]))


def drop_spare():
    for name in policies():
        if name not in active():
            write_control(f"{IPE}/policies/{name}/delete", b"1")


def ipe_load(key, what):
    def attack(args):
        attempts = [attempt(f"{what}, as a new one", lambda: load(args[key]))]
        for name in policies():
            attempts.append(attempt(f"{what}, as update of {name}", lambda: update(name, args[key])))
        attempts += still_on(args)
        control = control_of_loading(args)
        if control is not None and control.succeeded:
            drop_spare()
        return attempts, control

    return attack


def ipe_delete(args):
    attempts = []
    for name in active():
        attempts.append(attempt(f"delete {name}", lambda: write_control(f"{IPE}/policies/{name}/delete", b"1")))
        attempts.append(attempt(f"deactivate {name}", lambda: write_control(f"{IPE}/policies/{name}/active", b"0")))
    attempts += still_on(args)
    control = control_of_loading(args)
    if control is not None and control.succeeded:
        control = attempt("deleting a policy that is not the active one", lambda: drop_spare() or "deleted")
    return attempts, control


def selinux_on():
    return read_file(f"{SELINUX}/enforce").strip() == b"1"


def selinux_still_on(args):
    if not args.get("protected", True):
        return []
    return [Attempt(not selinux_on(), f"afterwards: SELinux enforce={int(selinux_on())}")]


def selinux_off(args):
    attempts = [attempt("setenforce 0", lambda: write_control(f"{SELINUX}/enforce", b"0"))]
    attempts.append(attempt("selinuxfs mounted elsewhere", lambda: other_mount("selinuxfs", "enforce")))
    if os.path.exists(f"{SELINUX}/disable"):
        # The file is kept for old programs; a write is taken and does nothing. What counts is what is enforced.
        said = attempt("selinux/disable", lambda: write_control(f"{SELINUX}/disable", b"1"))
        attempts.append(Attempt(False, f"{said.detail}, which the kernel ignores"))
    return attempts + selinux_still_on(args), None


def selinux_load(args):
    policy = read_file(f"{SELINUX}/policy")
    attempts = [attempt("loading a policy", lambda: write_control(f"{SELINUX}/load", policy))]
    for name in ("allow_execmem", "allow_execmod", "selinuxuser_execmod"):
        path = f"{SELINUX}/booleans/{name}"
        if os.path.exists(path):
            attempts.append(attempt(f"boolean {name}", lambda: write_control(path, b"1")))
    return attempts + selinux_still_on(args), None


ATTACKS = {
    "ipe-off": ipe_off,
    "ipe-foreign": ipe_load("foreign", "policy signed by a foreign key"),
    "ipe-rollback": ipe_load("older", "an older policy, signed by the right key"),
    "ipe-delete": ipe_delete,
    "selinux-off": selinux_off,
    "selinux-load": selinux_load,
}
