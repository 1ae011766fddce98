/** What the agent needs of the machine it runs on; the tests give another machine. */

export interface NodeKeys {
  /** TPMT_PUBLIC. */
  readonly ek: Uint8Array;
  /** DER, leaf first. */
  readonly ekCertificates: readonly Uint8Array[];
  /** TPMT_PUBLIC. */
  readonly ak: Uint8Array;
}

export interface QuoteRequest {
  /** Of the sha256 bank. */
  readonly pcrs: readonly number[];
  readonly qualifyingData: Uint8Array;
}

export interface MachineQuote {
  /** TPMS_ATTEST. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE. */
  readonly signature: Uint8Array;
  /** What the quote's digest was made of. */
  readonly values: ReadonlyMap<number, Uint8Array>;
}

export interface MachineLogs {
  /** binary_bios_measurements. */
  readonly firmware: Uint8Array;
  /** tpm2-measure.log; empty when nothing was measured after the boot loader. */
  readonly userspace: string;
  /** /proc/cmdline. Proves nothing; it lets the verifier say what was changed in a line of which logs hold the digest. */
  readonly commandLine?: string;
}

export interface Machine {
  /** What people call it. */
  readonly name: string;
  keys(): Promise<NodeKeys>;
  /** Decrypts what only the TPM of these keys can. */
  activate(credential: Uint8Array, secret: Uint8Array): Promise<Uint8Array>;
  quote(request: QuoteRequest): Promise<MachineQuote>;
  logs(): Promise<MachineLogs>;
}
