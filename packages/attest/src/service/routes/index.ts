import { fleetRoutes } from './fleet-routes.ts';
import { logRoutes } from './log-routes.ts';
import { nodeRoutes } from './node-routes.ts';
import { publicRoutes } from './public-routes.ts';
import { releaseRoutes } from './release-routes.ts';
import type { Route } from './route.ts';
import { secretRoutes } from './secret-routes.ts';
import { tokenRoutes } from './token-routes.ts';
import { webhookRoutes } from './webhook-routes.ts';

/** Every route there is; `openapi` gives the document that describes them. */
export function allRoutes(openapi: () => unknown): readonly Route[] {
  const operators = [...fleetRoutes, ...releaseRoutes, ...secretRoutes, ...tokenRoutes, ...webhookRoutes];
  return [...nodeRoutes, ...operators, ...logRoutes, ...publicRoutes(openapi)];
}

export type { Answer, Call, Route } from './route.ts';
