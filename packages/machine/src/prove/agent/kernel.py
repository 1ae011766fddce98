"""Attacks on the kernel itself: foreign modules, another kernel, physical memory, model specific registers, bpf."""

import lzma
import os
import struct

from system import *

MODULE_MAGIC = b"~Module signature appended~\n"
MODPROBE = "/usr/sbin/modprobe"
KEXEC_FILE_UNLOAD, KEXEC_FILE_NO_INITRAMFS = 1, 4


def module_bytes(path):
    content = read_file(path)
    return lzma.decompress(content) if path.endswith(".xz") else content


def load_module(image):
    buffer = ctypes.create_string_buffer(image, len(image))
    syscall(SYS_INIT_MODULE, "init_module", buffer, len(image), ctypes.create_string_buffer(b""))
    return "loaded"


def load_module_file(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        syscall(SYS_FINIT_MODULE, "finit_module", fd, ctypes.create_string_buffer(b""), 0)
        return "loaded"
    finally:
        os.close(fd)


# Small modules without dependencies and without hardware, one of which every kernel package has.
HARMLESS = ("dummy", "nlmon", "ifb", "ts_fsm", "crc8", "crc7", "lru_cache", "veth", "tls")


def find_module():
    loaded = {line.split()[0] for line in read_file("/proc/modules").decode().splitlines()}
    for folder, _, names in os.walk(f"/usr/lib/modules/{os.uname().release}/kernel"):
        for name in names:
            base = name.split(".")[0]
            if base in HARMLESS and base not in loaded:
                return base, os.path.join(folder, name)
    raise OSError(2, "no module to play with below /usr/lib/modules")


def module(_args):
    name, source = find_module()
    image = module_bytes(source)
    if not image.endswith(MODULE_MAGIC):
        return [Attempt(True, f"{source} carries no signature at all")], None
    # struct module_signature: 12 bytes, the last four the length of the PKCS#7 before it, big-endian.
    trailer = len(image) - len(MODULE_MAGIC)
    unsigned = image[: trailer - 12 - int.from_bytes(image[trailer - 4 : trailer], "big")]
    at = len(unsigned) // 2
    changed = image[:at] + bytes([image[at] ^ 1]) + image[at + 1 :]
    path = f"/tmp/module-{os.getpid()}.ko"
    attempts = [attempt("module without its signature, from memory", lambda: load_module(unsigned))]
    write_file(path, unsigned)
    attempts.append(attempt("module without its signature, from /tmp", lambda: load_module_file(path)))
    write_file(path, changed)
    attempts.append(attempt("module with one bit changed, from /tmp", lambda: load_module_file(path)))
    os.unlink(path)
    status, _, said = capture(MODPROBE, [MODPROBE, name])
    control = Attempt(status == 0, f"modprobe {name} from /usr: {'loaded' if status == 0 else said.strip()}")
    return attempts, control


def kexec(args):
    kernel = os.open(args["kernel"], os.O_RDONLY)
    line = ctypes.create_string_buffer(b"console=ttyS0")

    def load_file():
        syscall(SYS_KEXEC_FILE_LOAD, "kexec_file_load", kernel, -1, len(line.value) + 1, line, KEXEC_FILE_NO_INITRAMFS)
        syscall(SYS_KEXEC_FILE_LOAD, "kexec_file_load", -1, -1, 0, ctypes.c_void_p(0), KEXEC_FILE_UNLOAD)
        return "loaded"

    def load_segments():
        syscall(SYS_KEXEC_LOAD, "kexec_load", 0, 0, ctypes.c_void_p(0), 0x3E0000)
        return "accepted"

    attempts = [
        attempt("kexec_file_load of an unsigned kernel", load_file),
        attempt("kexec_load", load_segments),
    ]
    os.close(kernel)
    return attempts, None


def devmem(_args):
    def read_low():
        if not os.path.exists("/dev/mem"):
            os.mknod("/dev/mem", 0o20600, os.makedev(1, 1))
        fd = os.open("/dev/mem", os.O_RDWR)
        try:
            os.lseek(fd, 0x1000, 0)
            return f"read {len(os.read(fd, 16))} bytes of physical memory"
        finally:
            os.close(fd)

    def read_kcore():
        fd = os.open("/proc/kcore", os.O_RDONLY)
        try:
            return f"read {len(os.read(fd, 64))} bytes of kernel memory"
        finally:
            os.close(fd)

    def ports():
        fd = os.open("/dev/port", os.O_RDWR)
        os.close(fd)
        return "opened"

    return [attempt("/dev/mem", read_low), attempt("/proc/kcore", read_kcore), attempt("/dev/port", ports)], None


def msr(_args):
    said = capture(MODPROBE, [MODPROBE, "msr"])[2].strip()

    def write():
        fd = os.open("/dev/cpu/0/msr", os.O_RDWR)
        try:
            os.lseek(fd, 0x10, 0)  # IA32_TIME_STAMP_COUNTER: harmless where it works
            value = os.read(fd, 8)
            os.lseek(fd, 0x10, 0)
            os.write(fd, value)
            return "written"
        finally:
            os.close(fd)

    result = attempt("/dev/cpu/0/msr", write)
    if said:
        result.detail += f" (modprobe msr: {said})"
    return [result], None


BPF_PROG_LOAD, BPF_PROG_TYPE_KPROBE = 5, 2


def load_program(instructions):
    """Loads a kprobe program; instructions are 8-byte words (include/uapi/linux/bpf.h)."""
    code = ctypes.create_string_buffer(b"".join(instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    version = os.uname().release.split("-")[0].split("+")[0].split(".")
    packed = (int(version[0]) << 16) + (int(version[1]) << 8) + min(int(version[2]) if len(version) > 2 else 0, 255)
    attributes = struct.pack(
        "<IIQQIIQII", BPF_PROG_TYPE_KPROBE, len(instructions), ctypes.addressof(code), ctypes.addressof(licence),
        0, 0, 0, packed, 0,
    ).ljust(128, b"\0")
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    fd = syscall(SYS_BPF, "bpf(BPF_PROG_LOAD)", BPF_PROG_LOAD, buffer, len(attributes))
    os.close(fd)
    return "loaded"


def bpf_write(_args):
    zero = lambda register: struct.pack("<BBhi", 0xB7, register, 0, 0)
    call_helper = lambda helper: struct.pack("<BBhi", 0x85, 0, 0, helper)
    leave = struct.pack("<BBhi", 0x95, 0, 0, 0)
    stack = [struct.pack("<BBhi", 0xBF, 2 | (10 << 4), 0, 0), struct.pack("<BBhi", 0x07, 2, 0, -8)]
    store = struct.pack("<BBhi", 0x7A, 10, -8, 0)
    write_user = [zero(1), store, *stack, struct.pack("<BBhi", 0xB7, 3, 0, 8), call_helper(36), zero(0), leave]
    attempts = [attempt("program calling bpf_probe_write_user", lambda: load_program(write_user))]
    control = attempt("the same program without that call", lambda: load_program([zero(0), leave]))
    return attempts, control


ATTACKS = {"module": module, "kexec": kexec, "devmem": devmem, "msr": msr, "bpf-write": bpf_write}
