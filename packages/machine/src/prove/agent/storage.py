"""Attacks on what is stored: /usr, other volumes, and what should not survive a reboot."""

import os

from system import *
from execution import SIGNED_PROGRAM, drop_and_run

VERITYSETUP = "/usr/lib/systemd/systemd-veritysetup"


def usr_write(_args):
    def create():
        write_file("/usr/intruder", b"here")
        return "written"

    def remount():
        mount("", "/usr", None, MS_REMOUNT)
        write_file("/usr/intruder", b"here")
        return "remounted and written"

    def overmount(target):
        def action():
            mount("tmpfs", target, "tmpfs", 0)
            umount(target)
            return "mounted over"

        return action

    def bind(source, target):
        def action():
            mount(source, target, None, MS_BIND)
            umount(target)
            return "bound over"

        return action

    def overlay():
        mount("overlay", "/usr", "overlay", 0, f"lowerdir=/usr,upperdir={upper},workdir={work}".encode())
        umount("/usr")
        return "overlaid"

    def elsewhere():
        """In a mount namespace of its own, where nobody else would notice."""
        check(libc.unshare(CLONE_NEWNS), "unshare")
        check(libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None), "mount --make-rprivate /")
        mount("tmpfs", "/usr", "tmpfs", 0)
        return RAN

    scratch = f"/run/usr-write-{os.getpid()}"
    upper, work, unit, folder = f"{scratch}/upper", f"{scratch}/work", f"{scratch}/unit", f"{scratch}/folder"
    for path in (upper, work, folder):
        os.makedirs(path)
    write_file(unit, b"[Service]\nExecStart=/usr/bin/true\n", 0o644)
    attempts = [
        attempt("create a file in /usr", create),
        attempt("remount /usr read-write", remount),
        attempt("tmpfs over /usr", overmount("/usr")),
        attempt("tmpfs over /usr/bin", overmount("/usr/bin")),
        attempt("tmpfs over /etc", overmount("/etc")),
        attempt("bind mount over /usr/lib", bind(folder, "/usr/lib")),
        attempt("bind mount over one unit of /usr", bind(unit, "/usr/lib/systemd/system/multi-user.target")),
        attempt("overlayfs over /usr", overlay),
        from_child("tmpfs over /usr in a mount namespace of its own", in_child(elsewhere)),
    ]
    control = attempt("tmpfs over a folder of /run", overmount(folder))
    return attempts, control


def open_volume(name, device, args):
    options = [f"hash-offset={args['hashOffset']}"]
    signature = args.get("signature")
    if signature is not None:
        path = f"/run/{name}.p7s"
        write_file(path, bytes.fromhex(signature), 0o600)
        options.append(f"root-hash-signature={path}")
    command = [VERITYSETUP, "attach", name, device, device, args["rootHash"], ",".join(options)]
    status, _, said = capture(VERITYSETUP, command)
    if status != 0:
        raise OSError(1, said.strip().splitlines()[-1] if said.strip() else f"exit status {status}")


def run_from_volume(what, args):
    """Opens a volume with dm-verity, mounts it and runs its program."""
    name = f"volume-{os.getpid()}-{args['rootHash'][:8]}"
    folder = f"/run/{name}"
    try:
        open_volume(name, args["device"], args)
    except OSError as error:
        return Attempt(False, f"{what}: not opened: {error.strerror}")
    os.makedirs(folder, exist_ok=True)
    try:
        mount(f"/dev/mapper/{name}", folder, "erofs", MS_RDONLY)
    except OSError as error:
        capture(VERITYSETUP, [VERITYSETUP, "detach", name])
        return Attempt(False, f"{what}: not mounted: {describe(error)}")
    try:
        return from_child(f"{what}: opened; its program", execute(f"{folder}/answer"))
    finally:
        umount(folder)
        os.rmdir(folder)
        capture(VERITYSETUP, [VERITYSETUP, "detach", name])


def verity_attack(what):
    def attack(args):
        return [run_from_volume(what, args["volume"])], run_from_volume("signed volume", args["control"])

    return attack


