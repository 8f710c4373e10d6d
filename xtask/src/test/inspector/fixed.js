// A program without a clock for the page: it runs before the page's scripts, answers in place of the
// server, and stops the time. What the page then shows depends on the page alone.

// A font whose only glyph is a box, half as wide as it is high, for each character: texts have the same
// sizes on each machine. Made with fontTools; its map of characters has format 13.
const BOXES = 'AAEAAAAKAIAAAwAgT1MvMkUAQ48AAAEoAAAAYGNtYXAAEQBUAAABkAAAAChnbHlmqwhmBwAAAcAAAAAaaGVhZC9v5/QAAACsAAAANmhoZWEFFgFqAAAA5AAAACRobXR4AjAAAAAAAYgAAAAGbG9jYQANAAAAAAG4AAAABm1heHAABAAGAAABCAAAACBuYW1l2Yjf2wAAAdwAAAC9cG9zdAADAAAAAAKcAAAAIAABAAAAAQAApL+2DF8PPPUAAwPoAAAAAOcy0pAAAAAA5zLSkAA8AAABuAH0AAAAAwACAAAAAAAAAAEAAAMg/zgAAAH0ADwAPAG4AAEAAAAAAAAAAAAAAAAAAAABAAEAAAACAAQAAQAAAAAAAgAAAAAAAAAAAAAAAAAAAAAAAwH0AZAABQAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAPz8/PwAAACD//wMg/zgAAAMgAMgAAAAAAAAAAAAAAAAAAAAgAAAB9AAAADwAAAAAAAEAAwAKAAAADAANAAAAAAAcAAAAAAAAAAEAAAAgAAD//wAAAAEAAAAAAA0AAAABADwAAAG4AfQAAwAAMxEhETwBfAH0/gwAAAAAAAAMAJYAAQAAAAAAAQAFAAAAAQAAAAAAAgAHAAUAAQAAAAAAAwAFAAAAAQAAAAAABAAFAAAAAQAAAAAABQABAAwAAQAAAAAABgAFAAAAAwABBAkAAQAKAA0AAwABBAkAAgAOABcAAwABBAkAAwAKAA0AAwABBAkABAAKAA0AAwABBAkABQACACUAAwABBAkABgAKAA1Cb3hlc1JlZ3VsYXIxAEIAbwB4AGUAcwBSAGUAZwB1AGwAYQByADEAAAAAAwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==';

const NOW = Date.UTC(2026, 0, 2, 12);
Date.now = () => NOW;
performance.now = () => 0;

const face = new FontFace('Boxes', Uint8Array.from(atob(BOXES), (letter) => letter.charCodeAt(0)));
document.fonts.add(face);
const sheet = new CSSStyleSheet();
// A fixed width for fields: browsers measure theirs in letters of the system.
sheet.replaceSync(`
  * { font-family: Boxes !important; transition: none !important; }
  select { width: 120px; appearance: none; }
  input:not([type="checkbox"]) { width: 150px; }
  input[type="checkbox"] { width: 13px; height: 13px; margin: 3px; }`);
document.adoptedStyleSheets.push(sheet);

const UPTIME_MS = 120_000;
const party = (number, name) => ({ id: `isolates/${number}`, name });

const sample = (_, second) => ({
  atMs: 1000 * (second + 1),
  isolates: 40 + (second % 4), running: 2 + (second % 2), runnable: second % 3, paused: 1,
  spawnedTotal: 50 + second, endedTotal: 10 + second, queued: (second * 7) % 20, turnsTotal: 500 * second,
  threads: 4, stuckThreads: second < 90 ? 0 : 1, waits: 1,
  memoryBytes: 20_000_000 + 10_000 * second, cpuTotalMs: 250 * second,
  callsSubmittedTotal: 30 * second, callsEndedTotal: 30 * second, callsLostTotal: 0,
  callsQueued: second % 5, callsRunning: 4, costUs: 300,
});

