"""Attacks that try to run code nobody signed. The control is the same program on the signed volume."""

import os
import struct

from system import *

# Where what he brings along is signed: his volume, or the root of a container's signed layer.
SIGNED = os.environ.get("SIGNED_FOLDER", "/run/attack")
# The tiny ELF as a file of the signed volume; the prover puts it there.
SIGNED_PROGRAM = f"{SIGNED}/bin/answer"
SIGNED_LIBRARY = f"{SIGNED}/lib/preload.so"
LOADER = "/lib64/ld-linux-x86-64.so.2"


def control_signed():
    return from_child("the same program from the signed volume", execute(SIGNED_PROGRAM))


def drop_and_run(folder):
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, f"answer-{os.getpid()}")
    try:
        write_file(path, read_file(SIGNED_PROGRAM))
    except OSError as error:
        return Attempt(False, f"{folder}: cannot even be written: {describe(error)}")
    try:
        return from_child(path, execute(path))
    finally:
        os.unlink(path)


def exec_from(*folders):
    def attack(_args):
        return [drop_and_run(folder) for folder in folders], control_signed()

    return attack


def exec_memfd(_args):
    fd = os.memfd_create("answer", 0)
    os.write(fd, read_file(SIGNED_PROGRAM))
    direct = from_child("fexecve of a memfd", in_child(lambda: os.execve(fd, ["answer"], {})))
    by_path = from_child("exec of /proc/self/fd/N of a memfd", execute(f"/proc/self/fd/{fd}"))
    os.close(fd)
    return [direct, by_path], control_signed()


def run_mapped(fd, flags, protection):
    def action():
        address = map_memory(PAGE, protection, flags, fd)
        return call(address)

    return in_child(action)


def exec_mmap(_args):
    path = f"/tmp/code-{os.getpid()}"
    write_file(path, machine_code().ljust(PAGE, b"\0"))
    fd = os.open(path, os.O_RDONLY)
    mapped = from_child("mmap PROT_EXEC of an unsigned file", run_mapped(fd, MAP_PRIVATE, PROT_READ | PROT_EXEC))

    def later():
        address = map_memory(PAGE, PROT_READ, MAP_PRIVATE, fd)
        check(libc.mprotect(address, PAGE, PROT_READ | PROT_EXEC), "mprotect")
        return call(address)

    switched = from_child("mprotect +x of an unsigned file", in_child(later))

    def anonymous():
        address = map_memory(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS)
        ctypes.memmove(address, machine_code(), len(machine_code()))
        check(libc.mprotect(address, PAGE, PROT_READ | PROT_EXEC), "mprotect")
        return call(address)

    written = from_child("code written to anonymous memory, then +x", in_child(anonymous))
    os.close(fd)
    os.unlink(path)
    signed = os.open(f"{SIGNED}/bin/code", os.O_RDONLY)
    control = from_child(
        "mmap PROT_EXEC of the same bytes on the signed volume",
        run_mapped(signed, MAP_PRIVATE, PROT_READ | PROT_EXEC),
    )
    os.close(signed)
    return [mapped, switched, written], control


def preloaded(library):
    """Whether the loader mapped `library` executable into a program of /usr."""
    cat = f"{SIGNED}/bin/cat"
    _, _, output = capture(cat, [cat, "/proc/self/maps"], {"LD_PRELOAD": library, **loader_environment()})
    lines = [line for line in output.splitlines() if library in line]
    executable = [line for line in lines if "r-xp" in line]
    return Attempt(bool(executable), f"LD_PRELOAD={library}: {(executable or lines or ['not loaded'])[0]}")


def loader_environment():
    return {key: os.environ[key] for key in ("LD_LIBRARY_PATH",) if key in os.environ}


def exec_preload(_args):
    path = f"/tmp/preload-{os.getpid()}.so"
    write_file(path, read_file(SIGNED_LIBRARY))
    try:
        return [preloaded(path)], preloaded(SIGNED_LIBRARY)
    finally:
        os.unlink(path)


