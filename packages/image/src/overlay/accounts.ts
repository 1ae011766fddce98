/** passwd(5), group(5), shadow(5) and gshadow(5) of a tree: reading numbers by name, adding locked accounts. */

import type { Definition, DefinitionUser } from '../definition/index.ts';
import { ImageError } from '../error.ts';
import { BodyReader, bytesBody } from '../tree/index.ts';
import type { RootTree } from '../tree/index.ts';

export interface Accounts {
  /** Numbers by name. */
  readonly users: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

const secondsPerDay = 86_400;

export function readAccounts(tree: RootTree): Accounts {
  return { users: numbers(linesOf(tree, 'etc/passwd')), groups: numbers(linesOf(tree, 'etc/group')) };
}

/** Adds the definition's groups and users. No account has a password: the only way in is what the image runs. */
export function addAccounts(tree: RootTree, definition: Definition, time: number): void {
  const files = new AccountFiles(tree);
  for (const { name, gid } of definition.groups) files.addGroup(name, gid);
  for (const user of definition.users) files.addUser(user, Math.floor(time / secondsPerDay));
  files.write(time);
}

class AccountFiles {
  readonly #tree: RootTree;
  readonly #passwd: string[];
  readonly #group: string[];
  readonly #shadow: string[];
  readonly #gshadow: string[];

  constructor(tree: RootTree) {
    this.#tree = tree;
    this.#passwd = linesOf(tree, 'etc/passwd');
    this.#group = linesOf(tree, 'etc/group');
    this.#shadow = linesOf(tree, 'etc/shadow');
    this.#gshadow = linesOf(tree, 'etc/gshadow');
  }

  addGroup(name: string, gid: number): void {
    assertFree(this.#group, { kind: 'group', name, number: gid });
    this.#group.push(`${name}:x:${gid}:`);
    this.#gshadow.push(`${name}:!::`);
  }

  addUser(user: DefinitionUser, today: number): void {
    const { name, uid, comment, home, shell } = user;
    assertFree(this.#passwd, { kind: 'user', name, number: uid });
    const primary = user.group ?? name;
    if (user.group === undefined && !numbers(this.#group).has(name)) this.addGroup(name, uid);
    const gid = numbers(this.#group).get(primary);
    if (gid === undefined) throw noGroup(name, primary);
    this.#passwd.push(`${name}:x:${uid}:${gid}:${comment}:${home}:${shell}`);
    this.#shadow.push(`${name}:!*:${today}::::::`);
    for (const group of user.groups) this.#join(name, group);
  }

  write(time: number): void {
    const files = { passwd: this.#passwd, group: this.#group, shadow: this.#shadow, gshadow: this.#gshadow };
    for (const [leaf, lines] of Object.entries(files)) {
      const path = `etc/${leaf}`;
      const node = this.#tree.get(path);
      const bytes = `${lines.join('\n')}\n`;
      if (node?.type !== 'file')
        this.#tree.putFile(path, bytes, { mtime: time, mode: leaf.includes('shadow') ? 0o640 : 0o644 });
      else Object.assign(node, { body: bytesBody(bytes), mtime: time });
    }
  }

  #join(user: string, group: string): void {
    for (const lines of [this.#group, this.#gshadow]) {
      const index = lines.findIndex((line) => line.startsWith(`${group}:`));
      const line = lines[index];
      if (line === undefined) throw noGroup(user, group);
      const fields = line.split(':');
      const members = (fields[3] ?? '').split(',').filter((member) => member !== '' && member !== user);
      fields[3] = [...members, user].join(',');
      lines[index] = fields.join(':');
    }
  }
}

interface Account {
  readonly kind: 'user' | 'group';
  readonly name: string;
  readonly number: number;
}

function assertFree(lines: readonly string[], { kind, name, number }: Account): void {
  for (const line of lines) {
    const [taken = '', , digits] = line.split(':');
    if (taken !== name && Number(digits) !== number) continue;
    const what =
      taken === name
        ? `the ${kind} ${name} exists already`
        : `the ${kind} number ${number} belongs to ${taken}`;
    throw new ImageError('definition', `${what} (a package made it)`, {
      hint: `choose another name or number under ${kind}s`,
      data: { kind, name, number },
    });
  }
}

function noGroup(user: string, group: string): ImageError {
  return new ImageError('definition', `user ${user} is to be in group ${group}, which does not exist`, {
    hint: 'add it under groups, with its number',
  });
}

function linesOf(tree: RootTree, path: string): string[] {
  using bodies = new BodyReader();
  const node = tree.lookup(path);
  return node?.type === 'file'
    ? bodies
        .text(node)
        .split('\n')
        .filter((line) => line !== '')
    : [];
}

function numbers(lines: readonly string[]): ReadonlyMap<string, number> {
  return new Map(lines.map((line) => line.split(':')).map(([name = '', , number]) => [name, Number(number)]));
}
