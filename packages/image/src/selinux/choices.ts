/** What osguard decides about the reference policy of Debian. */

/**
 * Modules that stay out: what the package leaves out everywhere, and what it leaves out on virtual machines. The package
 * decides the second by asking the machine it is installed on; here it is the same on every build host.
 */
export const disabledModules: readonly string[] = (
  'aisexec amtu bugzilla cobbler condor cyphesis git ksmtuned likewise livecd nessus numad oddjob openca rlogin rshd ' +
  'soundserver telnet publicfile thunderbird updfstab usernetctl ' +
  'acpi cdrecord fcoe iscsi isns openct raid rasdaemon tgtd tvtime vbetool ' +
  'eg25manager feedbackd geoclue iiosensorproxy'
).split(' ');

export const booleans: ReadonlyMap<string, boolean> = new Map([
  // The state on /var is built by systemd-tmpfiles on every first boot.
  ['systemd_tmpfiles_manage_all', true],
  // Containers are mounted below /run and /var, which are no security types.
  ['container_mounton_non_security', true],
]);

/** file_contexts.subs_dist: what lies inside /usr here is labelled as if it lay in its usual place. */
export const substitutions: readonly string[] = [
  '/usr/share/factory/etc /etc',
  '/usr/share/selinux-etc /etc/selinux',
  // Programs that containerd executes to give pods a network.
  '/usr/lib/cni /opt/cni',
];

/**
 * semanage.conf(5). Version 33 is the newest that Linux 6.12 loads, and the image has no libsepol to convert a newer one.
 * expand-check has the neverallow rules checked against the whole policy: ours say what must stay impossible.
 */
export const semanageConfiguration = `module-store = direct
policy-version = 33
expand-check = 1
`;