def exec_deleted(_args):
    path = f"/tmp/deleted-{os.getpid()}"
    write_file(path, read_file(SIGNED_PROGRAM))
    fd = os.open(path, os.O_RDONLY)
    os.unlink(path)

    def start():
        empty = ctypes.create_string_buffer(b"")
        argv = (ctypes.c_char_p * 2)(b"answer", None)
        syscall(SYS_EXECVEAT, "execveat", fd, empty, argv, ctypes.c_void_p(0), AT_EMPTY_PATH)

    deleted = from_child("execveat of a deleted file", in_child(start))
    os.close(fd)

    # A signed file is opened for its label, then another one takes its name on the way to exec.
    folder = f"/tmp/swap-{os.getpid()}"
    os.makedirs(folder)
    link, other = f"{folder}/program", f"{folder}/other"
    os.symlink(SIGNED_PROGRAM, link)
    before = os.open(link, os.O_RDONLY)
    write_file(other, read_file(SIGNED_PROGRAM))
    os.rename(other, link)
    swapped = from_child("file that took the name of a signed one", execute(link))
    os.close(before)
    os.unlink(link)
    os.rmdir(folder)
    return [deleted, swapped], control_signed()


# General interpreters and the script with which each of them would exit with status 42.
SHELLS = ("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh", "busybox", "perl", "ruby", "php")
SCRIPTS = {
    **{name: "exit 42" for name in SHELLS},
    "python": "import os; os._exit(42)",
    "node": "process.exit(42)",
    "nodejs": "process.exit(42)",
    "lua": "os.exit(42)",
    "luajit": "os.exit(42)",
    "tclsh": "exit 42",
    "awk": "BEGIN { exit 42 }",
    "gawk": "BEGIN { exit 42 }",
    "mawk": "BEGIN { exit 42 }",
    "guile": "(exit 42)",
}


def interpreters_in_usr():
    """(path, script) of every general interpreter in the folders programs are started from."""
    found = []
    for folder in ("/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/lib/klibc/bin"):
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            script = SCRIPTS.get(name.rstrip("0123456789."))
            if script is not None:
                found.append((f"{folder}/{name}", script))
    return found


def exec_script(args):
    interpreter = args["interpreter"]
    path = f"/tmp/script-{os.getpid()}"
    body = f"#!{interpreter} -IS\nimport os\nos._exit(42)\n"
    write_file(path, body.encode())
    attempts = [from_child("#! script on /tmp", execute(path, [path], dict(os.environ)))]
    found = interpreters_in_usr()
    nowhere = os.open("/dev/null", os.O_RDWR)
    for candidate, script in found:
        write_file(path, f"{script}\n".encode())
        argv = [candidate, *(["-f"] if "awk" in candidate else ["sh"] if "busybox" in candidate else []), path]
        attempts.append(from_child(f"{candidate} given a script", execute(candidate, argv, stdout=nowhere)))
    os.close(nowhere)
    if not found:
        attempts.append(Attempt(False, "interpreter given a script: /usr holds none of " + " ".join(sorted(SCRIPTS))))
    write_file(path, read_file(args["dynamic"]))
    attempts.append(
        from_child("ld.so given an unsigned program", execute(LOADER, [LOADER, path], loader_environment()), 0)
    )
    os.unlink(path)
    script = args["script"]
    control = from_child("the same script on the signed volume", execute(script, [script], dict(os.environ)))
    return attempts, control


ATTACKS = {
    "exec-root": exec_from("/", "/opt", "/srv"),
    "exec-tmp": exec_from("/tmp"),
    "exec-run": exec_from("/run", "/run/lock"),
    "exec-var": exec_from("/var", "/var/tmp", "/var/lib"),
    "exec-home": exec_from("/root", "/home"),
    "exec-shm": exec_from("/dev/shm", "/dev"),
    "exec-memfd": exec_memfd,
    "exec-mmap": exec_mmap,
    "exec-preload": exec_preload,
    "exec-deleted": exec_deleted,
    "exec-script": exec_script,
}