const isolate = (number, name, members = {}) => ({
  id: `isolates/${number}`, name, kind: 'pooled', group: null, state: 'idle', queued: 0, controlQueued: 0,
  turnsTotal: 10 * number, turnMs: null, seenMs: UPTIME_MS - 1000 * number, isBlocked: false, ...members,
});
const ISOLATES = [
  isolate(1, 'main', { kind: 'root' }),
  isolate(2, 'mill.supervisor', { cpuTotalMs: 12 }),
  isolate(3, 'mill.0', { state: 'running', turnMs: 31_000, cpuTotalMs: 54_000 }),
  isolate(4, 'mill.1', { state: 'running', queued: 12, cpuTotalMs: 20_500 }),
  isolate(5, 'hen', { group: 'yard', cpuTotalMs: 340 }),
  isolate(6, 'egg', { group: 'yard' }),
  isolate(7, 'granary', { state: 'paused', queued: 1234, turnsTotal: 1_234_567 }),
  isolate(8, 'scale', { state: 'runnable', queued: 3 }),
  isolate(9, 'door', { kind: 'pinned', isBlocked: true }),
  isolate(10, 'a name that is so long that no column and no window has room for all of it, on any screen'),
];
const WAITS = [
  { waiter: party(5, 'hen'), holders: [party(6, 'egg')], kind: 'asked', seenMs: 9000, isInCycle: true },
  { waiter: party(11, 'chick'), holders: [party(5, 'hen')], kind: 'asked', seenMs: 9000, isInCycle: true },
  // One of those for which the egg waits is in no cycle.
  { waiter: party(6, 'egg'), holders: [party(11, 'chick'), party(8, 'scale')], kind: 'asked', seenMs: 9000, isInCycle: true },
  { waiter: party(9, 'door'), holders: [party(8, 'scale'), { id: 'threads/77', name: 'reader' }], kind: 'blocked', seenMs: 50, isInCycle: false },
  { waiter: party(7, 'granary'), holders: [party(3, 'mill.0')], kind: 'call', call: 'Mill.grind of pool mill, on worker 0', seenMs: 31_000, isInCycle: false },
  { waiter: party(7, 'granary'), holders: [{ id: 'pools/1', name: 'mill' }], kind: 'call', call: 'Mill.polish of pool mill, in its queue', seenMs: 400, isInCycle: false },
];

const latency = (us) => ({ samples: 100, meanUs: us, p50Us: us, p90Us: 2 * us, p99Us: 5 * us, p999Us: 8 * us, maxUs: 9 * us });
const outcomes = (answered) => ({
  answeredTotal: answered, failedTotal: 3, panickedTotal: 1, cancelledTotal: 2, expiredTotal: 0, diedTotal: 0, rejectedTotal: 0, shedTotal: 0,
});
const POOL = {
  id: 'pools/1', name: 'mill', phase: 'serving', ready: 2, workers: 2, mostWorkers: 4, queued: 5, waiting: 0, running: 2,
  submittedTotal: 3600, outcomes: outcomes(3587), stuckTotal: 0, rebuiltTotal: 1,
  queueWait: latency(800), runTime: latency(15_000), latency: latency(16_000),
};
// The calls of each look at the pool are the same, so its heat maps say the same after any number of looks.
let looks = 0;
const buckets = (us) =>
  [[us / 4, 10], [us, 80], [2 * us, 8], [4 * us, 2]].map(([upToUs, calls]) => ({ upToUs, total: calls * looks }));
const endedCall = (index, members) => ({
  atMs: 100_000 + 100 * index, pool: { id: 'pools/1', name: 'mill' }, worker: index % 2, method: 'Mill.grind', waitUs: 20_000, runUs: 130_000,
  outcome: 'answered', ...members,
});
const ENDED = {
  dropped: 3,
  calls: [
    endedCall(0), endedCall(1, { method: 'Mill.polish', outcome: 'failed' }), endedCall(2, { waitUs: 250_000, runUs: 800 }),
    endedCall(3, { worker: null, waitUs: null, runUs: null, outcome: 'expired' }),
  ],
};
const worker = (index, members) => ({
  index, condition: 'ready', fault: null, incarnation: 0, isolate: party(3 + index, `mill.${index}`), isPaused: false, turnMs: null,
  running: 1, callsTotal: 1800, panickedTotal: 0, cpuTotalMs: 20_000, memoryBytes: null, runTime: latency(15_000), ...members,
});
const POOL_DETAIL = {
  workers: [worker(0, { turnMs: 31_000 }), worker(1, { condition: 'suspect', fault: 'no heartbeat' })],
  methods: ['grind', 'polish'].map((method) => ({
    contract: 'Mill', method, outcomes: outcomes(1793), queueWait: latency(800), runTime: latency(15_000), latency: latency(16_000),
  })),
  calls: [
    { worker: 0, method: 'Mill.grind', seenMs: 31_000, isWaiting: false },
    { worker: 1, method: 'Mill.polish', seenMs: 400, isWaiting: false },
    { worker: 1, method: 'Mill.watch', seenMs: 12_000, isWaiting: true },
  ],
  why: ['5 calls wait in the queue, and all workers are busy.', '1 worker is inside of one turn for 31.0 s.'],
};
const PORT = {
  id: 'ports/7', name: null, openedAt: 'programs/mill/src/granary/door.rs:135:35', senders: 2, mode: 'buffered', buffered: 3,
  bound: 16, used: 3, waitingSenders: 0, keepsAlive: true,
};
const events = Array.from({ length: 40 }, (_, index) => ({
  number: index + 1, atMs: 2500 * index, kind: ['isolateSpawn', 'isolateExit', 'slowCall', 'control'][index % 4],
  severity: ['info', 'info', 'warning', 'error'][index % 4], subject: index % 4 === 2 ? 'pools/1' : `isolates/${1 + (index % 10)}`,
  text: `the event ${index + 1}, in a sentence`,
}));

