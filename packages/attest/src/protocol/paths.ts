/** Where the verifier answers. Everything a node needs comes first. */

export const paths = {
  enrolments: '/v1/enrolments',
  nonces: '/v1/nonces',
  evidence: '/v1/evidence',
  secrets: '/v1/secrets',
  verdict: '/v1/verdict',
  nodes: '/v1/nodes',
  applicants: '/v1/applicants',
  releases: '/v1/releases',
  tokens: '/v1/tokens',
  tokenStatus: '/v1/tokens/status',
  webhooks: '/v1/webhooks',
  decisions: '/v1/decisions',
  events: '/v1/events',
  jwks: '/.well-known/jwks.json',
  nodeAuthority: '/v1/node-authority',
  openapi: '/openapi.json',
  health: '/healthz',
  ready: '/readyz',
  metrics: '/metrics',
} as const;

/** In the state folder, for operators' commands on the same machine: where the verifier is, and a token. */
export const endpointFile = 'endpoint.json';
export const tokenFile = 'operator.token';

export function activationPath(enrolment: string): string {
  return `${paths.enrolments}/${encodeURIComponent(enrolment)}/activation`;
}

export function secretPath(name: string): string {
  return `${paths.secrets}/${encodeURIComponent(name)}`;
}
