/** What `layers check` says about one file of an image, or about how the image is started. */

export type FindingLevel =
  /** An enforcing host refuses it. */
  | 'refused'
  /** It runs, but some of what it does is refused, or it runs slower. */
  | 'limited'
  /** It runs; the reader should know something about it all the same. */
  | 'note';

export type FindingId =
  | 'jit-v8'
  | 'jit-java'
  | 'jit-dotnet'
  | 'jit-mono'
  | 'jit-luajit'
  | 'jit-pcre'
  | 'jit-javascriptcore'
  | 'jit-spidermonkey'
  | 'jit-erlang'
  | 'jit-pypy'
  | 'jit-php'
  | 'jit-postgresql'
  | 'jit-julia'
  | 'jit-wasm'
  | 'jit-gcc'
  | 'jit-qemu'
  | 'libffi-closures'
  | 'executable-stack'
  | 'text-relocations'
  | 'writable-text'
  | 'memfd-clone'
  | 'memfd-exec'
  | 'self-extracting'
  | 'foreign-architecture'
  | 'interpreter-missing'
  | 'in-volume'
  | 'entry-point-unsigned'
  | 'entry-point-missing'
  | 'entry-point-script'
  | 'interpreter'
  | 'setuid'
  | 'file-capabilities'
  | 'unreadable';

export interface Finding {
  readonly id: FindingId;
  readonly level: FindingLevel;
  /** Absolute in the image. */
  readonly path: string;
  /** The layer the file comes from, from 1; undefined for what the configuration says. */
  readonly layer?: number;
  /** What was seen in the file or the configuration. */
  readonly evidence: string;
  readonly why: string;
  /** What to do about it. */
  readonly mend: string;
}
