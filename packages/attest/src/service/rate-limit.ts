/** Token buckets by key, in bounded memory: what was not seen for longest is forgotten, and so starts full again. */

export interface RateLimit {
  /** Tokens that come back each second. */
  readonly perSecond: number;
  /** Tokens a bucket holds. */
  readonly burst: number;
}

export interface RateLimiterOptions extends RateLimit {
  /** Keys remembered. */
  readonly keys?: number;
  /** Milliseconds of a monotonic clock: a wall clock that is set must not lock anybody out. */
  readonly now?: () => number;
}

interface Bucket {
  tokens: number;
  at: number;
}

export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>();
  readonly #options: Required<RateLimiterOptions>;

  constructor(options: RateLimiterOptions) {
    this.#options = { keys: 50_000, now: () => performance.now(), ...options };
  }

  /** Takes one token. @returns 0, or the seconds until there is one */
  take(key: string): number {
    const { perSecond, burst, keys, now } = this.#options;
    const at = now();
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) bucket = { tokens: burst, at };
    // Moved to the end: a Map lists keys in the order they were set.
    else this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > keys) {
      for (const oldest of this.#buckets.keys()) {
        this.#buckets.delete(oldest);
        break;
      }
    }
    bucket.tokens = Math.min(burst, bucket.tokens + (Math.max(0, at - bucket.at) / 1000) * perSecond);
    bucket.at = at;
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond));
    bucket.tokens -= 1;
    return 0;
  }
}

/** What counts as one address: an IPv4 address, or a /64 of IPv6, which is what one customer has. */
export function addressKey(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').split('%')[0] ?? address;
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - before.length - after.length }, () => '0');
  return `${[...before, ...zeros, ...after]
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ''))
    .join(':')}::/64`;
}