const ANSWERS = {
  authenticate: {},
  streamListen: {},
  streamCancel: {},
  getVM: {
    name: 'mill', pid: 4711, version: '0.1.0', operatingSystem: 'linux', cores: 2, uptimeMs: UPTIME_MS, canControl: true,
  },
  getHistory: { samples: Array.from({ length: UPTIME_MS / 1000 }, sample) },
  getEvents: { events, dropped: 0, newest: events.length },
  getIsolates: { total: 40, matched: ISOLATES.length, isolates: ISOLATES },
  getIsolate: {
    isolate: ISOLATES[4], hasAnswered: true, ports: [PORT, { ...PORT, id: 'ports/8', name: 'nest', bound: null, used: null }],
    timers: 1, nextTimerMs: 400, tasks: 2, awaitedTasks: 1, questions: [{ asked: party(6, 'egg') }], microtasks: 0, pauses: 0,
    waits: WAITS.slice(0, 2), why: ['It is idle: its queue is empty.', 'It awaits an answer of egg.', 'This wait is part of a cycle.'],
  },
  getPools: { pools: [POOL] },
  get getPool() {
    looks += 1;
    return { ...POOL_DETAIL, pool: POOL, histograms: { queueWait: buckets(2 ** 20 / 1000), runTime: buckets(2 ** 24 / 1000) } };
  },
  getThreads: {
    queued: 1,
    threads: ['stuck', 'running', 'idle', 'idle'].map((state, index) => ({
      index, state, isolate: index < 2 ? party(3 + index, `mill.${index}`) : null, turnMs: index === 0 ? 31_000 : null,
      turnsTotal: 1000 * index, queued: index, meanSliceNs: 500 * index,
    })),
    nativePorts: [
      { id: 'nativePorts/1', name: 'millwheel', isClosed: false, waiting: 3, running: 2, maxConcurrent: 2, threads: 2, startedTotal: 1800, meanUs: 15_000 },
      { id: 'nativePorts/2', name: 'sluice', isClosed: true, waiting: 0, running: 0, maxConcurrent: 1, threads: 0, startedTotal: 7, meanUs: 0 },
    ],
  },
  getWaits: { waits: WAITS, cycles: [[party(5, 'hen'), party(6, 'egg'), party(11, 'chick')]], unanswered: 1 },
  profile: {
    durationMs: 2000, looks: 2000,
    stacks: [
      { frames: ['thread 0', 'mill.0', 'grind'], looks: 1200 },
      { frames: ['thread 1', 'mill.1', 'polish'], looks: 500 },
      { frames: ['thread 1', 'scale'], looks: 299 },
      { frames: ['thread 1', 'hen'], looks: 1 },
    ],
  },
};

globalThis.WebSocket = class {
  static OPEN = 1;
  readyState = 1;

  constructor() {
    face.load().then(() => this.onopen());
  }

  send(text) {
    const { id, method, params } = JSON.parse(text);
    const result = ANSWERS[method];
    const answer = result ? { id, result } : { id, error: { code: -32601, message: `no method ${method}` } };
    this.#tell(answer);
    const isTrace = method === 'streamListen' && params.streamId === 'Calls';
    if (isTrace) this.#tell({ method: 'streamNotify', params: { streamId: 'Calls', event: ENDED } });
  }

  #tell(message) {
    setTimeout(() => this.onmessage({ data: JSON.stringify(message) }));
  }

  close() {
    this.onclose?.({ wasClean: true });
  }
};
