/** reference-values.json: whether the release's own boot image and keys make exactly the measurements it promises. */

import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes } from '@osguard/formats/bytes';
import type { ReferenceValues } from '@osguard/formats/reference-values';
import { bootPhases, encodeReferenceValues, parseReferenceValues } from '@osguard/formats/reference-values';
import type { Keyring } from '@osguard/keys';
import { referenceValuesName, releaseMeasurements } from '../measure/index.ts';
import type { ReleaseFolder } from '../release/folder.ts';
import type { BootImage } from './boot-image.ts';
import type { CheckList } from './checks.ts';
import { CheckFailed } from './checks.ts';

/** Bytes; a release has a few dozen events. */
const largest = 4 * 1024 * 1024;

export interface MeasurementInput {
  readonly release: ReleaseFolder;
  /** Found on the disk. */
  readonly boot: BootImage;
  readonly trust: Keyring;
}

export async function checkMeasurements(list: CheckList, input: MeasurementInput): Promise<void> {
  const { release, boot, trust } = input;
  const name = {
    id: 'reference-values',
    title: 'the reference values are what this boot image and these keys measure',
    where: referenceValuesName,
  };
  await list.check(name, async () => {
    const path = join(release.path, referenceValuesName);
    if ((await stat(path)).size > largest) throw new CheckFailed('too large to be reference values');
    const bytes = await readFile(path);
    const { digest, signatures } = boot.verification();
    const signer = signatures.find(({ ok }) => ok)?.certificate;
    if (signer === undefined) throw new CheckFailed('the boot image is not signed by a trusted key');
    const { kernel } = release.manifest;
    const expected = releaseMeasurements({
      name: release.name,
      version: release.version,
      kernel,
      uki: boot.source,
      ukiDigest: digest,
      bootCertificate: signer,
      keyring: trust,
    });
    if (!equalBytes(bytes, encodeReferenceValues(expected))) throw difference(expected, bytes);
    const pcrs = expected.pcrs.map(({ pcr }) => pcr).join(', ');
    return { found: `PCRs ${pcrs}, ${expected.firmware.length} rules for firmware`, value: undefined };
  });
}

/** The first thing a person should look at. */
function difference(expected: ReferenceValues, bytes: Uint8Array): CheckFailed {
  const found = parseReferenceValues(bytes);
  for (const { pcr, values } of expected.pcrs) {
    const other = found.pcrs.find((each) => each.pcr === pcr);
    if (other === undefined) return new CheckFailed(`PCR ${pcr} is missing`);
    const phase = bootPhases.find((each) => values[each] !== other.values[each]);
    if (phase === undefined) continue;
    return new CheckFailed(`PCR ${pcr}, phase ${phase}: ${other.values[phase]}`, { expected: values[phase] });
  }
  return new CheckFailed('the same values, but other events, names or rules');
}
