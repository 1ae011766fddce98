/** The OpenAPI 3.1 document, from the routes themselves. */

import { z } from 'zod';
import { statusOf } from './refusal.ts';
import type { Route } from './routes/route.ts';
import { reasonCodes } from '../protocol/index.ts';
import type { ReasonCode } from '../protocol/index.ts';

type Json = Record<string, unknown>;

export function openapiOf(routes: readonly Route[], { version }: { readonly version: string }): Json {
  const paths: Record<string, Json> = {};
  for (const route of routes) {
    const path = route.path.replaceAll(/:(\w+)/g, '{$1}');
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'osguard verifier',
      version,
      description:
        'Remote attestation of osguard hosts. Refusals carry a reason code and nothing else for strangers.',
    },
    paths,
    components: {
      schemas: {
        Refusal: {
          type: 'object',
          required: ['reason'],
          properties: {
            reason: { enum: [...reasonCodes] },
            message: { type: 'string', description: 'Only for operators.' },
          },
        },
      },
      securitySchemes: {
        operator: {
          type: 'http',
          scheme: 'bearer',
          description: 'Token made by `osguard attest token create`.',
        },
        node: {
          type: 'mutualTLS',
          description: 'Self-signed client certificate; its key is bound to the evidence.',
        },
      },
    },
  };
}

function operationOf(route: Route): Json {
  const parameters = [...parametersOf(route.parameters, 'path'), ...parametersOf(route.query, 'query')];
  const content = contentOf(route.rawBody === true && route.body === undefined ? 'bytes' : route.body);
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(parameters.length > 0 && { parameters }),
    ...(content !== undefined && { requestBody: { required: true, content } }),
    ...securityOf(route),
    responses: responsesOf(route),
  };
}

function operationId({ method, path }: Route): string {
  const words = path.split('/').filter((part) => part !== '' && part !== 'v1');
  return [method.toLowerCase(), ...words]
    .map((word, index) => {
      const plain = word.replaceAll(/[^A-Za-z]+(\w?)/g, (_match, next: string) => next.toUpperCase());
      return index === 0 ? plain : plain.charAt(0).toUpperCase() + plain.slice(1);
    })
    .join('');
}

function securityOf({ access }: Route): Json {
  if (access === 'public') return { security: [] };
  if (access === 'node') return { security: [{ node: [] }] };
  return { security: [{ operator: [] }], 'x-role': access };
}

function contentOf(body: Route['body'] | 'bytes'): Json | undefined {
  if (body === undefined) return undefined;
  if (body === 'bytes') return { 'application/octet-stream': {} };
  return { 'application/json': { schema: schemaOf(body, 'input') } };
}

function responsesOf(route: Route): Json {
  const type = route.answerType ?? 'application/json';
  const answer = route.answer === undefined ? {} : { schema: schemaOf(route.answer, 'output') };
  const responses: Json = {
    [String(route.status ?? 200)]: { description: 'Done', content: { [type]: answer } },
  };
  const byStatus = new Map<number, ReasonCode[]>();
  for (const reason of reasonsOf(route)) {
    const status = statusOf(reason);
    byStatus.set(status, [...(byStatus.get(status) ?? []), reason]);
  }
  for (const [status, reasons] of [...byStatus].sort(([a], [b]) => a - b)) {
    responses[String(status)] = {
      description: reasons.join(', '),
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Refusal' } } },
    };
  }
  return responses;
}

/** What a route says, and what the server says for it. */
function reasonsOf(route: Route): ReadonlySet<ReasonCode> {
  const { access, unlimited = false, body, query, parameters, rawBody = false } = route;
  const reasons = new Set<ReasonCode>(route.reasons);
  if (body !== undefined || query !== undefined || parameters !== undefined || rawBody)
    reasons.add('malformed');
  if (body !== undefined || rawBody) reasons.add('too-large');
  if (!unlimited) reasons.add('rate-limited').add('unavailable');
  if (access !== 'public' && access !== 'node') reasons.add('unauthorised').add('forbidden');
  return reasons.add('internal');
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): readonly Json[] {
  if (schema === undefined) return [];
  const json = schemaOf(schema, 'input');
  const { properties, required } = json;
  const names = Array.isArray(required) ? required : [];
  return Object.entries(isObject(properties) ? properties : {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || names.includes(name),
    schema: property,
  }));
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null;
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _schema, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
