/**
 * The text formats in which apt keeps its configuration: `apt-config dump` (apt.conf(5)), one-line and deb822 sources
 * (sources.list(5)) and `apt-get indextargets`. Text in, objects out. A line that cannot be understood is left out, as
 * apt would refuse it anyway; nothing here throws.
 */

/** One apt source: a base address with the suites and components below it. */
export interface AptSource {
  readonly types: readonly string[];
  readonly uris: readonly string[];
  readonly suites: readonly string[];
  readonly components: readonly string[];
  /** As written: paths or fingerprints, or one ASCII-armoured key (lines as in deb822, without the leading space). */
  readonly signedBy: string | undefined;
}

/** Text longer than this is no apt configuration: the rest is ignored. */
const longest = 4 * 1024 * 1024;

/** `apt-config dump`: every key with its values in order. List entries (`Key::`) are collected under `Key`. */
export function parseAptConfig(text: string): Map<string, string[]> {
  const config = new Map<string, string[]>();
  for (const line of text.slice(0, longest).split('\n')) {
    const at = line.indexOf(' "');
    if (at <= 0 || !line.endsWith('";')) continue;
    const key = line.slice(0, at).replace(/::$/, '');
    const value = line.slice(at + 2, -2);
    if (value === '' || /\s/.test(key)) continue;
    const values = config.get(key);
    if (values === undefined) config.set(key, [value]);
    else values.push(value);
  }
  return config;
}

/** deb822 stanzas: field names in lower case; continuation lines joined with a newline, ` .` meaning an empty line. */
export function parseStanzas(text: string): Map<string, string>[] {
  const stanzas: Map<string, string>[] = [];
  let stanza = new Map<string, string>();
  let field: string | undefined;
  const close = (): void => {
    if (stanza.size > 0) stanzas.push(stanza);
    stanza = new Map();
    field = undefined;
  };
  for (const raw of text.slice(0, longest).split('\n')) {
    const line = raw.trimEnd();
    if (line.startsWith('#')) continue;
    if (line === '') close();
    else if (/^[ \t]/.test(line)) {
      if (field === undefined) continue;
      const more = line.trim();
      stanza.set(field, `${stanza.get(field) ?? ''}\n${more === '.' ? '' : more}`);
    } else {
      const colon = line.indexOf(':');
      field = colon <= 0 ? undefined : line.slice(0, colon).trim().toLowerCase();
      if (field !== undefined) stanza.set(field, line.slice(colon + 1).trim());
    }
  }
  close();
  return stanzas;
}

/** A deb822 `.sources` file. Stanzas with `Enabled: no` or without types, addresses or suites are left out. */
export function parseDeb822Sources(text: string): AptSource[] {
  return parseStanzas(text).flatMap((stanza) => {
    const words = (field: string): string[] =>
      (stanza.get(field) ?? '').split(/\s+/).filter((word) => word !== '');
    const source: AptSource = {
      types: words('types'),
      uris: words('uris'),
      suites: words('suites'),
      components: words('components'),
      signedBy: stanza.get('signed-by')?.trim(),
    };
    const enabled = !/^(no|false|without|off|disable|0)$/i.test(stanza.get('enabled') ?? 'yes');
    return enabled && source.types.length > 0 && source.uris.length > 0 && source.suites.length > 0
      ? [source]
      : [];
  });
}

/** A one-line `.list` file: `deb [option=value …] address suite component…  # comment`. */
export function parseOneLineSources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.slice(0, longest).split('\n')) {
    const match = /^\s*(deb|deb-src)\s+(?:\[([^\]]*)\]\s*)?([^#]*)/.exec(line);
    if (match === null) continue;
    const [, type = '', options = '', rest = ''] = match;
    const [uri, suite, ...components] = rest.split(/\s+/).filter((word) => word !== '');
    if (uri === undefined || suite === undefined) continue;
    const signedBy = options
      .split(/\s+/)
      .find((option) => option.toLowerCase().startsWith('signed-by='))
      ?.slice('signed-by='.length)
      .replaceAll(',', ' ');
    sources.push({ types: [type], uris: [uri], suites: [suite], components, signedBy });
  }
  return sources;
}

/** `apt-get indextargets`: the base addresses whose signed Release file says `Origin: Debian`. */
export function debianRepositories(text: string): Set<string> {
  const repositories = new Set<string>();
  for (const target of parseStanzas(text)) {
    const uri = target.get('repo-uri');
    if (uri !== undefined && target.get('origin') === 'Debian') repositories.add(uri.replace(/\/*$/, '/'));
  }
  return repositories;
}
