/**
 * How runtimes that make code while they run give themselves away. IPE decides about every page that becomes
 * executable: anonymous memory comes from no signed file, so it never may.
 *
 * Symbols and names of libraries first: they are contracts. Bytes only where programs are linked statically or are
 * stripped, and then whole sentences or names nobody else would have.
 */

import type { FindingId, FindingLevel } from './finding.ts';

export interface Runtime {
  readonly id: FindingId;
  readonly level: FindingLevel;
  /** Names of shared objects (DT_SONAME, or the file's name). */
  readonly sonames?: RegExp;
  /** One of these is exported. */
  readonly exports?: readonly string[];
  /** One of these is imported: the file uses a library that has the runtime in it. */
  readonly imports?: readonly string[];
  /** All names of one of these lists are imported. */
  readonly together?: readonly (readonly string[])[];
  /** Latin-1 text somewhere in the file. */
  readonly texts?: readonly string[];
  /** Text that says it is a variant without the JIT. */
  readonly unless?: string;
  readonly why: string;
  readonly mend: string;
}

const anonymous = 'memory that comes from no signed file may not be executed';

export const runtimes: readonly Runtime[] = [
  {
    id: 'jit-v8',
    level: 'refused',
    sonames: /^libnode\.so|^libv8(?:_libbase)?\.so/,
    exports: ['_ZN2v87Isolate3NewERKNS0_12CreateParamsE', '_ZN2v82V810InitializeEi'],
    texts: ['isable runtime allocation of executable memory.'],
    why: `V8 compiles JavaScript while it runs, and traps at start when it may not: ${anonymous}`,
    mend: 'start it with --jitless (Node: NODE_OPTIONS=--jitless); WebAssembly, and with it fetch, does not exist then',
  },
  {
    id: 'jit-java',
    level: 'refused',
    sonames: /^libjvm\.so/,
    exports: ['JNI_CreateJavaVM'],
    unless: 'Zero VM',
    why: `HotSpot generates even its interpreter while it starts: ${anonymous}`,
    mend: 'use a Zero virtual machine (openjdk-*-jre-zero, java -zero), or compile ahead of time (GraalVM native-image)',
  },
  {
    id: 'jit-dotnet',
    level: 'refused',
    sonames: /^lib(?:coreclr|clrjit)\.so/,
    texts: ['DOTNET_BUNDLE_EXTRACT_BASE_DIR'],
    why: `the .NET runtime compiles methods when they are first called: ${anonymous}`,
    mend: 'publish with Native AOT (PublishAot)',
  },
  {
    id: 'jit-mono',
    level: 'refused',
    sonames: /^libmono(?:sgen|boehm)-2\.0\.so/,
    why: `Mono compiles methods when they are first called: ${anonymous}`,
    mend: 'run it with --interpreter, or compile ahead of time (--aot=full)',
  },
  {
    id: 'jit-luajit',
    level: 'limited',
    sonames: /^libluajit-/,
    exports: ['luaJIT_setmode'],
    texts: ['LuaJIT 2.'],
    why: `traces cannot be compiled, and FFI callbacks fail: ${anonymous}`,
    mend: 'run it with -joff (jit.off()), or use plain Lua',
  },
  {
    id: 'jit-pcre',
    level: 'limited',
    exports: ['pcre2_jit_compile_8', 'pcre2_jit_compile_16', 'pcre2_jit_compile_32', 'pcre_jit_exec'],
    imports: ['pcre2_jit_compile_8', 'pcre2_jit_compile_16', 'pcre2_jit_compile_32', 'pcre_jit_exec'],
    why: `compiling a pattern to machine code fails with PCRE2_ERROR_NOMEMORY; programs fall back, warn or give up: ${anonymous}`,
    mend: 'switch it off where the program lets one (grep: (*NO_JIT) before the pattern, PHP: pcre.jit=0, nginx: pcre_jit off)',
  },
  {
    id: 'jit-javascriptcore',
    level: 'refused',
    sonames: /^libjavascriptcoregtk-/,
    texts: ['JSC_useJIT', 'BUN_JSC_'],
    why: `JavaScriptCore compiles JavaScript while it runs: ${anonymous}`,
    mend: 'JSC_useJIT=0 where it honours it (Bun: BUN_JSC_useJIT=0)',
  },
  {
    id: 'jit-spidermonkey',
    level: 'refused',
    sonames: /^libmozjs-|^libxul\.so/,
    texts: ['javascript.options.baselinejit'],
    why: `SpiderMonkey compiles JavaScript while it runs: ${anonymous}`,
    mend: 'switch its JIT off where the program lets one (MongoDB: --setParameter disableJavaScriptJIT=true)',
  },
  {
    id: 'jit-erlang',
    level: 'refused',
    texts: ['BeamModuleAssembler', 'beam/jit/'],
    why: `the BEAM compiles modules when they are loaded: ${anonymous}`,
    mend: 'use an Erlang/OTP that was configured with --disable-jit (emulator flavour emu)',
  },
  {
    id: 'jit-pypy',
    level: 'limited',
    sonames: /^libpypy[\d.]*-c\.so/,
    texts: ['PYPY_GC_NURSERY'],
    why: `PyPy cannot compile what it traced: ${anonymous}`,
    mend: 'run it with --jit off, or use CPython',
  },
  {
    id: 'jit-php',
    level: 'limited',
    texts: ['opcache.jit_buffer_size'],
    why: `the JIT of OPcache gets no buffer: ${anonymous}`,
    mend: 'opcache.jit=disable, and pcre.jit=0',
  },
  {
    id: 'jit-postgresql',
    level: 'limited',
    sonames: /^llvmjit\.so/,
    exports: ['_PG_jit_provider_init'],
    why: `queries that PostgreSQL compiles fail: ${anonymous}`,
    mend: 'jit = off in postgresql.conf',
  },
  {
    id: 'jit-julia',
    level: 'refused',
    sonames: /^libjulia(?:-internal|-codegen)?\.so/,
    why: `Julia compiles every function before its first call: ${anonymous}`,
    mend: 'compile ahead of time (juliac, PackageCompiler) into a program that needs no compiler',
  },
  {
    id: 'jit-wasm',
    level: 'refused',
    sonames: /^lib(?:wasmtime|wasmer|wasmedge)\.so/,
    texts: ['WASMTIME_BACKTRACE_DETAILS'],
    why: `WebAssembly is compiled while it is loaded: ${anonymous}`,
    mend: "use an interpreter (wasm3, wasmi, Wasmtime's Pulley)",
  },
  {
    id: 'jit-gcc',
    level: 'note',
    sonames: /^libgccjit\.so/,
    why: 'code that this library compiles in memory cannot be executed',
    mend: 'nothing, unless a program uses it',
  },
  {
    id: 'jit-qemu',
    level: 'refused',
    texts: ['accel/tcg/', 'tcg_gen_code'],
    why: `QEMU's TCG translates guest code while it runs: ${anonymous}`,
    mend: 'use KVM, or the interpreter (configure --enable-tcg-interpreter)',
  },
  {
    id: 'libffi-closures',
    level: 'limited',
    sonames: /^libffi\.so\.[4-7]$/,
    why: `before version 3.4, libffi writes the code of closures (callbacks) while it runs: ${anonymous}`,
    mend: 'use libffi 3.4 or newer (libffi.so.8), whose trampolines are part of the file',
  },
  {
    id: 'memfd-clone',
    level: 'refused',
    // crun has a clone of its own, and does without where the program is read-only.
    texts: ['runc:[1:CHILD]'],
    why: 'it executes a copy of itself in memory (memfd), which is no signed file',
    mend: 'use crun, which does not need to inside containers of this host',
  },
  {
    id: 'memfd-exec',
    level: 'note',
    together: [
      ['memfd_create', 'fexecve'],
      ['memfd_create', 'execveat'],
    ],
    why: 'it has what it takes to execute a file in memory, and that would be refused; it may use each for something else',
    mend: 'find out whether it does; what it executes has to be a file of the image',
  },
  {
    id: 'self-extracting',
    level: 'refused',
    texts: [
      '$Info: This file is packed with the UPX executable packer',
      '_MEIPASS2',
      '_PYI_APPLICATION_HOME_DIR',
    ],
    why: 'it unpacks its code at start, into memory or /tmp, where nothing is signed',
    mend: 'ship the program unpacked (PyInstaller: --onedir; no UPX)',
  },
];

/** What runs whatever text it is given; by the last part of the path. */
export const interpreters: RegExp =
  /^(?:(?:ba|da|z|k|mk|c|tc|a|fi|ya)?sh|busybox|toybox|python\d*(?:\.\d+)?|perl\d*(?:\.\d+)*|ruby(?:\d+(?:\.\d+)?)?|lua(?:\d(?:\.\d)?)?|php\d*(?:\.\d+)?|node|nodejs|tclsh[\d.]*|[gmn]?awk|original-awk|guile[\d.]*|R|Rscript|gdb)$/;
