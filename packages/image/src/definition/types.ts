/** A definition as the rest of osguard sees it: every default filled in, sizes in bytes. */

export interface Definition {
  readonly schema: 'osguard/v1';
  readonly name: string;
  readonly version: string;
  readonly architecture: 'amd64';
  readonly distribution: Distribution;
  readonly kernel: {
    readonly line: '7.x' | '6.12';
    readonly package: string;
    readonly suite?: 'trixie' | 'trixie-backports' | undefined;
  };
  /** Beside the host's own set. */
  readonly packages: readonly string[];
  readonly profile: 'hardened' | 'general';
  /** Shells and interpreters that stay in a hardened image. */
  readonly interpreters: readonly NamedException[];
  /** Programs that keep set-user-ID or set-group-ID. */
  readonly setuid: readonly NamedException[];
  readonly hostname?: string | undefined;
  readonly files: readonly DefinitionFile[];
  readonly units: {
    readonly enable: readonly string[];
    readonly disable: readonly string[];
    readonly mask: readonly string[];
  };
  readonly users: readonly DefinitionUser[];
  readonly groups: readonly DefinitionGroup[];
  readonly sysctls: Readonly<Record<string, number | string>>;
  readonly modules: { readonly load: readonly string[]; readonly deny: readonly string[] };
  /** Appended to the signed command line, in this order. */
  readonly kernelArguments: readonly string[];
  readonly enforcement: {
    readonly ipe: 'enforce' | 'audit';
    readonly selinux: 'enforcing' | 'permissive';
  };
  readonly layers: {
    /** Present: containers run from layers that the kernel verifies. */
    readonly mode?: 'enforce' | 'audit' | undefined;
    readonly signers: readonly LayerSigner[];
    /** Hosts with or without port. */
    readonly insecureRegistries: readonly string[];
    /** Reference with its registry. */
    readonly sandboxImage?: string | undefined;
  };
  readonly attest?: AttestDefinition | undefined;
  readonly disk: DiskSizes;
  readonly formats: readonly DiskFormat[];
  readonly machine: { /** Bytes. */ readonly memory: number; readonly cpus: number };
}

export interface Distribution {
  readonly name: 'debian';
  readonly suite: 'trixie';
  readonly components: readonly string[];
  readonly backports: boolean;
  /** Default: what this machine's apt uses. */
  readonly mirror?: string | undefined;
  readonly securityMirror?: string | undefined;
  /** Relative to the definition. */
  readonly keyring?: string | undefined;
  readonly snapshot?: { readonly mirror: string; readonly securityMirror?: string | undefined } | undefined;
}

export interface NamedException {
  readonly path: string;
  readonly why: string;
}

/** Exactly one of content, source, link and directory is present. */
export interface DefinitionFile {
  readonly path: string;
  readonly content?: string | undefined;
  /** Relative to the definition. */
  readonly source?: string | undefined;
  readonly link?: string | undefined;
  readonly directory?: true | undefined;
  /** Octal, such as `0644`. */
  readonly mode?: string | undefined;
  readonly owner: string;
  readonly group: string;
}

export interface DefinitionUser {
  readonly name: string;
  readonly uid: number;
  /** Primary group; default: one of the same name and number. */
  readonly group?: string | undefined;
  readonly groups: readonly string[];
  readonly home: string;
  readonly shell: string;
  readonly comment: string;
}

export interface DefinitionGroup {
  readonly name: string;
  readonly gid: number;
}

export interface AttestDefinition {
  /** https address without a path and without a final slash. */
  readonly verifier: string;
  /** Relative to the definition; PEM or DER. Default: the role `verifier` of the keys. */
  readonly ca?: string | undefined;
  /** Seconds between two proofs. */
  readonly interval: number;
}

export interface LayerSigner {
  readonly name: string;
  /** Relative to the definition; PEM or DER. */
  readonly certificate: string;
}

/** Bytes, multiples of 4096. */
export interface DiskSizes {
  readonly esp: number;
  /** Each of the two slots. */
  readonly usr: number;
  readonly var: number;
  readonly growVar: boolean;
}

export type DiskFormat = 'raw' | 'qcow2' | 'vhd' | 'vhdx';
