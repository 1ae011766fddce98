import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { noVectors, vectors } from '@osguard/testkit';
import type { IpePolicy, IpeProperty, IpeStatement } from '../src/ipe/index.ts';
import {
  checkIpePolicy,
  compareIpeVersions,
  encodeIpePolicy,
  evaluateIpePolicy,
  formatIpeProperty,
  formatIpeVersion,
  IpeSyntaxError,
  ipeActions,
  ipeDefault,
  ipeFlags,
  ipeOperations,
  judgeIpeUpdate,
  lintIpePolicy,
  parseIpePolicy,
} from '../src/ipe/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const policyOf = (...lines: string[]): IpePolicy =>
  parseIpePolicy(bytes(['policy_name=t policy_version=1.2.3', ...lines].join('\n')));

const versionOf = (text: string): IpePolicy =>
  parseIpePolicy(bytes(`policy_name=t policy_version=${text}\nDEFAULT action=DENY`));

const codes = (policy: IpePolicy, previous?: IpePolicy): string[] =>
  lintIpePolicy(policy, previous === undefined ? {} : { previous }).map(({ code }) => code);

const packed = ({ major, minor, revision }: IpePolicy['version']): number =>
  major * 2 ** 32 + minor * 2 ** 16 + revision;

const rejected = (text: string): string => {
  try {
    parseIpePolicy(bytes(text));
    return 'accepted';
  } catch (error) {
    assert(error instanceof IpeSyntaxError);
    return error.errno;
  }
};

interface IpeVector {
  readonly id: string;
  readonly input?: { readonly effective_base64?: string };
  readonly files?: readonly { readonly file: string }[];
  readonly expected: {
    readonly result: 'accept' | 'reject';
    readonly errno: number | null;
    readonly parsed?: unknown;
    readonly steps?: readonly { load?: string; update?: string; version: string; expect: string }[];
  };
  readonly what: string;
}

const errnos = { EBADMSG: -74, EINVAL: -22, ERANGE: -34 };

function shape(policy: IpePolicy): unknown {
  const defaults = policy.statements.flatMap((statement) =>
    statement.kind === 'default' && statement.op !== undefined ? [[statement.op, statement.action]] : [],
  );
  return {
    name: policy.name,
    name_hex: Buffer.from(policy.name, 'latin1').toString('hex'),
    version: formatIpeVersion(policy.version),
    global_default: ipeDefault(policy)?.action ?? null,
    op_defaults: Object.fromEntries(defaults),
    rules: policy.statements.flatMap((statement) =>
      statement.kind === 'rule'
        ? [
            {
              op: statement.op,
              properties: statement.properties.map(formatIpeProperty),
              action: statement.action,
            },
          ]
        : [],
    ),
  };
}

const found = vectors();
describe('the kernel suites and published policies', { skip: found === undefined && noVectors }, () => {
  const rows = (found?.rows('4-ipe') ?? []) as unknown as readonly IpeVector[];
  for (const row of rows.filter(({ id }) => !id.startsWith('ipe/anti-rollback'))) {
    test(`${row.id}: ${row.what}`, () => {
      const file = row.files?.[0]?.file;
      const input =
        file !== undefined
          ? found?.file(file)
          : row.id === 'ipe/kunit/widestring'
            ? Buffer.from('policy_name=Test policy_version=0.0.0\nDEFAULT action=ALLOW', 'utf16le')
            : Buffer.from(row.input?.effective_base64 ?? '', 'base64');
      assert(input !== undefined);
      if (row.expected.result === 'accept') {
        const policy = parseIpePolicy(input);
        assert.deepEqual(shape(policy), row.expected.parsed);
        assert.deepEqual(shape(parseIpePolicy(encodeIpePolicy(policy))), row.expected.parsed);
        return;
      }
      assert.throws(
        () => parseIpePolicy(input),
        (error) =>
          error instanceof IpeSyntaxError &&
          (row.expected.errno === null || errnos[error.errno] === row.expected.errno),
      );
    });
  }

  test('the update sequence and pairs', () => {
    const sequence = rows.find(({ id }) => id === 'ipe/anti-rollback/sequence');
    let loaded: IpePolicy | undefined;
    for (const step of sequence?.expected.steps ?? []) {
      const next = versionOf(step.version);
      const accepted = loaded === undefined || judgeIpeUpdate(loaded, next).accepted;
      assert.equal(accepted ? 'accept' : 'reject', step.expect, JSON.stringify(step));
      if (accepted) loaded = next;
    }
    assert.equal(formatIpeVersion(loaded?.version ?? { major: 0, minor: 0, revision: 0 }), '7.0.0');
    const pairs = rows.filter(({ id }) => id.startsWith('ipe/anti-rollback/pair'));
    assert.equal(pairs.length, 3);
    for (const pair of pairs) {
      const [from = '', to = ''] = pair.what.match(/\d+\.\d+\.\d+/g) ?? [];
      const { accepted } = judgeIpeUpdate(versionOf(from), versionOf(to));
      assert.equal(accepted ? 'accept' : 'reject', pair.expected.result, pair.id);
    }
  });
});

