// The cases of the bench that Node's workers and message ports can answer.
//
// usage: node bench.mjs CASE DIVISOR
// Prints case<TAB>value<TAB>unit, or case/metric<TAB>value<TAB>unit where there are several.

import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, MessageChannel, parentPort, Worker, workerData } from "node:worker_threads";

const self = fileURLToPath(import.meta.url);

function check(ok, what) {
  if (!ok) throw new Error(`check failed: ${what}`);
}

const nsEach = (start, count) => Number(process.hrtime.bigint() - start) / count;
const rate = (start, count) => 1e3 / nsEach(start, count);

/** A worker in the given role, ready to be used. */
async function startWorker(role, data = {}) {
  const worker = new Worker(self, { workerData: { role, ...data } });
  const [hello] = await once(worker, "message");
  check(hello === "ready", "hello");
  return worker;
}

/** What a worker does, by role. */
const roles = {
  echo() {
    parentPort.on("message", (value) => {
      parentPort.postMessage(value instanceof ArrayBuffer ? value : value + 1,
        value instanceof ArrayBuffer ? [value] : []);
    });
  },
  send({ each }) {
    parentPort.on("message", () => {
      for (let i = 0; i < each; i++) parentPort.postMessage(i);
    });
  },
  spin({ shared, count }) {
    const line = new Int32Array(shared);
    for (let i = 0; i < count; i++) {
      while (Atomics.load(line, 0) !== 2 * i + 1);
      Atomics.store(line, 0, 2 * i + 2);
    }
  },
};

/** Workers send to this thread. */
async function manyToOne(senders, count) {
  const each = Math.floor(count / senders);
  const workers = await Promise.all(
    Array.from({ length: senders }, () => startWorker("send", { each })));
  let left = each * senders;
  let sum = 0;
  const start = process.hrtime.bigint();
  await new Promise((resolve) => {
    for (const worker of workers) {
      worker.on("message", (value) => {
        sum += value;
        if (--left === 0) resolve();
      });
      worker.postMessage("go");
    }
  });
  const result = rate(start, each * senders);
  check(sum === senders * each * (each - 1) / 2, "sum");
  await Promise.all(workers.map((worker) => worker.terminate()));
  return result;
}

/** A number through a channel whose ends are both on this thread. */
async function pingPong(count) {
  const { port1, port2 } = new MessageChannel();
  port2.on("message", (value) => port2.postMessage(value + 1));
  let left = count;
  let last = 0;
  const start = process.hrtime.bigint();
  await new Promise((resolve) => {
    port1.on("message", (value) => {
      last = value;
      if (--left === 0) resolve();
      else port1.postMessage(value);
    });
    port1.postMessage(0);
  });
  const result = nsEach(start, count);
  check(last === count, "round trips");
  port1.close();
  return result;
}

/** Shared memory between two threads that spin. */
async function pingPongOfThreads(count) {
  const shared = new SharedArrayBuffer(64);
  const line = new Int32Array(shared);
  const worker = await startWorker("spin", { shared, count });
  const start = process.hrtime.bigint();
  for (let i = 0; i < count; i++) {
    Atomics.store(line, 0, 2 * i + 1);
    while (Atomics.load(line, 0) !== 2 * i + 2);
  }
  const result = nsEach(start, count);
  await worker.terminate();
  return result;
}

/** A buffer to a worker and back, transferred. */
async function handOver(bytes, count) {
  const worker = await startWorker("echo");
  let buffer = new ArrayBuffer(bytes);
  new Uint8Array(buffer).fill(7);
  let left = count;
  const start = process.hrtime.bigint();
  await new Promise((resolve) => {
    worker.on("message", (back) => {
      buffer = back;
      if (--left === 0) resolve();
      else worker.postMessage(back, [back]);
    });
    worker.postMessage(buffer, [buffer]);
  });
  const result = nsEach(start, count);
  check(buffer.byteLength === bytes && new Uint8Array(buffer)[bytes - 1] === 7, "buffer");
  await worker.terminate();
  return result;
}

