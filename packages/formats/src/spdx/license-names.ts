/**
 * Debian's short licence names to SPDX identifiers. Debian's list: copyright-format 1.0, section 7.1; SPDX: licence
 * list 3.x. Only names whose text is the SPDX licence's are here: `BSD-style`, `permissive` or `other` are not.
 */

/** Families that Debian writes with a version and `+` for "or later"; SPDX says -only and -or-later. */
const gnu = /^(A?GPL|LGPL|GFDL)-?v?(\d(?:\.\d)?)(?:\.0)?(\+|-or-later|-only)?$/i;
const gfdlWithoutInvariants = /^GFDL-NIV-(\d\.\d)(\+)?$/i;

const gnuVersions: ReadonlyMap<string, readonly string[]> = new Map([
  ['GPL', ['1.0', '2.0', '3.0']],
  ['LGPL', ['2.0', '2.1', '3.0']],
  ['AGPL', ['1.0', '3.0']],
  ['GFDL', ['1.1', '1.2', '1.3']],
]);

/** Lower-case names whose SPDX identifier differs, or that are identifiers of SPDX themselves. */
const plain: ReadonlyMap<string, string> = new Map(
  `0BSD AFL-2.0 AFL-2.1 AFL-3.0 Apache-1.1 Apache-2.0 Artistic-2.0 BSD-1-Clause BSD-2-Clause BSD-3-Clause
   BSD-4-Clause BSD-4-Clause-UC BSD-Source-Code BSL-1.0 Beerware bzip2-1.0.6 CC-BY-2.0 CC-BY-2.5 CC-BY-3.0
   CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC0-1.0 CDDL-1.0 CDDL-1.1 CPL-1.0 curl EPL-1.0 EPL-2.0 FSFAP FSFUL
   FSFULLR FTL HPND ICU IJG IPL-1.0 ISC Libpng LPPL-1.3c MIT MIT-0 MPL-1.1 MPL-2.0 MS-PL NCSA NTP OFL-1.0
   OFL-1.1 OLDAP-2.8 OpenSSL OPL-1.0 PHP-3.01 PostgreSQL Python-2.0 Ruby Sleepycat TCL Unicode-3.0
   Unicode-DFS-2015 Unicode-DFS-2016 Unlicense Vim W3C WTFPL X11 ZPL-2.1 Zlib zlib-acknowledgement`
    .split(/\s+/)
    .map((id) => [id.toLowerCase(), id]),
);

const renamed: ReadonlyMap<string, string> = new Map([
  ['expat', 'MIT'],
  ['apache-2', 'Apache-2.0'],
  ['artistic', 'Artistic-1.0-Perl'],
  ['bsd-2', 'BSD-2-Clause'],
  ['bsd-3', 'BSD-3-Clause'],
  ['boost-1.0', 'BSL-1.0'],
  ['bsl-1', 'BSL-1.0'],
  ['cc0', 'CC0-1.0'],
  ['openldap-2.8', 'OLDAP-2.8'],
  ['mpl-1', 'MPL-1.0'],
  ['mpl-2', 'MPL-2.0'],
  ['edl-1', 'BSD-3-Clause'],
  ['edl-1.0', 'BSD-3-Clause'],
  ['psf-2', 'PSF-2.0'],
  ['python-2', 'Python-2.0'],
  ['lppl-1.3c', 'LPPL-1.3c'],
  ['zpl-2.1', 'ZPL-2.1'],
]);

const exceptions: ReadonlyMap<string, string> = new Map([
  ['bison', 'Bison-exception-2.2'],
  ['bison-2.2', 'Bison-exception-2.2'],
  ['classpath', 'Classpath-exception-2.0'],
  ['font', 'Font-exception-2.0'],
  ['gcc-runtime-3.1', 'GCC-exception-3.1'],
  ['libtool', 'Libtool-exception'],
  ['linux-syscall-note', 'Linux-syscall-note'],
  ['llvm', 'LLVM-exception'],
]);

/** The SPDX identifier of one Debian short name, or undefined. */
export function spdxLicense(name: string): string | undefined {
  const [, family, version, later] = gnu.exec(name) ?? [];
  if (family !== undefined && version !== undefined) return gnuLicense(family, version, later);
  const [, niv, nivLater] = gfdlWithoutInvariants.exec(name) ?? [];
  if (niv !== undefined && gnuVersions.get('GFDL')?.includes(niv) === true) {
    return `GFDL-${niv}-no-invariants-${nivLater === undefined ? 'only' : 'or-later'}`;
  }
  const key = name.toLowerCase();
  return plain.get(key) ?? renamed.get(key);
}

/** The SPDX identifier of what Debian writes as `with NAME exception`, or undefined. */
export function spdxException(name: string): string | undefined {
  return exceptions.get(name.toLowerCase().replace(/[- ]?exceptions?$/, ''));
}

function gnuLicense(family: string, version: string, later: string | undefined): string | undefined {
  const name = family.toUpperCase();
  const full = version.includes('.') ? version : `${version}.0`;
  if (gnuVersions.get(name)?.includes(full) !== true) return undefined;
  return `${name}-${full}-${later === undefined || later === '-only' ? 'only' : 'or-later'}`;
}
