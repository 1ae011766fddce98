/**
 * What a hardened host has no use for, rule by rule. The reason is part of the result: whoever misses a file reads
 * there why it is gone.
 */

export interface PruneRule {
  readonly id: string;
  readonly why: string;
  /** Every file of these packages. */
  readonly packages?: RegExp;
  /** Paths without leading slash; a folder goes with all below it. */
  readonly paths?: RegExp;
  /** Programs of this rule can be kept by naming one under `interpreters`. */
  readonly interpreters?: boolean;
}

/** Folders in which programs lie. */
const bin = String.raw`usr/(?:local/)?(?:s?bin|games)`;

export const pruneRules: readonly PruneRule[] = [
  {
    id: 'package-manager',
    why: 'the host is replaced as a whole, never changed package by package',
    packages:
      /^(?:apt|apt-utils|apt-listchanges|aptitude|dpkg|dpkg-dev|debconf|debconf-i18n|debian-archive-keyring|libapt-pkg[\d.]+|libdebconfclient0|sqv|gpgv|ucf|cdebconf|init-system-helpers|adduser|debianutils|dpkg-repack|tasksel)$/,
    paths:
      /^(?:var\/lib\/(?:dpkg|apt|ucf|pam|systemd\/deb-systemd-.*)|etc\/(?:apt|dpkg|debconf\.conf|kernel|logrotate\.d|cron\..*)|usr\/share\/(?:debconf|dpkg|keyrings))$/,
  },
  {
    id: 'compiler',
    why: 'nothing is built on the host',
    packages:
      /^(?:gcc|g\+\+|cpp|clang|llvm|gfortran|golang|rustc|cargo|ghc|fpc|tcc|gdc|gnat)(?:-.*)?$|^(?:binutils|make|cmake|ninja-build|meson|autoconf|automake|m4|libtool|patch|build-essential|gdb|strace|ltrace)(?:-.*)?$|^lib.*-dev$|^linux-(?:headers|kbuild|libc-dev).*$/,
    paths: /^usr\/(?:include|src|lib\/(?:[^/]+\/)?pkgconfig|share\/(?:pkgconfig|aclocal|cmake))$|\.a$|\.la$/,
  },
  {
    id: 'shell',
    why: 'a shell runs whatever text it is given, signed or not',
    paths: new RegExp(
      `^${bin}/(?:sh|bash|rbash|dash|ash|zsh|zsh5|rzsh|ksh\\w*|rksh\\w*|mksh|fish|tcsh|csh|bsd-csh|yash|es|rc|busybox|toybox|nu|pwsh|elvish|xonsh|posh|sash)(?:[-.]static)?$`,
    ),
    interpreters: true,
  },
  {
    id: 'interpreter',
    why: 'an interpreter runs whatever text it is given, signed or not',
    packages:
      /^(?:perl|perl-base|perl-modules-.*|libperl.*|python3?(?:\..*)?|python3?-.*|libpython.*|ruby.*|lua.*|libluajit.*|nodejs|php.*|tcl.*|tk.*|guile-.*|mawk|gawk|original-awk|gforth|erlang-base|default-jre.*|openjdk-.*|mono-.*)$/,
    paths: new RegExp(
      `^${bin}/(?:perl[\\d.]*|python[\\d.]*|ruby[\\d.]*|lua(?:jit)?[\\d.]*|node|nodejs|php[\\d.]*|tclsh[\\d.]*|wish[\\d.]*|m?awk|gawk|nawk|original-awk|expect|guile[\\d.]*|java|mono|bpftrace|vi|vim[.\\w]*|ed|red|emacs.*|nano|gdb|dc|bc|jq|socat)$`,
    ),
    interpreters: true,
  },
  {
    id: 'documentation',
    why: 'read it where the image is made',
    paths:
      /^usr\/share\/(?:doc|man|info|help|gtk-doc|lintian|bug|doc-base|common-licenses|base-files|linda|menu|pixmaps|images|applications|icons|metainfo|appdata|bash-completion|zsh|fish|vim|emacs|gdb|perl5|initramfs-tools|lsb|calendar|dict|groff|texmf)$/,
  },
  {
    id: 'locale',
    why: 'messages are English everywhere, and C.UTF-8 is enough for programs',
    paths: /^usr\/share\/(?:locale|i18n)$|^usr\/lib\/locale\/(?!C\.utf8(?:\/|$))[^/]+$/,
  },
  {
    id: 'sysv-init',
    why: 'systemd starts everything; these scripts need a shell',
    paths:
      /^etc\/(?:init\.d|rc[0-6S]\.d|rcS\.d|rc\.local|inittab|skel|profile|profile\.d|bash\.bashrc|update-motd\.d|network\/if-.*)$|^usr\/lib\/(?:init|lsb)$/,
  },
  {
    id: 'initrd-tools',
    why: 'osguard builds the initrd',
    packages: /^(?:dracut.*|initramfs-tools.*|klibc-utils|linux-base)$/,
    paths:
      /^usr\/(?:lib\/(?:kernel\/(?!install\.conf$).*|dracut)|share\/initramfs-tools)$|^etc\/(?:initramfs-tools|dracut.*|kernel)$/,
  },
];
