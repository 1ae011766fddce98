/** Documentation is not even unpacked: it would be a third of the files, and no image keeps it. */

const excludedFolders: readonly string[] = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/info',
  'usr/share/locale',
  'usr/share/lintian',
  'usr/share/bug',
  'usr/share/doc-base',
  'usr/share/gtk-doc',
  'usr/share/help',
];

/** The copyright files, and links to the folders they are in, stay until the bill of materials has read them. */
export function isExcluded(path: string, isLink: boolean): boolean {
  const folder = excludedFolders.find((prefix) => path.startsWith(`${prefix}/`));
  if (folder === undefined) return false;
  return (
    folder !== 'usr/share/doc' || !(path.endsWith('/copyright') || (isLink && path.split('/').length === 4))
  );
}

/** The same rule as configuration of dpkg, see dpkg.cfg(5). */
export function dpkgExclusions(): string {
  const lines = excludedFolders.map((folder) => `path-exclude=/${folder}/*`);
  return `${[...lines, 'path-include=/usr/share/doc/*/copyright'].join('\n')}\n`;
}
