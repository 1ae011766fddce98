import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { FormatError } from '@osguard/formats/bytes';
import {
  assertDigest,
  digestOfBytes,
  encodeManifest,
  formatReference,
  isDigest,
  largestDocument,
  mediaTypes,
  nextLink,
  parseChallenges,
  parseContentRange,
  parseDigest,
  parseImageConfig,
  parseManifest,
  parseReference,
  readLayerSignatures,
  referrersTag,
  signatureLayout,
  subjectOfReferrersTag,
} from '@osguard/formats/oci';
import type { ImageManifest } from '@osguard/formats/oci';
import { noVectors, vectors } from '@osguard/testkit';

const bytesOf = (value: unknown): Uint8Array =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const digest = digestOfBytes(bytesOf('x'));
const config = { mediaType: mediaTypes.ociConfig, digest, size: 2 };
const layer = { mediaType: mediaTypes.ociLayerGzip, digest, size: 7 };
const plain = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };

function refuses(value: unknown, expected: RegExp, mediaType?: string): void {
  assert.throws(
    () => parseManifest(bytesOf(value), mediaType === undefined ? {} : { mediaType }),
    (error: unknown) => error instanceof FormatError && expected.test(error.message),
  );
}

function subjectOf({ subject }: ImageManifest): {
  readonly subject: NonNullable<typeof subject>['digest'];
} {
  assert.ok(subject !== undefined);
  return { subject: subject.digest };
}

suite('digests', () => {
  test('registered algorithms in lower case, nothing else', () => {
    assert.equal(parseDigest(digest), digest);
    assert.ok(isDigest(`sha512:${'0'.repeat(128)}`));
    for (const text of ['', 'sha256:', `sha256:${'A'.repeat(64)}`, `md5:${'0'.repeat(32)}`, `${digest} `]) {
      assert.throws(() => parseDigest(text), FormatError, text);
    }
  });

  test('content that is not what the digest says is refused', () => {
    assertDigest(bytesOf('x'), digest);
    const long = parseDigest(`sha512:${createHash('sha512').update('x').digest('hex')}`);
    assertDigest(bytesOf('x'), long);
    assert.throws(() => assertDigest(bytesOf('y'), digest), { code: 'checksum' });
  });
});

suite('references', () => {
  const known: readonly (readonly [string, string])[] = [
    ['debian', 'docker.io/library/debian:latest'],
    ['debian:12', 'docker.io/library/debian:12'],
    ['grafana/loki', 'docker.io/grafana/loki:latest'],
    ['index.docker.io/debian', 'docker.io/library/debian:latest'],
    ['docker.io/a/b/c:t', 'docker.io/a/b/c:t'],
    ['localhost/a', 'localhost/a:latest'],
    ['localhost:5000/a:1', 'localhost:5000/a:1'],
    ['registry.example/a', 'registry.example/a:latest'],
    ['Registry/a', 'Registry/a:latest'],
    ['[::1]:5000/a/b', '[::1]:5000/a/b:latest'],
    ['127.0.0.1:5000/a__b/c-d--e.f:T_1.2-3', '127.0.0.1:5000/a__b/c-d--e.f:T_1.2-3'],
    [`a@${digest}`, `docker.io/library/a@${digest}`],
    [`h:1/a:t@${digest}`, `h:1/a:t@${digest}`],
  ];
  for (const [given, full] of known) {
    test(given, () => {
      assert.equal(formatReference(parseReference(given)), full);
      assert.deepEqual(parseReference(full), parseReference(given));
    });
  }

  test('what no registry would take is refused', () => {
    const bad = [
      '',
      'A',
      'a/B',
      'a:',
      'a:.x',
      'a@sha256:12',
      'a//b',
      '/a',
      'a/',
      'h:0/a',
      'h:99999/a',
      'a___b',
    ];
    for (const text of [...bad, 'a..b', 'a b', 'a\n', '-a/b', 'a.', `${'a/'.repeat(200)}b`, '0'.repeat(64)]) {
      assert.throws(() => parseReference(text), FormatError, JSON.stringify(text));
    }
  });

  test('the referrers tag leads back to the digest', () => {
    assert.equal(referrersTag(digest), digest.replace(':', '-'));
    assert.equal(subjectOfReferrersTag(referrersTag(digest)), digest);
    assert.equal(subjectOfReferrersTag('latest'), undefined);
    assert.equal(referrersTag(parseDigest(`sha512:${'0'.repeat(128)}`)).length, 'sha512-'.length + 64);
  });
});

