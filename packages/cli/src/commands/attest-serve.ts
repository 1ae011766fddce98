import { readFile } from 'node:fs/promises';
import type { Command, CommandContext } from '../command.ts';
import { defineCommand, list, text, textOr } from '../command.ts';
import { UsageError } from '../report.ts';

export const attestServe: Command = defineCommand({
  description: `Nodes enrol here, prove what they booted, and get secrets while what they prove is allowed. The state folder
holds the database, the key that seals secrets, the key that signs verdict tokens, and a first administrator's token, which the
other attest commands on this machine use by themselves.

Nobody is trusted by default: name the roots of endorsement certificates (--ek-root, or a policy), or approve endorsement keys
one by one. The log goes to stderr, one JSON object a line. The policy and the files it names are read again when they change,
and on SIGHUP; one with a mistake is refused and changes nothing. SIGTERM answers what is under way and ends. Several verifiers may
share one PostgreSQL database when their state folders hold the same secrets.key and token.key.`,
  options: {
    dir: textOr('--dir <folder>', 'state folder', 'verifier'),
    keys: textOr(
      '--keys <folder>',
      'keys: verifier (issues its certificate) and release (certificate)',
      'keys',
    ),
    listen: textOr('--listen <address:port>', 'where to listen', '127.0.0.1:7443'),
    names: list('--name <name>', 'name or address nodes use, for the certificate'),
    store: text(
      '--store <place>',
      'database: a SQLite file or postgres://… (verifier.db in the state folder)',
    ),
    policy: text('--policy <file>', 'what is trusted and allowed'),
    ekRoots: list('--ek-root <file>', 'root of endorsement certificates (PEM or DER)'),
    releases: list('--release <folder>', 'signed release, promoted when it is new'),
    secrets: list('--secret <name=file>', 'what every trusted node may fetch under that name'),
    tlsCert: text('--tls-cert <file>', 'certificate to show instead of an issued one (PEM)'),
    tlsKey: text('--tls-key <file>', 'its key (PEM)'),
    issuer: text('--issuer <url>', "who verdict tokens say they are from (the verifier's address)"),
  },
  args: {},
  examples: [
    {
      line: 'osguard attest serve --release out --ek-root tpm-root.pem --secret join-token=token.txt',
      does: 'everything one host needs to be trusted',
    },
    {
      line: 'osguard attest serve --listen 0.0.0.0:7443 --name attest.example --policy policy.yaml --store postgres://attest@db/attest',
      does: 'one of several replicas',
    },
  ],
  async run(values, context) {
    const { readIdentity, serveVerifier } = await import('@osguard/attest/service');
    const { host, port } = parseListen(values.listen);
    const { tlsCert, tlsKey } = values;
    if ((tlsCert === undefined) !== (tlsKey === undefined)) {
      throw new UsageError('--tls-cert and --tls-key belong together');
    }
    const tls =
      tlsCert === undefined || tlsKey === undefined ? undefined : await readIdentity(tlsCert, tlsKey);
    const verifier = await serveVerifier({
      state: values.dir,
      keys: values.keys,
      host,
      port,
      names: values.names,
      store: values.store,
      policy: values.policy,
      endorsementRoots: values.ekRoots,
      releases: values.releases,
      secrets: await readSecrets(values.secrets),
      tls,
      issuer: values.issuer,
      version: '0.1.0',
      log: logTo(context),
    });
    context.io.onHangup?.(() => void verifier.reload());
    const { url, tokenFile } = verifier;
    context.live(`${context.paint.green('listening')} on ${url}`);
    context.live(
      context.paint.dim(`operators: osguard attest nodes --dir ${values.dir} (token in ${tokenFile})`),
    );
    await stopped(context.signal);
    await verifier.close();
    return { json: { url, stopped: true }, text: () => 'stopped' };
  },
});

function parseListen(listen: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:.]+)\]|([^:\s]+)):(\d{1,5})$/i.exec(listen) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || Number(port) > 65_535) {
    throw new UsageError(`${listen}: expected ADDRESS:PORT, for example 0.0.0.0:7443 or [::]:7443`);
  }
  return { host, port: Number(port) };
}

async function readSecrets(named: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>> {
  const secrets = new Map<string, Uint8Array>();
  for (const each of named) {
    const [, name, file] = /^([A-Za-z0-9][A-Za-z0-9._-]{0,127})=(.+)$/.exec(each) ?? [];
    // Without what was given: it may be the secret itself.
    if (name === undefined || file === undefined) throw new UsageError('--secret: expected NAME=FILE');
    const value = await readFile(file);
    if (value.length === 0) throw new UsageError(`--secret ${name}: ${file} is empty`);
    secrets.set(name, value);
  }
  return secrets;
}

function logTo({ io }: CommandContext): (level: string, event: string, fields?: object) => void {
  return (level, event, fields = {}) => {
    io.stderr.write(`${JSON.stringify({ time: new Date().toISOString(), level, event, ...fields })}\n`);
  };
}

async function stopped(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    // Keeps the process alive whatever the connections do.
    const alive = setInterval(() => undefined, 60_000);
    signal.addEventListener('abort', () => {
      clearInterval(alive);
      resolve(undefined);
    });
  });
}
