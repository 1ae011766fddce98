/**
 * What a definition may not ask for, each with the reason: things that would switch a protection off, or that osguard
 * itself computes. Kernel parameters: Documentation/admin-guide/kernel-parameters.txt; systemd: kernel-command-line(7).
 */

interface Rule {
  readonly match: RegExp;
  readonly why: string;
}

const computed = 'osguard computes it from the image';
const enforcement = 'it would weaken or switch off enforcement; use the `enforcement` section';
const unit = 'it would let the command line choose what PID 1 runs';

/** Matched against the part before `=`. The kernel treats `-` and `_` alike, so names are compared with `_`. */
const argumentRules: readonly Rule[] = [
  { match: /^(?:root|rootfstype|rootflags|rootwait|rootdelay|ro|rw|resume|noresume)$/, why: computed },
  { match: /^(?:usrhash|roothash|usr|verity|mount\.usr\w*|dm_mod\.create)$/, why: computed },
  {
    match: /^(?:systemd\.verity\w*|rd\.systemd\.verity\w*|systemd\.gpt_auto|systemd\.mount_extra)$/,
    why: computed,
  },
  { match: /^(?:systemd\.swap_extra|systemd\.image_policy|systemd\.volatile)$/, why: computed },
  { match: /^dm_verity\./, why: 'osguard sets up the .dm-verity keyring' },
  { match: /^(?:lsm|security|selinux|enforcing|autorelabel|apparmor|checkreqprot|audit)$/, why: enforcement },
  { match: /^(?:ipe|selinux|apparmor|landlock|loadpin|lockdown|yama|bpf_lsm)(?:\..*)?$/, why: enforcement },
  { match: /^proc_mem\./, why: 'it decides whether running code can be patched through /proc/PID/mem' },
  { match: /^module\./, why: 'it decides which kernel modules load' },
  { match: /^(?:module_blacklist|modprobe\.blacklist|initcall_blacklist)$/, why: 'use `modules.deny`' },
  { match: /^(?:init|rdinit|initrd|rd\.\w.*|rd_\w+|initrdmem|noinitrd)$/, why: unit },
  { match: /^(?:single|s|S|emergency|rescue|b|a|auto|[0-9])$/, why: unit },
  {
    match: /^(?:systemd\..*|udev\..*|vconsole\..*|locale\..*)$/,
    why: 'systemd is configured by files in the image; use `files` and `units`',
  },
  {
    match: /^(?:efi|noefi|add_efi_memmap|acpi_rsdp|acpi_override_initrd)$/,
    why: 'it changes what firmware data the kernel trusts',
  },
  {
    match: /^(?:kexec\w*|crashkernel|kexec_core\..*)$/,
    why: 'the host refuses to replace its measured kernel',
  },
  {
    match:
      /^(?:mitigations|nokaslr|nopti|pti|nospec\w*|spectre\w*|spec_\w+|nosmap|nosmep|noexec|noexec32|mds|tsx\w*|l1tf|kvm\..*)$/,
    why: 'it can switch off a hardware vulnerability mitigation',
  },
  {
    match:
      /^(?:nolockdown|debugfs|iommu|intel_iommu|amd_iommu|init_on_alloc|init_on_free|slab_nomerge|slub_debug|vsyscall)$/,
    why: 'it is part of the hardened command line osguard writes',
  },
  {
    match: /^(?:kgdb\w*|kdb|gdb\w*|sysrq_always_enabled|ima\w*|evm|trusted\..*|tpm\w*)$/,
    why: 'it opens a way around measured or enforced state',
  },
  { match: /^sysctl\./, why: 'use `sysctls`' },
  { match: /^[A-Z]/, why: 'the kernel hands upper-case names to PID 1 as environment variables' },
  { match: /^_+$/, why: 'what follows `--` is handed to PID 1' },
];

/** Why this kernel argument is refused, or undefined when it may be appended. */
export function refusedKernelArgument(argument: string): string | undefined {
  const name = (argument.split('=', 1)[0] ?? '').replaceAll('-', '_');
  return argumentRules.find((rule) => rule.match.test(name))?.why;
}

const sysctlRules: readonly Rule[] = [
  { match: /^kernel\.yama\.ptrace_scope$/, why: 'osguard sets it to 3: nobody may patch running code' },
  {
    match: /^kernel\.(?:modprobe|hotplug|poweroff_cmd|usermodehelper\..*|core_pattern|core_pipe_limit)$/,
    why: 'it names a program the kernel runs as root',
  },
  {
    match: /^kernel\.(?:modules_disabled|kexec_load_disabled|unprivileged_bpf_disabled)$/,
    why: 'osguard sets it',
  },
  {
    match: /^kernel\.(?:randomize_va_space|kptr_restrict|dmesg_restrict|perf_event_paranoid|sysrq)$/,
    why: 'osguard sets the hardened value',
  },
  { match: /^fs\.binfmt_misc\./, why: 'it registers interpreters' },
  {
    match: /^fs\.protected_|^fs\.suid_dumpable$|^vm\.mmap_min_addr$|^dev\.tty\./,
    why: 'osguard sets the hardened value',
  },
];

export function refusedSysctl(key: string): string | undefined {
  const name = key.replaceAll('/', '.');
  return sysctlRules.find((rule) => rule.match.test(name))?.why;
}

const pathRules: readonly Rule[] = [
  {
    match: /^\/(?:etc|usr\/lib|usr\/local\/lib|run)\/ipe(?:\/|$)/,
    why: 'IPE policies come from osguard; one found here would freeze PID 1',
  },
  {
    match: /^\/etc\/selinux(?:\/|$)|^\/usr\/share\/selinux-etc(?:\/|$)/,
    why: 'the SELinux policy is built by osguard',
  },
  {
    match: /^\/etc\/(?:machine-id|fstab|crypttab|veritytab|ld\.so\.cache|ld\.so\.preload)$/,
    why: 'osguard decides it',
  },
  { match: /^\/etc\/(?:passwd|shadow|group|gshadow|subuid|subgid)-?$/, why: 'use `users` and `groups`' },
  { match: /^\/usr\/share\/factory\/etc(?:\/|$)/, why: 'write the path below /etc itself' },
  {
    match: /^\/(?:bin|sbin|lib|lib32|lib64)(?:\/|$)/,
    why: 'it is a link into /usr; write the path below /usr',
  },
];

/** Why nothing may be placed at this path, or undefined when it may. Only /usr and /etc are part of the image. */
export function refusedPath(path: string): string | undefined {
  const rule = pathRules.find(({ match }) => match.test(path));
  if (rule !== undefined) return rule.why;
  if (/^\/(?:usr|etc)\/./.test(path)) return undefined;
  return 'only /usr and /etc are part of the image; /var is made on the first boot, use a tmpfiles.d file';
}
