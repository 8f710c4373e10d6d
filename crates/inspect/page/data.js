// What the page knows of the program beyond the view that is open: samples, events, and the course
// of each pool. All of it is bounded.

export const SAMPLES = 180;
/**
 * The least time for a rate. A click asks for new data at once, and in a few milliseconds a counter
 * changes by chance.
 */
export const LEAST_MS = 500;
const MOST_EVENTS = 5000;

/** The change of a counter per second, between each sample and the one before it. */
export function rates(samples, member) {
  return samples.slice(1).map((sample, index) => {
    const before = samples[index];
    const elapsed = sample.atMs - before.atMs;
    if (sample[member] == null || before[member] == null || elapsed <= 0) return null;
    return ((sample[member] - before[member]) * 1000) / elapsed;
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
      waitP99: pool.queueWait?.samples ? pool.queueWait.p99Us : null,
      runP99: pool.runTime?.samples ? pool.runTime.p99Us : null,
    });
    course.splice(0, course.length - SAMPLES);
    this.#courses.set(pool.id, course);
  }
}
