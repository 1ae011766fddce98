# The first program of the initrd: PID 1 until the command line has been compared.
#
# systemd-stub appends what the hypervisor hands in through SMBIOS type 11
# (io.systemd.stub.kernel-cmdline-extra) and what signed add-ons carry to the signed command
# line, even under Secure Boot. The signed line ends in " --", so the kernel itself reads
# nothing behind it, but systemd reads all of /proc/cmdline. So: compare /proc/cmdline with
# /cmdline of this initrd, byte by byte; equal: exec systemd; anything else: say so and power off.
#
# Started with another PID than 1 it is the stop tool of the initrd's emergency.service: it writes
# its first argument to /dev/kmsg and powers off.
#
# x86-64, no libraries. Assemble: as -o guard.o guard.s
#   ld -s -static -z noseparate-code -z max-page-size=4096 -o guard guard.o

        .set SYS_read, 0
        .set SYS_write, 1
        .set SYS_open, 2
        .set SYS_close, 3
        .set SYS_pause, 34
        .set SYS_nanosleep, 35
        .set SYS_getpid, 39
        .set SYS_execve, 59
        .set SYS_mkdir, 83
        .set SYS_sync, 162
        .set SYS_mount, 165
        .set SYS_umount2, 166
        .set SYS_reboot, 169
        .set O_RDONLY, 0
        .set O_WRONLY, 1
        .set MS_NOSUID_NODEV_NOEXEC, 2 | 4 | 8
        .set REBOOT_MAGIC1, 0xfee1dead
        .set REBOOT_MAGIC2, 672274793
        .set REBOOT_POWER_OFF, 0x4321fedc
        .set LIMIT, 4096                        # COMMAND_LINE_SIZE of x86 is 2048

        .globl  _start
        .text
_start: mov     %rsp, %rbp                      # argc, argv..., 0, envp..., 0
        mov     $SYS_getpid, %eax
        syscall
        cmp     $1, %eax
        jne     stop

        lea     proc(%rip), %rdi
        mov     $0555, %esi
        mov     $SYS_mkdir, %eax                # fails when it exists: that is fine
        syscall
        lea     proc(%rip), %rdi                # source
        lea     proc(%rip), %rsi                # target
        lea     procfs(%rip), %rdx              # type
        mov     $MS_NOSUID_NODEV_NOEXEC, %r10d
        xor     %r8d, %r8d
        mov     $SYS_mount, %eax
        syscall
        test    %rax, %rax
        js      unread

        lea     actual_path(%rip), %rdi
        lea     actual(%rip), %rsi
        call    slurp
        mov     %rax, %r12                      # its length
        lea     expected_path(%rip), %rdi
        lea     expected(%rip), %rsi
        call    slurp
        mov     %rax, %r13

        test    %r12, %r12                      # an empty or unreadable line never matches
        jle     unread
        lea     actual(%rip), %rsi              # both buffers end in zeros, so a shorter line differs too
        lea     expected(%rip), %rdi
        mov     $LIMIT, %ecx
        cld
        repe    cmpsb
        jne     differs
        cmp     %r12, %r13
        jne     differs
        cmpq    $1, (%rbp)                      # arguments behind " --" would be systemd's
        jne     differs

        lea     proc(%rip), %rdi
        xor     %esi, %esi
        mov     $SYS_umount2, %eax
        syscall

        lea     systemd(%rip), %rdi
        mov     %rdi, 8(%rbp)                   # argv[0]
        lea     8(%rbp), %rsi
        mov     (%rbp), %rax
        lea     16(%rbp, %rax, 8), %rdx         # envp
        mov     $SYS_execve, %eax
        syscall
        lea     no_systemd(%rip), %rsi
        jmp     refuse

stop:   cmpq    $2, (%rbp)
        jl      off
        mov     16(%rbp), %rsi
        jmp     refuse

unread: lea     unreadable(%rip), %rsi
        jmp     refuse

differs:
        dec     %rsi                            # the first byte that is not as signed
        lea     prefix_found(%rip), %rdi
        call    say
        lea     different(%rip), %rsi
refuse: lea     prefix(%rip), %rdi
        call    say
off:    mov     $SYS_sync, %eax
        syscall
        lea     second(%rip), %rdi              # let the serial line drain
        xor     %esi, %esi
        mov     $SYS_nanosleep, %eax
        syscall
        mov     $REBOOT_MAGIC1, %edi
        mov     $REBOOT_MAGIC2, %esi
        mov     $REBOOT_POWER_OFF, %edx
        mov     $SYS_reboot, %eax
        syscall
1:      mov     $SYS_pause, %eax                # never go on
        syscall
        jmp     1b

# slurp(path %rdi, buffer %rsi) -> length or negative; longer than LIMIT - 1 reads as cut, which differs
slurp:  mov     %rsi, %r14
        xor     %esi, %esi
        xor     %edx, %edx
        mov     $SYS_open, %eax
        syscall
        test    %rax, %rax
        js      2f
        mov     %eax, %ebx
        xor     %r15d, %r15d
1:      mov     %ebx, %edi
        lea     (%r14, %r15), %rsi
        mov     $LIMIT - 1, %edx
        sub     %r15d, %edx
        jle     3f
        xor     %eax, %eax                      # SYS_read
        syscall
        test    %rax, %rax
        js      2f
        jz      3f
        add     %rax, %r15
        jmp     1b
3:      mov     %ebx, %edi
        mov     $SYS_close, %eax
        syscall
        mov     %r15, %rax
2:      ret

# say(prefix %rdi, text %rsi): one record "prefix text" to /dev/kmsg, which the console prints
say:    lea     record(%rip), %r14
        mov     %rdi, %rax
        call    append
        mov     %rsi, %rax
        call    append
        lea     kmsg(%rip), %rdi
        mov     $O_WRONLY, %esi
        xor     %edx, %edx
        mov     $SYS_open, %eax
        syscall
        test    %rax, %rax
        js      1f
        mov     %eax, %edi
        lea     record(%rip), %rsi
        mov     %r14, %rdx
        sub     %rsi, %rdx
        mov     $SYS_write, %eax
        syscall
        mov     $SYS_close, %eax
        syscall
1:      ret

# append(text %rax) at %r14, without its end; stops at 900 bytes
append: lea     record+900(%rip), %rcx
1:      movb    (%rax), %dl
        test    %dl, %dl
        jz      2f
        cmp     %rcx, %r14
        jae     2f
        movb    %dl, (%r14)
        inc     %rax
        inc     %r14
        jmp     1b
2:      ret

# Constants stay in .text: one read-only executable segment, one writable one without file content.
proc:           .asciz "/proc"
procfs:         .asciz "proc"
actual_path:    .asciz "/proc/cmdline"
expected_path:  .asciz "/cmdline"
systemd:        .asciz "/usr/lib/systemd/systemd"
kmsg:           .asciz "/dev/kmsg"
prefix:         .asciz "<1>osguard: boot refused: "
prefix_found:   .asciz "<1>osguard: not as signed from here on: "
different:      .asciz "the kernel command line is not the signed one, powering off"
unreadable:     .asciz "the kernel command line cannot be read, powering off"
no_systemd:     .asciz "systemd cannot be started, powering off"
        .balign 8
second:         .quad 1, 0

        .bss
        .balign 16
actual:         .skip LIMIT
expected:       .skip LIMIT
record:         .skip 1024
