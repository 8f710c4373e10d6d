// What the page knows of the program beyond the view that is open: samples, events, and the course
// of each pool. All of it is bounded.

export const SAMPLES = 180;
/**
 * The least time for a rate. A click asks for new data at once, and in a few milliseconds a counter
 * changes by chance.
 */
export const LEAST_MS = 500;
const MOST_EVENTS = 5000;

/**
 * The change of a counter per second, between each sample and the one before it. A counter that has fallen,
 * such as a sum over pools of which one is gone, counts as one that stands still.
 */
export function rates(samples, member) {
  return samples.slice(1).map((sample, index) => {
    const before = samples[index];
    const elapsed = sample.atMs - before.atMs;
    if (sample[member] == null || before[member] == null || elapsed <= 0) return null;
    return (Math.max(0, sample[member] - before[member]) * 1000) / elapsed;
  });
}

export class Samples {
  list = [];

  /**
   * Adds samples, of which some may be known already. Those of the stream can come before the history,
   * which is older.
   */
  add(samples) {
    const known = new Set(this.list.map((sample) => sample.atMs));
    this.list.push(...samples.filter((sample) => !known.has(sample.atMs)));
    this.list.sort((a, b) => a.atMs - b.atMs);
    this.list.splice(0, this.list.length - SAMPLES);
  }
}

export class Events {
  list = [];
  dropped = 0;

  get lastNumber() {
    return this.list.at(-1)?.number ?? 0;
  }

  add({ events = [], dropped = 0 }) {
    this.dropped += dropped;
    if (events.length > 0 && events[0].number <= this.lastNumber) this.#merge(events);
    else this.list.push(...events);
    this.list.splice(0, this.list.length - MOST_EVENTS);
  }

  // Events of the stream can come before the older ones that a request has asked for.
  #merge(events) {
    const byNumber = new Map([...this.list, ...events].map((event) => [event.number, event]));
    this.list = [...byNumber.values()].sort((a, b) => a.number - b.number);
  }
}

/** The sum of all ways in which calls have ended. */
export function ended(outcomes = {}) {
  return Object.values(outcomes).reduce((sum, value) => sum + value, 0);
}

/** The course of each pool, which the server does not keep. */
export class PoolHistory {
  /** The pools of the last answer. */
  pools = null;
  #courses = new Map();

  add(pools, atMs) {
    this.pools = pools;
    const ids = new Set(pools.map((pool) => pool.id));
    for (const id of this.#courses.keys()) if (!ids.has(id)) this.#courses.delete(id);
    pools.forEach((pool) => this.#append(pool, atMs));
  }

  of(id) {
    return this.#courses.get(id) ?? [];
  }

  /** Calls of a pool that have ended per second, lately. */
  callsPerSecond(id) {
    return rates(this.of(id).slice(-2), 'ended').at(-1);
  }

  #append(pool, atMs) {
    const course = this.of(pool.id);
    if (atMs - (course.at(-1)?.atMs ?? -Infinity) < LEAST_MS) return;
    course.push({
      atMs,
      queued: pool.queued,
      running: pool.running,
      ended: ended(pool.outcomes),
    });
    course.splice(0, course.length - SAMPLES);
    this.#courses.set(pool.id, course);
  }
}

/** The looks at a distribution that are kept. */
export const LOOKS = 120;
/** The powers of two by which times are told apart, from 1 µs on. The last one has all longer times too. */
export const POWERS = 27;

/** How long the calls took that have ended between two looks at a distribution, for the last looks. */
export class Times {
  /** The number of calls by power of two, for each look; the oldest look first. */
  looks = [];
  /** The calls of the newest look in the buckets of the distribution. */
  newest = [];
  #totals = null;

  /** Takes the buckets of a look, which count all calls so far. */
  add(buckets) {
    const before = this.#totals;
    this.#totals = new Map(buckets.map(({ upToUs = 0, total = 0 }) => [upToUs, total]));
    // What was before the first look could be of any age.
    if (before === null) return;
    this.newest = [...this.#totals].map(([upToUs, total]) => ({ upToUs, calls: Math.max(0, total - (before.get(upToUs) ?? 0)) }));
    this.looks.push(byPower(this.newest));
    this.looks.splice(0, this.looks.length - LOOKS);
  }
}

function byPower(buckets) {
  const powers = new Array(POWERS).fill(0);
  for (const { upToUs, calls } of buckets) {
    // The buckets end at powers of two in nanoseconds, a little later than those in microseconds.
    powers[Math.min(POWERS - 1, Math.max(0, Math.round(Math.log2(upToUs))))] += calls;
  }
  return powers;
}

/** The number of calls in buckets. */
export function callsIn(buckets) {
  return buckets.reduce((sum, { calls }) => sum + calls, 0);
}

/** A time that a share of the calls in buckets did not exceed, at most twice too long; `undefined` without calls. */
export function quantile(buckets, share) {
  let left = share * callsIn(buckets);
  for (const { upToUs, calls } of buckets) {
    left -= calls;
    if (calls > 0 && left <= 0) return upToUs;
  }
  return undefined;
}
