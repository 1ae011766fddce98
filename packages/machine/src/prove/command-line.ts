/** The release's kernel command line with protections taken away, for the control boots. */

/** Arguments that only exist to protect; without them the kernel's own defaults hold. */
const protections =
  /^(?:lockdown|module\.sig_enforce|proc_mem\.force_override|dm_verity\.require_signatures|oops|panic|debugfs|systemd\.import_credentials|enforcing|ipe\.enforce|ipe\.success_audit)(?:=|$)/;

/** SELinux and IPE watch only, lockdown and Yama are not there, modules and volumes need no signature. */
export function unprotectedCommandLine(line: string): string {
  const given = argumentsOf(line);
  // Before Linux 7.0 the signer of /usr is known from the firmware's db alone, and without Secure Boot there is none:
  // a signature that is handed over and cannot be checked is refused.
  const signerKnown = given.includes('dm_verity.keyring_unsealed=1');
  const kept = given
    .filter((argument) => !protections.test(argument))
    .filter((argument) => signerKnown || !argument.startsWith('systemd.verity_usr_options='))
    .map((argument) =>
      argument
        .replace(/^lsm=.*/, 'lsm=landlock,safesetid,ipe,selinux')
        .replace(/^(systemd\.verity_usr_options=.*),panic-on-corruption/, '$1'),
    );
  // Debian's kernel is strict about /proc/*/mem by itself.
  return [...kept, 'enforcing=0', 'ipe.enforce=0', 'proc_mem.force_override=always'].join(' ');
}

/** As the release, but SELinux permissive. */
export function unlockedCommandLine(line: string): string {
  const kept = argumentsOf(line).filter((argument) => !argument.startsWith('enforcing='));
  return [...kept, 'enforcing=0', '--'].join(' ');
}

/** Without the `--` behind which the kernel reads nothing. */
function argumentsOf(line: string): readonly string[] {
  return line.split(/\s+/).filter((argument) => argument !== '' && argument !== '--');
}