suite('manifests', () => {
  test('encode and parse are each other’s way back', () => {
    const manifest: ImageManifest = {
      kind: 'manifest',
      mediaType: mediaTypes.ociManifest,
      artifactType: 'application/x.y+json',
      config: { mediaType: mediaTypes.ociEmpty, digest, size: 2, data: Uint8Array.from(bytesOf('{}')) },
      layers: [{ mediaType: 'a/b', digest, size: 0, annotations: new Map([['k', 'v']]) }],
      subject: { mediaType: mediaTypes.ociManifest, digest, size: 9 },
      annotations: new Map([
        ['b', '2'],
        ['a', '1'],
      ]),
    };
    const bytes = encodeManifest(manifest);
    const again = parseManifest(bytes);
    assert.deepEqual(again, manifest);
    assert.deepEqual(encodeManifest(again), bytes);
  });

  test('an index with platforms', () => {
    const index = parseManifest(
      bytesOf({
        schemaVersion: 2,
        manifests: [
          {
            mediaType: mediaTypes.ociManifest,
            digest,
            size: 1,
            platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
          },
        ],
      }),
    );
    assert.ok(index.kind === 'index' && index.mediaType === mediaTypes.ociIndex);
    assert.deepEqual(index.manifests[0]?.platform, { os: 'linux', architecture: 'arm64', variant: 'v8' });
    assert.deepEqual(parseManifest(encodeManifest(index)), index);
  });

  test('a Docker manifest is named by what it was fetched as, when it does not say', () => {
    const { mediaType: _own, ...unnamed } = plain;
    assert.equal(
      parseManifest(bytesOf(unnamed), { mediaType: mediaTypes.dockerManifest }).mediaType,
      mediaTypes.dockerManifest,
    );
    assert.equal(parseManifest(bytesOf(unnamed)).mediaType, mediaTypes.ociManifest);
  });

  test('documents that could be read in two ways are refused', () => {
    refuses({ ...plain, manifests: [] }, /both an index and an image manifest/);
    refuses(plain, /but was given as/, mediaTypes.dockerManifest);
    refuses({ ...plain, mediaType: mediaTypes.ociIndex }, /is not the type of an image manifest/);
    refuses({ ...plain, Layers: [] }, /"Layers" would be read as layers/);
    refuses({ ...plain, layerſ: [] }, /would be read as layers/);
    refuses({ ...plain, layers: [{ ...layer, Digest: digest }] }, /would be read as digest/);
    refuses(`{"schemaVersion":2,"config":1,"config":2}`, /"config" stands there twice/);
    refuses(`{"schemaVersion":2,"config":1,"conf\\u0069g":2}`, /"config" stands there twice/);
  });

  test('wrong members are named with their place', () => {
    refuses({ ...plain, layers: [layer, { ...layer, size: -1 }] }, /manifest\.layers\[1\]\.size/);
    refuses({ ...plain, layers: [{ ...layer, size: 2 ** 53 }] }, /size/);
    refuses({ ...plain, layers: [{ ...layer, digest: 'sha256:12' }] }, /digest/);
    refuses({ ...plain, config: { ...config, mediaType: 'x' } }, /no media type/);
    refuses({ ...plain, schemaVersion: 1 }, /Docker schema 1/);
    refuses([], /expected an object/);
    refuses('{', /no JSON/);
    refuses(`${'['.repeat(40)}${']'.repeat(40)}`, /nested deeper/);
    refuses({ ...plain, layers: Array.from({ length: 2000 }, () => layer) }, /2000 entries/);
    refuses(' '.repeat(largestDocument + 1), /at most/);
  });
});

suite('image configs', () => {
  test('what decides how the image runs', () => {
    const parsed = parseImageConfig(
      bytesOf({
        os: 'linux',
        architecture: 'amd64',
        config: {
          Entrypoint: ['/bin/x'],
          Cmd: null,
          Volumes: { '/data': {} },
          Labels: { a: 'b' },
          WorkingDir: '/w',
        },
        rootfs: { type: 'layers', diff_ids: [digest] },
        history: [{}],
      }),
    );
    assert.deepEqual(parsed.diffIds, [digest]);
    assert.deepEqual([parsed.entrypoint, parsed.cmd, parsed.volumes], [['/bin/x'], [], ['/data']]);
    assert.equal(parsed.labels.get('a'), 'b');
    assert.throws(
      () => parseImageConfig(bytesOf({ os: 'linux', architecture: 'x', rootfs: { type: 'windows' } })),
      FormatError,
    );
  });
});