/** Questions to a worker, `outstanding` at a time. */
async function ask(outstanding, count) {
  const worker = await startWorker("echo");
  let [asked, answered, sum] = [0, 0, 0];
  const start = process.hrtime.bigint();
  await new Promise((resolve) => {
    worker.on("message", (value) => {
      sum += value;
      if (++answered === count) resolve();
      else if (asked < count) worker.postMessage(asked++);
    });
    while (asked < outstanding) worker.postMessage(asked++);
  });
  const result = nsEach(start, count);
  check(sum === count * (count + 1) / 2, "answers");
  await worker.terminate();
  return result;
}

/** Workers alive at once; each is an engine of its own, so there are few. */
async function lives(count) {
  await (await startWorker("echo")).terminate();
  const before = process.memoryUsage.rss();
  let start = process.hrtime.bigint();
  const workers = [];
  for (let i = 0; i < count; i++) workers.push(await startWorker("echo"));
  line("spawn/spawned", nsEach(start, count), "ns each");
  const idle = (process.memoryUsage.rss() - before) / count;
  start = process.hrtime.bigint();
  await Promise.all(workers.map((worker) => {
    const answer = once(worker, "message");
    worker.postMessage(1);
    return answer;
  }));
  line("spawn/first message", nsEach(start, count), "ns each");
  const used = (process.memoryUsage.rss() - before) / count;
  start = process.hrtime.bigint();
  await Promise.all(workers.map((worker) => worker.terminate()));
  line("spawn/ended", nsEach(start, count), "ns each");
  line("spawn/memory idle", idle, "B each");
  line("spawn/memory used", used, "B each");
}

/** Each is scheduled by the one before, through `schedule`. */
async function chain(schedule, count) {
  const start = process.hrtime.bigint();
  await new Promise((ended) => {
    let left = count;
    const link = () => (--left === 0 ? ended() : schedule(link));
    schedule(link);
  });
  return rate(start, count);
}

/** Immediates, made at once. */
async function immediates(count) {
  const start = process.hrtime.bigint();
  let fired = 0;
  for (let i = 0; i < count; i++) setImmediate(() => fired++);
  await new Promise((ended) => setImmediate(ended));
  check(fired === count, "immediates");
  return rate(start, count);
}

function line(name, value, unit) {
  console.log(`${name}\t${value}\t${unit}`);
}

/** A warm-up of a tenth, then the case. */
async function value(name, unit, run, count) {
  await run(Math.ceil(count / 10));
  line(name, await run(count), unit);
}

async function main(name, divisor) {
  const of = (count) => Math.ceil(count / divisor);
  if (name.startsWith("hand-over-")) {
    const bytes = Number(name.slice("hand-over-".length));
    return value(name, "ns", (n) => handOver(bytes, n), of(20_000));
  }
  switch (name) {
    case "one-way": return value(name, "M/s", (n) => manyToOne(1, n), of(1_000_000));
    case "ping-pong": return value(name, "ns", pingPong, of(100_000));
    case "ping-pong-threads": return value(name, "ns", pingPongOfThreads, of(500_000));
    case "ask": return value(name, "ns", (n) => ask(1, n), of(20_000));
    case "ask-futures":
      return value(name, "M/s", async (n) => 1e3 / await ask(Math.min(n, 1_000), n), of(200_000));
    case "zero-timers-chain": return value(name, "M/s", (n) => chain(setImmediate, n), of(1_000_000));
    case "zero-timers": return value(name, "M/s", immediates, of(1_000_000));
    case "microtasks": return value(name, "M/s", (n) => chain(queueMicrotask, n), of(10_000_000));
    case "spawn": return lives(20);
    default: throw new Error(`no such case: ${name}`);
  }
}

if (isMainThread) {
  const [name, divisor] = process.argv.slice(2);
  check(name !== undefined && Number(divisor) > 0, "usage: node bench.mjs CASE DIVISOR");
  await main(name, Number(divisor));
} else {
  parentPort.postMessage("ready");
  roles[workerData.role](workerData);
}
