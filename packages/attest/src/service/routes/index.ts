import { fleetRoutes } from './fleet-routes.ts';
import { nodeRoutes } from './node-routes.ts';
import { operatorRoutes } from './operator-routes.ts';
import { publicRoutes } from './public-routes.ts';
import type { Route } from './route.ts';

/** Every route there is; `openapi` gives the document that describes them. */
export function allRoutes(openapi: () => unknown): readonly Route[] {
  return [...nodeRoutes, ...fleetRoutes, ...operatorRoutes, ...publicRoutes(openapi)];
}

export type { Answer, Call, Route } from './route.ts';