suite('header fields', () => {
  test('challenges', () => {
    const [bearer, basic] = parseChallenges(
      'Bearer realm="https://a.example/token?x=1,2",service="s",scope="repository:a/b:pull,push" , Basic realm="a \\"b\\""',
    );
    assert.equal(bearer?.scheme, 'bearer');
    assert.equal(bearer.parameters.get('scope'), 'repository:a/b:pull,push');
    assert.equal(bearer.parameters.get('realm'), 'https://a.example/token?x=1,2');
    assert.equal(basic?.parameters.get('realm'), 'a "b"');
    assert.deepEqual(
      parseChallenges('Negotiate, NTLM abc==, Basic').map(({ scheme }) => scheme),
      ['negotiate', 'ntlm', 'basic'],
    );
    for (const text of ['a="b"', 'Bearer a="b', 'Bearer a="1" b="2"', 'Bearer a="1",a="2"', '=']) {
      assert.throws(() => parseChallenges(text), FormatError, text);
    }
  });

  test('links and ranges', () => {
    assert.equal(nextLink('</v2/a/tags/list?last=b>; rel="next"'), '/v2/a/tags/list?last=b');
    assert.equal(nextLink('<x>; rel=prev, <y>; title="a,b"; rel=next'), 'y');
    assert.equal(nextLink('<x>; rel="prev nextish"'), undefined);
    assert.deepEqual(parseContentRange('bytes 5-9/10'), { first: 5, last: 9, size: 10 });
    assert.equal(parseContentRange('bytes 5-9/9'), undefined);
    assert.equal(parseContentRange('bytes */10'), undefined);
  });

  test('any text gives a list or a FormatError', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseChallenges(text);
          parseReference(text);
        } catch (error) {
          assert.ok(error instanceof FormatError, String(error));
        }
        nextLink(text);
      }),
    );
  });
});

suite('layer signatures in the wild', () => {
  const found = vectors();
  const skip = found === undefined ? noVectors : false;
  function manifestOf(file: string): ImageManifest {
    const manifest = parseManifest(found?.file(`layer-signatures/${file}`) ?? new Uint8Array());
    assert.ok(manifest.kind === 'manifest');
    return manifest;
  }

  test('tardev', { skip }, () => {
    const manifest = manifestOf('shape-a.mt-pkcs7.two-layers.json');
    assert.equal(signatureLayout(manifest), 'tardev');
    // The vector's signatures are cut short, so they are no base64.
    assert.throws(() => readLayerSignatures(manifest, subjectOf(manifest)), /no base64/);
    const mended = manifest.layers.map((each) => {
      const annotations = new Map(each.annotations);
      annotations.set('image.layer.signature', 'AAEC');
      return { ...each, annotations };
    });
    const [first, second] = readLayerSignatures({ ...manifest, layers: mended }, subjectOf(manifest));
    assert.equal(first?.rootHash, 'bbc5eb630285e35804912451d25e30b03439f4c56fb015e5c3b8830d2b8c2b8f');
    assert.deepEqual(second?.embedded, Uint8Array.of(0, 1, 2));
  });

  test('notation: the example in the proposal has placeholders for digests', { skip }, () => {
    assert.throws(() => manifestOf('shape-b.notation-proposal.json'), /digest/);
    const text = Buffer.from(found?.file('layer-signatures/shape-b.notation-proposal.json') ?? []).toString();
    const mended = text.replaceAll(/sha256:[a-z0-9.]*(?:\.\.\.)/g, digest);
    const manifest = parseManifest(bytesOf(mended));
    assert.ok(manifest.kind === 'manifest');
    assert.equal(signatureLayout(manifest), 'notation');
    assert.deepEqual(readLayerSignatures(manifest, { subject: digest })[0]?.layerDigest, digest);
  });

  test('acl', { skip }, () => {
    const manifest = manifestOf('shape-c.signature-only.sample.json');
    assert.equal(signatureLayout(manifest), 'acl');
    const [only] = readLayerSignatures(manifest, subjectOf(manifest));
    assert.equal(Buffer.from(only?.embedded ?? []).toString(), 'placeholder-not-a-signature');
  });

  test('rules that hold for all of them', { skip }, () => {
    const manifest = manifestOf('shape-c.signature-only.sample.json');
    const { subject } = subjectOf(manifest);
    const [blob] = manifest.layers;
    assert.ok(blob !== undefined);
    assert.throws(() => readLayerSignatures(manifest, { subject: digest }), /expected sha256/);
    assert.throws(() => readLayerSignatures({ ...manifest, layers: [blob, blob] }, { subject }), /twice/);
    assert.throws(
      () => readLayerSignatures({ ...manifest, layers: [{ ...blob, mediaType: 'a/b' }] }, { subject }),
      /of type a\/b/,
    );
    assert.throws(
      () => readLayerSignatures({ ...manifest, layers: [{ ...blob, size: 0 }] }, { subject }),
      /0 bytes/,
    );
    for (const row of found?.rows('8-layer-signatures') ?? []) {
      if (!row.id.startsWith('layersig/root-hash-text/')) continue;
      const { text } = row['input'] as { text: string };
      const annotations = new Map(blob.annotations).set('io.cncf.notary.dmverity.layer-roothash', text);
      const read = (): unknown =>
        readLayerSignatures({ ...manifest, layers: [{ ...blob, annotations }] }, { subject });
      if ((row['expected'] as { result: string }).result === 'accept') read();
      else assert.throws(read, /64 lower-case hex/, row.id);
    }
  });
});
