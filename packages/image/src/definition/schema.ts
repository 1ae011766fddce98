/**
 * The definition of a host, schema `osguard/v1`: what a person may write, with its bounds. The published JSON Schema is
 * made from this, so every `description` is documentation.
 */

import { z } from 'zod';

import { refusedKernelArgument, refusedPath, refusedSysctl } from './forbidden.ts';
import { parseSize, sizePattern } from './size.ts';
import type { Definition } from './types.ts';

const text = (max: number): z.ZodString => z.string().min(1).max(max);
const oneLine = (max: number): z.ZodString =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^\P{Cc}+$/u, 'must be one line without control characters');

const packageName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9+.-]{1,99}$/, 'must be a Debian package name (lower-case letters, digits, + - .)');
const accountName = z
  .string()
  .regex(
    /^[a-z_][a-z0-9_-]{0,30}$/,
    'must be a user or group name: a-z, 0-9, _ and -, at most 31 characters',
  );
const unitName = z
  .string()
  .regex(
    /^[A-Za-z0-9:_.\\@-]{1,200}\.(?:service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$/,
    'must be a unit name with its type, for example `nginx.service`',
  );
const moduleName = z.string().regex(/^[A-Za-z0-9_-]{1,60}$/, 'must be a kernel module name');
const url = z
  .string()
  .max(500)
  .regex(/^(?:https?|file):\/\/[^\s"'[\]]+$/, 'must be an http, https or file URL');
const absolutePath = z
  .string()
  .max(4000)
  .regex(
    /^(?:\/(?!\.{1,2}(?:\/|$))[^/\p{Cc}]+)+$/u,
    'must be an absolute path without `.`, `..`, `//` or a final `/`',
  );
const imagePath = absolutePath.superRefine((path, context) => {
  const why = refusedPath(path);
  if (why !== undefined)
    context.addIssue({ code: 'custom', message: `${path} cannot be in the image: ${why}` });
});
const relativePath = z
  .string()
  .max(1000)
  .regex(
    /^(?!\/)(?:(?!\.\.(?:\/|$))[^/\p{Cc}]+\/)*(?!\.\.$)[^/\p{Cc}]+$/u,
    'must be a path inside the folder of the definition',
  );
const bytes = (what: string): z.ZodType<number, string> =>
  z
    .string()
    .regex(sizePattern, 'must be a size such as `512 MiB` (units B, KiB, MiB, GiB, TiB)')
    .transform((value) => parseSize(value) ?? Number.NaN)
    .refine((value) => Number.isSafeInteger(value) && value % 4096 === 0, 'must be a multiple of 4096 bytes')
    .meta({ description: what });

const distribution = z.strictObject({
  name: z.enum(['debian']).default('debian'),
  suite: z.enum(['trixie']).default('trixie').meta({ description: 'Debian release the packages come from.' }),
  components: z
    .array(z.enum(['main', 'contrib', 'non-free', 'non-free-firmware']))
    .min(1)
    .max(4)
    .default(['main']),
  backports: z.boolean().default(true).meta({
    description:
      'Make <suite>-backports available; only the kernel and packages that name it are taken from there.',
  }),
  mirror: url
    .optional()
    .meta({ description: "Package mirror. Default: the one in this machine's apt configuration." }),
  securityMirror: url
    .optional()
    .meta({ description: 'Mirror of the security archive. Default: as for `mirror`.' }),
  keyring: relativePath
    .optional()
    .meta({ description: "Keyring that signs the mirror. Default: the machine's Debian archive keyring." }),
  snapshot: z
    .strictObject({ mirror: url, securityMirror: url.optional() })
    .optional()
    .meta({ description: 'Archive of former states, asked for locked packages the mirror no longer has.' }),
});

const kernel = z.strictObject({
  line: z
    .enum(['7.x', '6.12'])
    .default('7.x')
    .meta({ description: '7.x keeps volume signers out of the firmware database; 6.12 cannot.' }),
  package: packageName.default('linux-image-cloud-amd64'),
  suite: z
    .enum(['trixie', 'trixie-backports'])
    .optional()
    .meta({ description: 'Default: trixie-backports for 7.x, trixie for 6.12.' }),
});

const file = z
  .strictObject({
    path: imagePath,
    content: z.string().max(131_072).optional().meta({ description: 'The whole text of the file.' }),
    source: relativePath
      .optional()
      .meta({ description: 'File beside the definition whose bytes are taken.' }),
    link: text(4000).optional().meta({ description: 'Makes a symbolic link with this target.' }),
    directory: z.literal(true).optional().meta({ description: 'Makes a directory.' }),
    mode: z
      .string()
      .regex(/^0[0-7]{3,4}$/, 'must be a quoted octal mode such as "0644"')
      .optional()
      .meta({ description: 'Default: "0644", directories "0755".' }),
    owner: accountName.default('root'),
    group: accountName.default('root'),
  })
  .superRefine((entry, context) => {
    const kinds = [entry.content, entry.source, entry.link, entry.directory].filter(
      (kind) => kind !== undefined,
    );
    if (kinds.length !== 1) {
      context.addIssue({
        code: 'custom',
        message: `${entry.path} needs exactly one of content, source, link, directory (found ${kinds.length})`,
      });
    }
    if (entry.link !== undefined && entry.mode !== undefined) {
      context.addIssue({ code: 'custom', path: ['mode'], message: 'a symbolic link has no mode of its own' });
    }
    if (entry.mode !== undefined && /^0[2-7][0-7]{3}$/.test(entry.mode)) {
      context.addIssue({
        code: 'custom',
        path: ['mode'],
        message: `mode ${entry.mode} sets set-user-ID or set-group-ID; name the file under \`setuid\` instead`,
      });
    }
  });

const units = z.strictObject({
  enable: z.array(unitName).max(500).default([]),
  disable: z.array(unitName).max(500).default([]),
  mask: z.array(unitName).max(500).default([]),
});

const user = z.strictObject({
  name: accountName,
  uid: z.int().min(1).max(60_000).meta({ description: 'Fixed, so that two builds give the same bits.' }),
  group: accountName
    .optional()
    .meta({ description: 'Primary group. Default: one of the same name and number.' }),
  groups: z.array(accountName).max(100).default([]),
  home: absolutePath.default('/nonexistent'),
  shell: absolutePath.default('/usr/sbin/nologin'),
  comment: z
    .string()
    .max(200)
    .regex(/^[^:\p{Cc}]*$/u, 'must not contain colons or control characters')
    .default(''),
});

const group = z.strictObject({ name: accountName, gid: z.int().min(1).max(60_000) });

const sysctls = z
  .record(
    z
      .string()
      .max(200)
      .regex(/^[a-z0-9_-]+(?:[./][A-Za-z0-9_*-]+)+$/, 'must be a sysctl name such as `net.ipv4.ip_forward`'),
    z.union([z.int(), oneLine(500)], { error: 'must be an integer or one line of text' }),
  )
  .superRefine((values, context) => {
    for (const key of Object.keys(values)) {
      const why = refusedSysctl(key);
      if (why !== undefined)
        context.addIssue({ code: 'custom', path: [key], message: `sysctl ${key} is refused: ${why}` });
    }
  });

const kernelArgument = z
  .string()
  .max(256)
  .regex(/^[\u0021-\u007e]+$/, 'must be one kernel argument without spaces')
  .superRefine((argument, context) => {
    const why = refusedKernelArgument(argument);
    if (why !== undefined)
      context.addIssue({ code: 'custom', message: `kernel argument ${argument} is refused: ${why}` });
  });

const exception = z.strictObject({
  path: absolutePath,
  why: oneLine(300).meta({ description: 'The reason; it is repeated in the release and in the proof.' }),
});

const enforcement = z.strictObject({
  ipe: z.enum(['enforce', 'audit']).default('enforce'),
  selinux: z.enum(['enforcing', 'permissive']).default('enforcing'),
});

const layerSigner = z.strictObject({
  name: accountName,
  certificate: relativePath.meta({
    description: 'PEM or DER certificate whose signatures on container layers count.',
  }),
});

/** Seconds by the unit of a duration. */
const durationUnits: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 };
const shortestInterval = 10;
const longestInterval = 86_400;

const interval = z
  .string()
  .regex(/^[1-9][0-9]{0,4}[smh]$/, 'must be a duration such as `5m` (units s, m, h)')
  .transform((value) => Number(value.slice(0, -1)) * (durationUnits[value.slice(-1)] ?? Number.NaN))
  .refine(
    (seconds) => seconds >= shortestInterval && seconds <= longestInterval,
    `must be ${shortestInterval}s to 24h`,
  )
  .meta({ description: 'Time between two proofs. Default: 5m.' });

const attest = z.strictObject({
  verifier: z
    .string()
    .max(500)
    .regex(/^https:\/\/[^\s/?#@"'\\]+\/?$/, 'must be an https address without a path')
    .refine((address) => URL.canParse(address), 'must be an https address without a path')
    .transform((address) => address.replace(/\/$/, ''))
    .meta({ description: 'Address of the verifier, as the host reaches it.' }),
  ca: relativePath.optional().meta({
    description:
      "PEM or DER certificate that the verifier's TLS certificate comes from. Default: the role `verifier` of the keys.",
  }),
  interval: interval.prefault('5m'),
});

const layers = z.strictObject({
  mode: z.enum(['enforce', 'audit']).optional().meta({
    description:
      'Containers run from signed layers that the kernel verifies; audit mounts unsigned ones too and logs them.',
  }),
  signers: z.array(layerSigner).max(32).default([]),
  insecureRegistries: z
    .array(
      z
        .string()
        .regex(/^[a-z0-9.-]+(?::[0-9]{1,5})?$/, 'must be a host name or address, with or without a port'),
    )
    .max(32)
    .default([])
    .meta({
      description:
        'Registries the host may reach without TLS, such as `10.0.2.2:5000`; layers are verified all the same.',
    }),
  sandboxImage: z
    .string()
    .max(500)
    .regex(
      /^[a-z0-9.-]+(?::[0-9]{1,5})?(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)+(?::\w[\w.-]{0,127}(?:@sha256:[0-9a-f]{64})?|@sha256:[0-9a-f]{64})$/,
      'must be a whole image reference with its registry, such as `registry.example/pause:3.10`',
    )
    .optional()
    .meta({
      description:
        "Image of the container that holds a pod's namespaces; signed like every other. Without it there are no pods.",
    }),
});

const disk = z.strictObject({
  esp: bytes('EFI system partition.').default(128 * 1024 ** 2),
  usr: bytes('Each of the two /usr data partitions (slots A and B).').default(512 * 1024 ** 2),
  var: bytes('Smallest /var.').default(1024 ** 3),
  growVar: z
    .boolean()
    .default(true)
    .meta({ description: 'Let /var take the rest of the disk on the first boot.' }),
});

const machine = z.strictObject({
  memory: bytes('Memory of `osguard vm run`.').default(2 * 1024 ** 3),
  cpus: z.int().min(1).max(64).default(2),
});

/** @see definitionJsonSchema for the published form. */
export const definitionSchema: z.ZodType<Definition> = z.strictObject({
  schema: z.literal('osguard/v1'),
  name: z
    .string()
    .regex(
      /^[a-z][a-z0-9-]{0,39}$/,
      'must be lower-case letters, digits and -, at most 40, starting with a letter',
    )
    .meta({ description: 'Name of the host image; part of file names.' }),
  version: z
    .string()
    .regex(
      /^[0-9A-Za-z][0-9A-Za-z.+~-]{0,39}$/,
      'must be letters, digits and . + ~ -, at most 40 (quote numbers: "1.0")',
    )
    .meta({ description: 'Version of this image. Quote it: 1.10 unquoted is a number.' }),
  architecture: z.enum(['amd64']).default('amd64'),
  distribution: distribution.prefault({}),
  kernel: kernel.prefault({}),
  packages: z
    .array(packageName)
    .max(2000)
    .default([])
    .meta({ description: "Packages beside the host's own set; recommended packages are not added." }),
  profile: z.enum(['hardened', 'general']).default('hardened').meta({
    description:
      'hardened: no shell, interpreter, package manager, compiler or documentation stays in the image.',
  }),
  interpreters: z
    .array(exception)
    .max(50)
    .default([])
    .meta({ description: 'Shells and interpreters that stay in a hardened image.' }),
  setuid: z
    .array(exception)
    .max(50)
    .default([])
    .meta({ description: 'Programs that keep set-user-ID or set-group-ID.' }),
  hostname: z
    .string()
    .max(253)
    .regex(
      /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
      'must be a host name',
    )
    .optional(),
  files: z.array(file).max(5000).default([]),
  units: units.prefault({}),
  users: z.array(user).max(1000).default([]),
  groups: z.array(group).max(1000).default([]),
  sysctls: sysctls.default({}),
  modules: z
    .strictObject({
      load: z.array(moduleName).max(200).default([]),
      deny: z.array(moduleName).max(1000).default([]),
    })
    .prefault({}),
  kernelArguments: z
    .array(kernelArgument)
    .max(64)
    .default([])
    .meta({ description: 'Appended to the command line that is signed into the image.' }),
  enforcement: enforcement.prefault({}),
  layers: layers.prefault({}),
  attest: attest.optional().meta({ description: 'The host proves to this verifier what it booted.' }),
  disk: disk.prefault({}),
  formats: z
    .array(z.enum(['raw', 'qcow2', 'vhd', 'vhdx']))
    .min(1)
    .max(4)
    .default(['raw']),
  machine: machine.prefault({}),
});

/** JSON Schema (draft 2020-12) of what a person may write. */
export function definitionJsonSchema(): Record<string, unknown> {
  return {
    title: 'osguard definition, schema osguard/v1',
    ...z.toJSONSchema(definitionSchema, { io: 'input', target: 'draft-2020-12' }),
  };
}
