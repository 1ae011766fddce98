"""What a test of pods needs from inside: a way to the CRI of the host, folders for volumes, logs."""

import os
import socket
import threading
import time

from system import attempt, mount, umount

NETWORK_PATIENCE = 60


def pump(source, target):
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def connect_outside(address):
    """The host's network may still be coming up."""
    latest = time.monotonic() + NETWORK_PATIENCE
    while True:
        try:
            return socket.create_connection(address, timeout=5)
        except OSError:
            if time.monotonic() > latest:
                raise
            time.sleep(0.5)


def join_socket(args):
    """Joins a unix socket of the host to a port outside until one of them ends."""

    def join():
        inside = socket.socket(socket.AF_UNIX)
        inside.connect(args["socket"])
        outside = connect_outside((args["host"], args["port"]))
        outside.settimeout(None)
        for pair in ((inside, outside), (outside, inside)):
            threading.Thread(target=pump, args=pair, daemon=True).start()
        return "joined"

    return [attempt(args["socket"], join)], None


def read_text(args):
    path = args["path"]

    def read():
        with open(path, errors="replace") as file:
            return "\n" + file.read(16000)

    return [attempt(path, read)], None


def mount_memory(args):
    """A RAM disk for an emptyDir in memory, with the label that kubelet asks for."""

    def place():
        os.makedirs(args["folder"], exist_ok=True)
        mount("tmpfs", args["folder"], "tmpfs", 0, b'rootcontext="system_u:object_r:container_file_t:s0"')
        return "mounted"

    return [attempt(args["folder"], place)], None


def unmount(args):
    def take():
        umount(args["folder"])
        return "unmounted"

    return [attempt(args["folder"], take)], None


ATTACKS = {
    "join-socket": join_socket,
    "read-text": read_text,
    "mount-memory": mount_memory,
    "unmount": unmount,
}