test('quirks of the kernel parser', () => {
  const head = 'policy_name=t policy_version=0.0.0\nDEFAULT action=DENY\n';
  assert.equal(rejected(`${head}op=EXECUTE dmverity_roothash=sha256: action=DENY`), 'accepted');
  assert.equal(rejected(`${head}op=EXECUTE dmverity_roothash=:AB action=DENY`), 'accepted');
  assert.equal(rejected(`${head}op=EXECUTE dmverity_roothash=sha256:abc action=DENY`), 'EINVAL');
  assert.equal(rejected(`${head}op=EXECUTE dmverity_roothash= action=DENY`), 'EBADMSG');
  assert.equal(rejected(`${head}op=EXECUTE action=DENY\u00a0\v`), 'accepted', 'isspace() takes 0xa0 and VT');
  assert.equal(rejected(`${head}\u00a0op=EXECUTE action=DENY`), 'EBADMSG', 'but not at the front');
  assert.equal(rejected(`${head}op=EXECUTE action=DENY # why\0garbage`), 'accepted');
  assert.equal(rejected('policy_name=t policy_version=+1.0.0\nDEFAULT action=DENY'), 'accepted');
  assert.equal(rejected('policy_name=t policy_version=0001.0.0\nDEFAULT action=DENY'), 'accepted');
  assert.equal(rejected('policy_name=t policy_version=65536.0.0\nDEFAULT action=DENY'), 'ERANGE');
  assert.equal(rejected('policy_name=t policy_version=65536x.0.0\nDEFAULT action=DENY'), 'EINVAL');
  assert.equal(
    rejected('policy_name=t policy_version=99999999999999999999x.0.0\nDEFAULT action=DENY'),
    'ERANGE',
  );
  assert.equal(rejected('policy_name=t policy_version=0.0.0.0\nDEFAULT action=DENY'), 'EBADMSG');
  assert.equal(rejected('policy_name=t policy_version=\nDEFAULT action=DENY'), 'EBADMSG');
});

test('a mistake is reported with its line, column and byte, and all of them at once', () => {
  const text =
    'policy_name=t policy_version=1.0.0\r\n# hello\r\nDEFAULT action=DENY\r\nop=EXEC action=ALLOW\r\nop=EXECUTE boot_verified=yes action=ALLOW';
  const { policy, diagnostics } = checkIpePolicy(bytes(text));
  assert.equal(policy, undefined);
  assert.deepEqual(
    diagnostics.map(({ code, range }) => [code, range?.start, range?.end.column]),
    [
      ['kernel-ebadmsg', { line: 4, column: 1, offset: text.indexOf('op=EXEC ') }, 8],
      ['kernel-ebadmsg', { line: 5, column: 12, offset: text.indexOf('boot_verified') }, 29],
    ],
  );
  assert.match(diagnostics[0]?.hint ?? '', /EXECUTE/);
});

test('the first matching rule decides, and says why', () => {
  const policy = policyOf(
    'DEFAULT action=ALLOW',
    'DEFAULT op=EXECUTE action=DENY',
    'op=EXECUTE dmverity_roothash=sha256:aa action=DENY',
    'op=EXECUTE boot_verified=TRUE action=ALLOW',
    'op=EXECUTE dmverity_signature=TRUE fsverity_signature=FALSE action=ALLOW',
  );
  const decide = (subject: Parameters<typeof evaluateIpePolicy>[1]): [string, number | undefined] => {
    const { action, by } = evaluateIpePolicy(policy, subject);
    return [action, by.range?.start.line];
  };
  assert.deepEqual(decide({ op: 'EXECUTE' }), ['DENY', 3]);
  assert.deepEqual(decide({ op: 'EXECUTE', bootVerified: true }), ['ALLOW', 5]);
  assert.deepEqual(decide({ op: 'EXECUTE', dmVerity: { signed: true } }), ['ALLOW', 6]);
  const revoked = { signed: true, rootHash: { algorithm: 'sha256', hex: 'AA' } };
  assert.deepEqual(decide({ op: 'EXECUTE', dmVerity: revoked }), ['DENY', 4]);
  assert.deepEqual(decide({ op: 'EXECUTE', dmVerity: { signed: true }, fsVerity: { signed: true } }), [
    'DENY',
    3,
  ]);
  assert.deepEqual(decide({ op: 'KMODULE' }), ['ALLOW', 2]);
  const decision = evaluateIpePolicy(policy, { op: 'EXECUTE', dmVerity: { signed: false } });
  assert.match(decision.explanation, /denied by `DEFAULT op=EXECUTE action=DENY` \(line 3\)/);
  assert.match(decision.tried[2]?.reason ?? '', /without a verified signature/);
});