PLANTED = ("/etc/intruder", "/etc/ld.so.preload", "/etc/motd", "/intruder", "/root/intruder", "/opt/intruder")
# Where PID 1 looks for units (systemd.unit(5)), as far as it is not /usr.
UNIT_FOLDERS = (
    "/etc/systemd/system", "/etc/systemd/system.control", "/etc/systemd/system/multi-user.target.wants",
    "/run/systemd/system", "/run/systemd/system.control", "/run/systemd/transient", "/run/systemd/generator.early",
)


def persist_plant(args):
    """First half: leave things everywhere one can write. The prover then reboots."""
    attempts = []

    def plant(path, content):
        def action():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            write_file(path, content, 0o644)
            return "written"

        attempts.append(attempt(path, action))

    mark = args["mark"].encode()
    for path in PLANTED:
        plant(path, mark)
    for folder in UNIT_FOLDERS:
        plant(f"{folder}/{args['unit']}", b"[Service]\nExecStart=/usr/bin/true\n")
    write_file("/var/intruder", mark)
    write_file("/var/intruder.elf", read_file(SIGNED_PROGRAM))
    os.sync()
    return attempts, None


def kept_on_var(args):
    """The control of what is gone: /var is the same, so it was the same disk that was booted again."""
    kept = os.path.exists("/var/intruder") and read_file("/var/intruder").decode() == args["mark"]
    return Attempt(kept, f"/var/intruder: {'kept' if kept else 'gone'}")


def left(path, there):
    return Attempt(there, f"{path}: {'still there' if there else 'gone'}")


def persist_etc(args):
    mark = args["mark"].encode()
    return [left(p, os.path.exists(p) and mark in read_file(p)) for p in PLANTED], kept_on_var(args)


def persist_unit(args):
    unit = args["unit"]
    attempts = [left(f"{f}/{unit}", os.path.lexists(f"{f}/{unit}")) for f in UNIT_FOLDERS]
    status, _, _ = capture("/usr/bin/systemctl", ["systemctl", "cat", "--no-pager", unit])
    attempts.append(Attempt(status == 0, f"PID 1 {'knows' if status == 0 else 'does not know'} {unit}"))
    return attempts, kept_on_var(args)


def persist_var_exec(_args):
    path = "/var/intruder.elf"
    result = from_child(f"{path}, left before the reboot", execute(path))
    os.unlink(path)
    return [result], from_child("the same program from the signed volume", execute(SIGNED_PROGRAM))


def read_from_disk(device, offset, victim, mask):
    """Writes one byte of /usr's partition below dm-verity, then reads a file from the disk and not from memory."""
    fd = os.open(device, os.O_RDWR | os.O_SYNC)
    os.lseek(fd, offset, 0)
    before = os.read(fd, 1)
    os.lseek(fd, offset, 0)
    os.write(fd, bytes([before[0] ^ mask]))
    os.fsync(fd)
    os.close(fd)
    file = os.open(victim, os.O_RDONLY)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    with open("/proc/sys/vm/drop_caches", "w") as drop:
        drop.write("3")
    total = 0
    while piece := os.read(file, 1 << 20):
        total += len(piece)
    os.close(file)
    return total


def usr_same(args):
    """The control: everything as in the attack, but the byte that is written is the one that was there."""

    def read_all():
        total = read_from_disk(args["device"], args["offset"], args["file"], 0)
        return f"read {total} bytes from the disk after the same byte was written as it was"

    return [], attempt(args["file"], read_all)


def usr_flip(args):
    """Root changes one bit of /usr's partition below dm-verity and reads the file: the machine must stop."""

    def read_all():
        total = read_from_disk(args["device"], args["offset"], args["file"], 1)
        return f"read {total} bytes of the changed file"

    return [attempt(args["file"], read_all)], None


ATTACKS = {
    "usr-write": usr_write,
    "usr-data-control": usr_same,
    "usr-data": usr_flip,
    "verity-unsigned": verity_attack("volume without a signature"),
    "verity-foreign": verity_attack("volume signed by a foreign key"),
    "verity-swapped": verity_attack("volume with the signature of another one"),
    "persist-plant": persist_plant,
    "persist-etc": persist_etc,
    "persist-unit": persist_unit,
    "persist-var-exec": persist_var_exec,
}
