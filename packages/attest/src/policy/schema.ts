/** `osguard/attest-policy/v1`: what a person may write. Every `description` is documentation. */

import { z } from 'zod';
import { durationPattern, instantPattern, parseDuration, parseInstant } from './duration.ts';
import { policySchemaName } from './types.ts';
import type { WrittenPolicy } from './types.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in lower-case hex (64 digits, quoted)');
const path = z
  .string()
  .max(1000)
  .regex(
    /^(?!\/)(?:(?!\.\.(?:\/|$))[^/\p{Cc}]+\/)*(?!\.\.$)[^/\p{Cc}]+$/u,
    'must be a path inside the folder of the policy',
  );
// oxlint-disable-next-line typescript/explicit-function-return-type -- the schema is its own type
const duration = (fallback: string, least: number, most: string) =>
  z
    .string()
    .regex(durationPattern, 'must be a duration such as `90s`, `5m`, `12h` or `30d`')
    .default(fallback)
    .transform((text) => parseDuration(text) ?? Number.NaN)
    .refine(
      (value) => value >= least && value <= (parseDuration(most) ?? 0),
      `must be between ${least / 1000}s and ${most}`,
    );
const instant = z
  .string()
  .regex(instantPattern, 'must be a time in UTC such as `2026-11-22T10:00:00Z`')
  .transform((text) => parseInstant(text) ?? Number.NaN)
  .refine((value) => !Number.isNaN(value), 'must be a day that exists');
export const versionPattern: RegExp = /^[0-9A-Za-z][0-9A-Za-z.+~-]{0,39}$/;
const word = z
  .string()
  .min(1)
  .max(200)
  .regex(/^\P{Cc}+$/u, 'must be one line');

const endorsement = z.strictObject({
  roots: z.array(path).max(500).default([]).meta({
    description:
      'Certificates (PEM or DER files) at which the path of an EK certificate must end. None: no certificate counts.',
  }),
  intermediates: z.array(path).max(2000).default([]).meta({
    description: 'Authorities in between, for TPMs that do not carry them. They prove nothing alone.',
  }),
  keys: z.array(sha256).max(100_000).default([]).meta({
    description: 'SHA-256 of EK public areas (node ids) accepted without a certificate.',
  }),
  revocation: z
    .strictObject({
      lists: z.array(path).max(2000).default([]).meta({
        description: 'Revocation lists (X.509 CRL, PEM or DER files) of the authorities. Nothing is fetched.',
      }),
      required: z.boolean().default(false).meta({
        description: 'Refuse certificates of an authority that has no list here.',
      }),
      grace: duration('0s', 0, '90d').meta({
        description:
          'How long a list counts after the next one was due. After that its authority is refused.',
      }),
    })
    .prefault({}),
});

const release = z
  .strictObject({
    folder: path.meta({
      description: 'Release folder, or a copy of its release.json and reference-values.json.',
    }),
    state: z.enum(['promoted', 'deprecated', 'revoked']),
    from: instant.optional().meta({ description: 'Not accepted before.' }),
    until: instant.optional().meta({ description: 'Not accepted after; a deprecated release needs one.' }),
  })
  .superRefine(({ state, from, until }, context) => {
    if (state === 'deprecated' && until === undefined) {
      context.addIssue({
        code: 'custom',
        path: ['state'],
        message: 'a deprecated release needs `until`: the end of its grace',
      });
    }
    if (from !== undefined && until !== undefined && from >= until) {
      context.addIssue({ code: 'custom', path: ['until'], message: '`until` must be after `from`' });
    }
  });

/** Without these no statement about what booted can be made, so a policy cannot leave them out. */
export const indispensablePcrs: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];

const quote = z.strictObject({
  pcrs: z
    .array(z.int().min(0).max(23))
    .max(24)
    .default([...indispensablePcrs])
    .meta({
      description:
        'PCRs of the bank SHA-256 that the quote must cover; 0 to 9 and 11 to 15 are always needed.',
    }),
  maximumAge: duration('5m', 10_000, '24h').meta({
    description: 'From the issue of the nonce to the judgement.',
  }),
  clockSkew: duration('30s', 0, '10m').meta({
    description: 'By how much the clocks of several verifiers may differ.',
  }),
});

const firmware = z.strictObject({
  dbx: z
    .array(sha256)
    .max(100_000)
    .default([])
    .meta({ description: 'Images that the firmware must refuse: SHA-256 entries dbx must contain.' }),
  versions: z
    .array(word)
    .max(1000)
    .default([])
    .meta({ description: 'Accepted firmware versions (EV_S_CRTM_VERSION). None: any.' }),
  pcr0: z.array(sha256).max(10_000).default([]).meta({ description: 'Accepted values of PCR 0. None: any.' }),
  drivers: z
    .array(sha256)
    .max(10_000)
    .default([])
    .meta({ description: 'Drivers and option ROMs (PCR 2) that may run, by digest. None: none may.' }),
});

/** @see policyJsonSchema for the published form. */
export const policySchema: z.ZodType<WrittenPolicy> = z.strictObject({
  schema: z.literal(policySchemaName),
  name: z
    .string()
    .regex(
      /^[a-z][a-z0-9-]{0,39}$/,
      'must be lower-case letters, digits and -, at most 40, starting with a letter',
    ),
  trust: z.strictObject({
    endorsement: endorsement.prefault({}),
    release: z
      .array(path)
      .min(1)
      .max(32)
      .meta({ description: 'Certificates of those who sign releases (role release).' }),
  }),
  releases: z.array(release).max(1000),
  minimumVersion: z
    .string()
    .regex(versionPattern, 'must be a version (quote numbers: "1.0")')
    .optional()
    .meta({ description: 'Releases older than this are refused, whatever their state.' }),
  rollbackProtection: z
    .boolean()
    .default(true)
    .meta({ description: 'Refuse a node an older release than the one it was last trusted with.' }),
  quote: quote.prefault({}),
  firmware: firmware.prefault({}),
  verdict: z
    .strictObject({
      lifetime: duration('10m', 10_000, '24h').meta({
        description: 'How long a verdict counts. Nodes prove anew before that.',
      }),
    })
    .prefault({}),
  token: z
    .strictObject({
      lifetime: duration('6m', 10_000, '1h').meta({
        description:
          'How long a token counts, at most as long as its verdict. Who does not ask for its status believes it until then.',
      }),
    })
    .prefault({}),
});

/** JSON Schema (draft 2020-12) of what a person may write. */
export function policyJsonSchema(): Record<string, unknown> {
  return {
    title: 'osguard attestation policy, schema osguard/attest-policy/v1',
    ...z.toJSONSchema(policySchema, { io: 'input', target: 'draft-2020-12' }),
  };
}