test('lint', () => {
  const good = policyOf('DEFAULT action=DENY', 'op=EXECUTE boot_verified=TRUE action=ALLOW');
  assert.deepEqual(codes(good), []);
  assert.deepEqual(codes(good, good), ['version-not-raised']);
  assert.deepEqual(codes(good, { ...good, name: 'other' }), ['name-changed']);
  const open = policyOf('DEFAULT action=ALLOW');
  assert.equal(codes(open).filter((code) => code === 'allowed-by-default').length, 6);
  assert.equal(codes(open)[0], 'execute-allowed-by-default');
  assert.deepEqual(codes(policyOf('DEFAULT action=DENY')), ['nothing-may-execute']);
  const messy = policyOf(
    'DEFAULT action=DENY',
    'op=EXECUTE boot_verified=TRUE action=ALLOW',
    'op=EXECUTE dmverity_signature=TRUE boot_verified=TRUE action=DENY',
    'op=EXECUTE boot_verified=TRUE action=ALLOW',
    'op=KMODULE dmverity_signature=TRUE dmverity_signature=FALSE action=ALLOW',
    'op=FIRMWARE fsverity_digest=sha256:abcd action=ALLOW',
    'op=FIRMWARE fsverity_digest=SHA-256:abcd action=ALLOW',
    'op=X509_CERT action=ALLOW',
    'op=POLICY dmverity_signature=FALSE action=ALLOW',
  );
  assert.deepEqual(codes(messy).sort(), [
    'allows-unprotected',
    'duplicate-rule',
    'never-matches',
    'never-matches',
    'never-matches',
    'unconditional-allow',
    'unreachable-rule',
  ]);
});

const hex = fc.uint8Array({ maxLength: 40 }).map((value) => Buffer.from(value).toString('hex'));
const property: fc.Arbitrary<IpeProperty> = fc.oneof(
  fc.record({ name: fc.constantFrom(...ipeFlags), value: fc.boolean() }),
  fc.record({
    name: fc.constantFrom('dmverity_roothash', 'fsverity_digest'),
    digest: fc.record({ algorithm: fc.stringMatching(/^[a-z0-9-]{0,9}$/), hex }),
  }),
);
const rule: fc.Arbitrary<IpeStatement> = fc.record({
  kind: fc.constant('rule' as const),
  op: fc.constantFrom(...ipeOperations),
  properties: fc.array(property, { maxLength: 4 }),
  action: fc.constantFrom(...ipeActions),
});
const part = fc.integer({ min: 0, max: 65_535 });
const version = fc.record({ major: part, minor: part, revision: part });
const anyPolicy = fc.record({
  name: fc.stringMatching(/^[!-"$-~]{1,30}$/),
  version,
  rules: fc.array(rule, { maxLength: 20 }),
});

test('property: parse(encode(policy)) is the policy', () => {
  fc.assert(
    fc.property(anyPolicy, ({ rules, ...header }) => {
      const policy: IpePolicy = { ...header, statements: [{ kind: 'default', action: 'DENY' }, ...rules] };
      assert.deepEqual(shape(parseIpePolicy(encodeIpePolicy(policy))), shape(policy));
      lintIpePolicy(policy);
    }),
  );
});

test('property: versions compare as the kernel packs them into 48 bits', () => {
  fc.assert(
    fc.property(version, version, (a, b) => {
      assert.equal(Math.sign(compareIpeVersions(a, b)), Math.sign(packed(a) - packed(b)));
    }),
  );
});

test('what the language cannot say is not encoded', () => {
  const statements: IpeStatement[] = [{ kind: 'default', action: 'DENY' }];
  const zero = { major: 0, minor: 0, revision: 0 };
  for (const name of ['a b', 'a#b', 'a\nb', 'ключ', 'a\0b', '']) {
    assert.throws(() => encodeIpePolicy({ name, version: zero, statements }), name);
  }
  assert.throws(() => encodeIpePolicy({ name: 'a', version: { ...zero, major: 65_536 }, statements }));
  assert.throws(() => encodeIpePolicy({ name: 'a', version: zero, statements: [] }));
});
