"""What an administrator of the host does: runs one of its own programs, writes or changes a file of /var."""

import fcntl
import os
import struct
import threading
import time

from system import MS_RDONLY, attempt, capture, mount, write_file


def run_program(args):
    """One program of the host; it succeeded when it ended with status 0."""
    argv = args["argv"]

    def start():
        status, signal, output = capture(argv[0], argv, {"PATH": "/usr/bin:/usr/sbin", **args.get("env", {})})
        if status != 0:
            raise OSError(1, output[-4000:] + (f" (signal {signal})" if signal else f" (status {status})"))
        return output[-16000:]

    return [attempt(os.path.basename(argv[0]), start)], None


def put_file(args):
    path = args["path"]

    def put():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_file(path, bytes.fromhex(args["content"]), int(args.get("mode", "644"), 8))
        return "written"

    return [attempt(path, put)], None


def show_file(args):
    """Text of a file, at most 16,000 bytes of it."""
    path = args["path"]

    def show():
        with open(path, "rb") as file:
            return file.read(16000).decode(errors="replace")

    return [attempt(path, show)], None


def remove_file(args):
    path = args["path"]

    def remove():
        os.unlink(path)
        return "removed"

    return [attempt(path, remove)], None


def list_folder(args):
    """Names in a folder, one a line; none when it is not there."""
    path = args["path"]
    return [attempt(path, lambda: "\n" + "\n".join(sorted(os.listdir(path)) if os.path.isdir(path) else []))], None


def run_together(args):
    """Several programs at the same time, each after so many seconds; one attempt for each."""
    results = [None] * len(args["programs"])

    def start(index, program):
        time.sleep(program.get("after", 0))
        results[index] = run_program(program)[0][0]

    threads = [threading.Thread(target=start, args=each) for each in enumerate(args["programs"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results, None


def change_byte(args):
    """Flips one bit of a file at an offset, counted from the end when it is negative."""
    path = args["path"]

    def change():
        with open(path, "r+b") as file:
            file.seek(args["offset"], os.SEEK_SET if args["offset"] >= 0 else os.SEEK_END)
            at = file.tell()
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))
            file.flush()
            os.fsync(file.fileno())
        return f"byte {at} is {byte ^ 1:#x} instead of {byte:#x}"

    return [attempt(path, change)], None


def mount_volume(args):
    """Mounts an EROFS volume that nobody signed: its files are data."""

    def place():
        os.makedirs(args["folder"], exist_ok=True)
        mount(args["device"], args["folder"], "erofs", MS_RDONLY)
        return "mounted"

    return [attempt(args["folder"], place)], None


def drop_caches(_args):
    """What is read next comes from the disk and not from memory."""

    def drop():
        os.sync()
        with open("/proc/sys/vm/drop_caches", "w") as file:
            file.write("3")
        return "dropped"

    return [attempt("caches", drop)], None


def file_place(args):
    """Where a byte of a file lies on its disk, for whoever changes it while the host is off (ioctl_fiemap, filesystems/fiemap)."""
    path, offset = args["path"], args["offset"]

    def find():
        sync, extents, header = 1, 1, struct.Struct("=QQLLLL")
        with open(path, "rb") as file:
            device = os.fstat(file.fileno()).st_dev
            request = bytearray(header.pack(offset, 1, sync, 0, extents, 0) + bytes(56))
            fcntl.ioctl(file.fileno(), 0xC020660B, request)
        if header.unpack_from(request)[3] != 1:
            raise OSError(2, "it lies nowhere")
        logical, physical, _ = struct.unpack_from("=QQQ", request, header.size)
        partition = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/start"
        with open(partition) as start:
            return int(start.read()) * 512 + physical + offset - logical

    return [attempt(path, find)], None


def fill_disk(args):
    """A file that takes all of its disk but so many bytes."""
    path, leave = args["path"], args["leave"]

    def fill():
        taken, step = 0, 64 << 20
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            # Not all that is said to be free can be had: the file's own extents take some of it.
            while step >= 4096:
                free = os.fstatvfs(fd)
                step = min(step, (free.f_bfree * free.f_frsize - leave) & ~4095)
                if step <= 0:
                    break
                try:
                    os.posix_fallocate(fd, taken, step)
                    taken += step
                except OSError:
                    step //= 2
            os.fsync(fd)
        finally:
            os.close(fd)
        return f"{taken} bytes taken"

    return [attempt(path, fill)], None


def set_clock(args):
    """Moves the wall clock by so many seconds."""

    def move():
        time.clock_settime(time.CLOCK_REALTIME, time.time() + args["seconds"])
        return time.strftime("%Y-%m-%d", time.gmtime())

    return [attempt("the clock", move)], None


ATTACKS = {
    "run-program": run_program,
    "put-file": put_file,
    "remove-file": remove_file,
    "list-folder": list_folder,
    "run-together": run_together,
    "change-byte": change_byte,
    "mount-volume": mount_volume,
    "drop-caches": drop_caches,
    "file-place": file_place,
    "fill-disk": fill_disk,
    "set-clock": set_clock,
    "show-file": show_file,
}
