/**
 * Whether a node counts as trusted now, in SQL. It is worked out when asked: a release that is revoked, a verdict that
 * runs out or a clock that is set back change no row of any node.
 */

/** Milliseconds a stored verdict may lie in the future before it counts as one from another time. */
export const clockTolerance = 300_000;

/** `n` are nodes, `r` their releases (outer join); `now` is the name of the parameter, for example `?1`. */
export function trustCase(now: string): string {
  return `CASE
    WHEN n.state <> 'enrolled' THEN 'suspended'
    WHEN n.verdict IS NULL THEN 'new'
    WHEN n.verdict = 'refused' THEN 'refused'
    WHEN n.verdict <> 'trusted' OR n.expires IS NULL OR n.expires <= ${now} OR n.at IS NULL
      OR n.at > ${now} + ${clockTolerance} THEN 'expired'
    WHEN r.state IN ('promoted', 'deprecated') AND (r.valid_from IS NULL OR r.valid_from <= ${now})
      AND (r.valid_until IS NULL OR r.valid_until > ${now}) THEN 'trusted'
    ELSE 'release' END`;
}

export const nodesAndReleases = 'nodes n LEFT JOIN releases r ON r.id = n.release_id';
