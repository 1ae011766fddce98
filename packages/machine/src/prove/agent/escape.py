"""A privileged container that has the host's root folder mounted: it must not get further than root on the host does."""

import os

from system import *

HOST = "/host"


def write_usr(_args):
    def create():
        write_file(f"{HOST}/usr/from-container", b"here")
        return "written"

    def remount():
        mount("", f"{HOST}/usr", None, MS_REMOUNT)
        write_file(f"{HOST}/usr/from-container", b"here")
        return "remounted and written"

    def remount_bind():
        mount("", f"{HOST}/usr", None, MS_REMOUNT | MS_BIND)
        write_file(f"{HOST}/usr/from-container", b"here")
        return "remounted and written"

    def in_namespace_of_host(action):
        """In the mount namespace of PID 1, as nsenter does."""

        def enter():
            fd = os.open(f"{HOST}/proc/1/ns/mnt", os.O_RDONLY)
            os.setns(fd, CLONE_NEWNS)
            action()
            return RAN

        return in_child(enter)

    def device():
        fd = os.open(f"{HOST}/dev/mapper/usr", os.O_RDWR)
        os.pwrite(fd, os.pread(fd, 4096, 0), 0)
        os.close(fd)
        return "written"

    def run_from_var():
        path = f"{HOST}/var/tmp/from-container.elf"
        write_file(path, tiny_elf())

        def start():
            os.chroot(HOST)
            os.chdir("/")
            os.execve("/var/tmp/from-container.elf", ["from-container"], {})

        try:
            return in_child(start)
        finally:
            os.unlink(path)

    def switch_off():
        with open(f"{HOST}/sys/kernel/security/ipe/enforce", "w") as file:
            file.write("0")
        return "switched off"

    def kept():
        path = f"{HOST}/var/tmp/from-container"
        write_file(path, b"here", 0o644)
        found = read_file(path)
        os.unlink(path)
        return f"written and read: {found.decode()}"

    attempts = [
        attempt("create a file in the host's /usr", create),
        attempt("remount the host's /usr read-write", remount),
        attempt("the same for this mount of it alone", remount_bind),
        from_child(
            "tmpfs over /usr in the host's mount namespace",
            in_namespace_of_host(lambda: mount("tmpfs", "/usr", "tmpfs", 0)),
        ),
        from_child(
            "create a file in /usr in the host's mount namespace",
            in_namespace_of_host(lambda: write_file("/usr/from-container", b"here")),
        ),
        attempt("write to the device of /usr", device),
        from_child("a program left on the host's /var, run with the host's root", run_from_var()),
        attempt("switch IPE off", switch_off),
    ]
    return attempts, attempt("write to the host's /var", kept)
