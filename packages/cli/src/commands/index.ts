/**
 * Every command there is, in the order of the help. A command is listed when its room can do what it says. Only the
 * one that was asked for is loaded: this is what keeps `osguard --help` fast.
 */

import type { CommandEntry } from '../command.ts';

export const commands: readonly CommandEntry[] = [
  {
    path: ['keys', 'init'],
    summary: 'make a key and a certificate for every role',
    load: async () => (await import('./keys-init.ts')).keysInit,
  },
  {
    path: ['keys', 'show'],
    summary: 'who may sign what, and what each key could be abused for',
    load: async () => (await import('./keys-show.ts')).keysShow,
  },
  {
    path: ['image', 'build'],
    summary: 'a definition becomes a signed release folder',
    load: async () => (await import('./image-build.ts')).imageBuild,
  },
  {
    path: ['image', 'verify'],
    summary: 'is this image whole, and signed by those you trust? offline, without rights',
    load: async () => (await import('./image-verify.ts')).imageVerify,
  },
  {
    path: ['image', 'inspect'],
    summary: 'what is in an image: partitions, signers, policies, packages',
    load: async () => (await import('./image-inspect.ts')).imageInspect,
  },
  {
    path: ['image', 'diff'],
    summary: 'what changed between two images',
    load: async () => (await import('./image-diff.ts')).imageDiff,
  },
  {
    path: ['image', 'schema'],
    summary: 'the JSON Schema of definitions, for editors',
    load: async () => (await import('./image-schema.ts')).imageSchema,
  },
  {
    path: ['vm', 'run'],
    summary: 'boot a release: UEFI Secure Boot with its own keys, a TPM, the console here',
    load: async () => (await import('./vm-run.ts')).vmRun,
  },
  {
    path: ['prove'],
    summary: 'boot a release and attack it: what is blocked, and by which evidence',
    load: async () => (await import('./prove.ts')).proveRelease,
  },
  {
    path: ['verity', 'format'],
    summary: 'compute the dm-verity hash tree of a file or device',
    load: async () => (await import('./verity-format.ts')).verityFormat,
  },
  {
    path: ['verity', 'verify'],
    summary: 'check data and its hash tree against a root hash',
    load: async () => (await import('./verity-verify.ts')).verityVerify,
  },
  {
    path: ['verity', 'sign'],
    summary: 'sign a root hash as the kernel checks it',
    load: async () => (await import('./verity-sign.ts')).veritySign,
  },
  {
    path: ['layers', 'sign'],
    summary: 'convert and sign the layers of an image, and publish both beside it',
    load: async () => (await import('./layers-sign.ts')).layersSign,
  },
  {
    path: ['layers', 'verify'],
    summary: 'are these layers signed by those you trust, and are they what was signed?',
    load: async () => (await import('./layers-verify.ts')).layersVerify,
  },
  {
    path: ['layers', 'inspect'],
    summary: 'layers, verity images and signatures of an image, in every layout',
    load: async () => (await import('./layers-inspect.ts')).layersInspect,
  },
  {
    path: ['layers', 'copy'],
    summary: 'an image with its signatures, from one registry or folder to another',
    load: async () => (await import('./layers-copy.ts')).layersCopy,
  },
  {
    path: ['layers', 'check'],
    summary: 'which files of an image will not run on an enforcing host, and why',
    load: async () => (await import('./layers-check.ts')).layersCheck,
  },
  {
    path: ['layers', 'demo'],
    summary: 'the host runs a signed image from a registry here; its unsigned twin is refused',
    load: async () => (await import('./layers-demo.ts')).layersDemo,
  },
  {
    path: ['uki', 'build'],
    summary: 'put kernel, initrd and command line into one signed boot image',
    load: async () => (await import('./uki-build.ts')).ukiBuild,
  },
  {
    path: ['uki', 'inspect'],
    summary: 'sections, command line and signers of a unified kernel image',
    load: async () => (await import('./uki-inspect.ts')).ukiInspect,
  },
  {
    path: ['uki', 'measure'],
    summary: 'the PCRs of a machine that starts this boot image, phase by phase; signed policies',
    load: async () => (await import('./uki-measure.ts')).ukiMeasure,
  },
  {
    path: ['ipe', 'check'],
    summary: 'is this IPE policy what the kernel accepts, and what you meant?',
    load: async () => (await import('./ipe-check.ts')).ipeCheck,
  },
  {
    path: ['ipe', 'sign'],
    summary: 'sign a policy with the boot key, as the kernel loads it',
    load: async () => (await import('./ipe-sign.ts')).ipeSign,
  },
  {
    path: ['ipe', 'explain'],
    summary: 'would this file on this volume run, and which rule says so?',
    load: async () => (await import('./ipe-explain.ts')).ipeExplain,
  },
  {
    path: ['layers', 'revoke'],
    summary: 'put root hashes or signers on the signed list of revoked layers',
    load: async () => (await import('./layers-revoke.ts')).layersRevoke,
  },
  {
    path: ['layers', 'convert'],
    summary: 'a layer of a container image becomes an EROFS image with its dm-verity tree',
    load: async () => (await import('./layers-convert.ts')).layersConvert,
  },
  {
    path: ['attest', 'verify'],
    summary: 'judge one evidence offline: every check, what was expected, what was found',
    load: async () => (await import('./attest-verify.ts')).attestVerify,
  },
  {
    path: ['attest', 'explain'],
    summary: 'which event of which PCR differs from a release, and where the expectation comes from',
    load: async () => (await import('./attest-explain.ts')).attestExplain,
  },
  {
    path: ['attest', 'demo'],
    summary: 'a release proves itself to a verifier here; changed, it is refused',
    load: async () => (await import('./attest-demo.ts')).attestDemo,
  },
  {
    path: ['attest', 'serve'],
    summary: 'the verifier: nodes enrol, prove what they booted, and get what that unlocks',
    load: async () => (await import('./attest-serve.ts')).attestServe,
  },
  {
    path: ['attest', 'nodes'],
    summary: 'nodes, and whether each is trusted now',
    load: async () => (await import('./attest-nodes.ts')).attestNodes,
  },
  {
    path: ['attest', 'node'],
    summary: 'one node: is it trusted now, and if not, why?',
    load: async () => (await import('./attest-node.ts')).attestNode,
  },
  {
    path: ['attest', 'applicants'],
    summary: 'machines nobody vouched for',
    load: async () => (await import('./attest-applicants.ts')).attestApplicants,
  },
  {
    path: ['attest', 'approve'],
    summary: 'let a TPM enrol that has no trusted certificate',
    load: async () => (await import('./attest-node-action.ts')).attestApprove,
  },
  {
    path: ['attest', 'reenroll'],
    summary: 'let a node enrol anew after its TPM was cleared',
    load: async () => (await import('./attest-node-action.ts')).attestReenroll,
  },
  {
    path: ['attest', 'suspend'],
    summary: 'take a node out',
    load: async () => (await import('./attest-node-action.ts')).attestSuspend,
  },
  {
    path: ['attest', 'resume'],
    summary: 'take a node in again',
    load: async () => (await import('./attest-node-action.ts')).attestResume,
  },
  {
    path: ['attest', 'label'],
    summary: 'say what a node is for, and so which secrets it may get',
    load: async () => (await import('./attest-node-action.ts')).attestLabel,
  },
  {
    path: ['attest', 'forget'],
    summary: 'remove a node',
    load: async () => (await import('./attest-node-action.ts')).attestForget,
  },
  {
    path: ['attest', 'releases', 'list'],
    summary: 'releases the verifier knows, and which may run',
    load: async () => (await import('./attest-releases.ts')).attestReleasesList,
  },
  {
    path: ['attest', 'releases', 'add'],
    summary: 'hand a signed release to the verifier',
    load: async () => (await import('./attest-releases.ts')).attestReleasesAdd,
  },
  {
    path: ['attest', 'releases', 'promote'],
    summary: 'allow a release',
    load: async () => (await import('./attest-releases.ts')).attestReleasesPromote,
  },
  {
    path: ['attest', 'releases', 'deprecate'],
    summary: 'allow a release until its grace is over',
    load: async () => (await import('./attest-releases.ts')).attestReleasesDeprecate,
  },
  {
    path: ['attest', 'releases', 'revoke'],
    summary: 'no node that runs it is trusted any more, at once',
    load: async () => (await import('./attest-releases.ts')).attestReleasesRevoke,
  },
  {
    path: ['attest', 'secrets', 'list'],
    summary: 'names and sizes of secrets',
    load: async () => (await import('./attest-secrets.ts')).attestSecretsList,
  },
  {
    path: ['attest', 'secrets', 'set'],
    summary: 'what trusted nodes may fetch',
    load: async () => (await import('./attest-secrets.ts')).attestSecretsSet,
  },
  {
    path: ['attest', 'secrets', 'rm'],
    summary: 'remove a secret',
    load: async () => (await import('./attest-secrets.ts')).attestSecretsRm,
  },
  {
    path: ['attest', 'token', 'create'],
    summary: 'give an operator or a pipeline access',
    load: async () => (await import('./attest-token.ts')).attestTokenCreate,
  },
  {
    path: ['attest', 'token', 'list'],
    summary: 'who has access',
    load: async () => (await import('./attest-token.ts')).attestTokenList,
  },
  {
    path: ['attest', 'token', 'rm'],
    summary: 'end an access',
    load: async () => (await import('./attest-token.ts')).attestTokenRm,
  },
  {
    path: ['attest', 'watch'],
    summary: 'changes as they happen',
    load: async () => (await import('./attest-watch.ts')).attestWatch,
  },
  {
    path: ['attest', 'audit'],
    summary: 'was any decision of the verifier changed or removed since?',
    load: async () => (await import('./attest-audit.ts')).attestAudit,
  },
  {
    path: ['doctor'],
    summary: 'what this machine can do, and the command that mends each gap',
    load: async () => (await import('./doctor.ts')).doctor,
  },
];
