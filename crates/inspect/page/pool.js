// One pool in detail: its workers, its methods, the calls that run and those that have ended, and its
// course.

import { Chart, HeatMap } from './charts.js';
import { NO_SUCH_OBJECT } from './connection.js';
import { rates, Times } from './data.js';
import { button, draw, el, Facts, fillName, fillParty, fillSentences, fillState, setHidden, setText, Table } from './dom.js';
import { bytes, count, counted, duration, latency, micros, NONE, rate, visible } from './format.js';

const MOST_CALLS = 200;
const MOST_ENDED = 40;

const level = (member) => (course) => course.map((point) => point[member]);
const CHARTS = [
  { label: 'Queued calls', values: level('queued'), format: count },
  { label: 'Running calls', values: level('running'), format: count },
  { label: 'Calls/s', values: (course) => rates(course, 'ended'), format: rate },
];

const METHODS = [
  { label: 'Method', isHead: true, class: 'name', fill: (cell, method) => fillName(cell, `${method.contract}.${method.method}`) },
  { label: 'Answered', isNumber: true, text: ({ outcomes }) => count(outcomes?.answeredTotal) },
  { label: 'Failed', isNumber: true, text: ({ outcomes }) => count(outcomes?.failedTotal) },
  { label: 'Panicked', isNumber: true, text: ({ outcomes }) => count(outcomes?.panickedTotal) },
  { label: 'Cancelled', isNumber: true, text: ({ outcomes }) => count(outcomes?.cancelledTotal) },
  { label: 'Expired', isNumber: true, text: ({ outcomes }) => count(outcomes?.expiredTotal) },
  { label: 'Died', isNumber: true, text: ({ outcomes }) => count(outcomes?.diedTotal) },
  { label: 'Queue wait p99', isNumber: true, text: (method) => latency(method.queueWait, 'p99Us') },
  { label: 'Run time p50', isNumber: true, text: (method) => latency(method.runTime, 'p50Us') },
  { label: 'p90', isNumber: true, text: (method) => latency(method.runTime, 'p90Us') },
  { label: 'p99', isNumber: true, text: (method) => latency(method.runTime, 'p99Us') },
  { label: 'Longest', isNumber: true, text: (method) => latency(method.runTime, 'maxUs') },
];

function workerColumns(app) {
  return [
    { label: 'Worker', isHead: true, text: (worker) => String(worker.index) },
    { label: 'Condition', fill: (cell, worker) => fillState(cell, worker.isPaused ? 'paused' : worker.condition) },
    { label: 'Isolate', class: 'name', fill: (cell, worker) => fillParty(cell, worker.isolate, app) },
    { label: 'Running', isNumber: true, text: (worker) => count(worker.running) },
    { label: 'Present turn', isNumber: true, text: (worker) => duration(worker.turnMs) },
    { label: 'Calls', isNumber: true, text: (worker) => count(worker.callsTotal) },
    { label: 'Panicked', isNumber: true, text: (worker) => count(worker.panickedTotal) },
    { label: 'Run time p50', isNumber: true, text: (worker) => latency(worker.runTime, 'p50Us') },
    { label: 'p99', isNumber: true, text: (worker) => latency(worker.runTime, 'p99Us') },
    { label: 'CPU time', isNumber: true, text: (worker) => duration(worker.cpuTotalMs) },
    { label: 'Memory', isNumber: true, text: (worker) => bytes(worker.memoryBytes) },
    { label: 'Incarnation', isNumber: true, text: (worker) => count(worker.incarnation) },
    { label: 'Fault', class: 'name', fill: (cell, worker) => fillName(cell, worker.fault ?? NONE) },
  ];
}

/** The calls that run, as bars by age, those of one worker beside each other. */
class Timeline {
  #table = new Table({
    caption: 'Calls that run, by worker and age',
    columns: [
      { label: 'Worker', isHead: true, text: (call) => String(call.worker) },
      { label: 'Method', class: 'name', fill: (cell, call) => fillName(cell, call.method) },
      { label: 'Seen for', isNumber: true, text: (call) => duration(call.seenMs) },
      { label: 'Age', class: 'bar-cell', fill: (cell, call) => this.#fillBar(cell, call) },
    ],
    keyOf: (call) => `${call.worker} ${call.method}`,
    empty: 'No calls',
  });
  #more = el('p', { class: 'note' });
  #longestMs = 1;
  element = el('div', {}, this.#table.element, this.#more);

  /** Shows calls, which come with the oldest first. */
  update(calls) {
    const shown = calls.slice(0, MOST_CALLS);
    this.#longestMs = Math.max(1, calls[0]?.seenMs ?? 0);
    this.#table.update(shown.toSorted((a, b) => a.worker - b.worker || b.seenMs - a.seenMs));
    setText(this.#more, calls.length > shown.length ? `${count(calls.length - shown.length)} younger calls are not shown.` : '');
  }

  #fillBar(cell, { seenMs, isWaiting }) {
    if (!cell.bar) cell.append(cell.bar = el('span', { class: 'age' }), cell.note = el('span'));
    cell.bar.style.width = `${Math.max(1, (70 * (seenMs ?? 0)) / this.#longestMs).toFixed(1)}%`;
    cell.bar.classList.toggle('waiting', isWaiting ?? false);
    setText(cell.note, isWaiting ? 'Waits for its reader' : '');
  }
}

/** The calls that have ended last, as bars on a common axis of time. */
class EndedCalls {
  #axis = [el('span'), el('span'), el('span')];
  #table = new Table({
    caption: 'Calls that have ended, the newest first',
    columns: [
      { label: 'Method', isHead: true, class: 'name', fill: (cell, call) => fillName(cell, call.method) },
      { label: 'Worker', isNumber: true, text: (call) => (call.worker == null ? NONE : String(call.worker)) },
      { label: 'Outcome', fill: (cell, call) => fillState(cell, call.outcome) },
      { label: 'Queue wait', isNumber: true, text: (call) => micros(call.waitUs) },
      { label: 'Run time', isNumber: true, text: (call) => micros(call.runUs) },
      { label: el('div', { class: 'axis' }, ...this.#axis.flatMap((label) => [label, ' '])), fill: (cell, call) => this.#fillBars(cell, call) },
    ],
    // Elements of their own for each call would come and go thousands of times in a second.
    keyOf: (call, index) => index,
    empty: 'No call has ended since this page was opened',
  });
  #follow = el('input', { type: 'checkbox', checked: true });
  #counts = el('p', { class: 'counts' });
  // The newest last, as they come.
  #calls = [];
  #ended = 0;
  #dropped = 0;
  #startMs = 0;
  #spanMs = 1;
  element = el('div', { class: 'ended' },
    el('div', { class: 'bar' }, el('label', {}, this.#follow, ' Follow'), this.#counts,
      el('p', { class: 'legend' }, el('span', { class: 'age waiting' }), 'in the queue', el('span', { class: 'age' }), 'in its handler')),
    this.#table.element);

  clear() {
    this.#calls = [];
    this.#ended = 0;
    this.#dropped = 0;
    draw(this.#render);
  }

  add({ calls = [], dropped = 0 }) {
    this.#ended += calls.length;
    this.#dropped += dropped;
    // The reader holds the calls still to read them.
    if (this.#follow.checked) this.#calls = [...this.#calls, ...calls.slice(-MOST_ENDED)].slice(-MOST_ENDED);
    draw(this.#render);
  }

  #render = () => {
    const calls = this.#calls.toReversed();
    const endMs = Math.max(0, ...calls.map((call) => call.atMs));
    this.#startMs = Math.min(endMs, ...calls.map(submittedMs));
    // The server tells ends in whole milliseconds.
    this.#spanMs = Math.max(1, endMs - this.#startMs);
    this.#axis.forEach((label, index) => setText(label, axisText(this.#spanMs * (1 - index / 2))));
    this.#table.update(calls);
    const shown = this.#ended > calls.length ? `, of which ${count(calls.length)} are shown` : '';
    const dropped = this.#dropped > 0 ? `; ${count(this.#dropped)} more came too fast to be told` : '';
    setText(this.#counts, `${counted(this.#ended, 'call')}${shown}${dropped}`);
  };

  #fillBars(cell, call) {
    if (!cell.wait) {
      cell.append(el('div', { class: 'span' }, cell.wait = el('span', { class: 'age waiting' }), cell.run = el('span', { class: 'age' })));
    }
    const { waitUs, runUs } = call;
    const percent = (ms) => `${Math.min(100, (100 * ms) / this.#spanMs).toFixed(2)}%`;
    cell.wait.style.marginInlineStart = percent(submittedMs(call) - this.#startMs);
    cell.wait.style.width = percent((waitUs ?? 0) / 1000);
    cell.run.style.width = percent((runUs ?? 0) / 1000);
    setHidden(cell.run, runUs == null);
  }
}

function submittedMs({ atMs, waitUs, runUs }) {
  return atMs - ((waitUs ?? 0) + (runUs ?? 0)) / 1000;
}

function axisText(ms) {
  return ms === 0 ? 'last end' : `−${duration(ms)}`;
}

export class PoolPage {
  #app;
  #id;
  #answer = null;
  #isGone = false;
  #isOpen = false;
  #title = el('h2');
  #state = el('p');
  #note = el('p', { class: 'note', role: 'status' });
  #why = el('ul', { class: 'why', 'aria-label': 'Why' });
  #size = el('input', { type: 'number', min: 1, max: 1024, 'aria-label': 'Number of workers' });
  #buttons;
  #charts = CHARTS.map(({ values, ...options }) => ({ values, chart: new Chart(options) }));
  #facts = new Facts();
  #workers;
  #methods = new Table({ caption: 'Methods', columns: METHODS, keyOf: (method) => `${method.contract}.${method.method}`, empty: 'No methods' });
  #timeline = new Timeline();
  #ended = new EndedCalls();
  #wait = { times: new Times(), map: new HeatMap('Queue wait') };
  #run = { times: new Times(), map: new HeatMap('Run time') };
  #maps = el('div', { class: 'heats', hidden: true }, this.#wait.map.element, this.#run.map.element);
  // The pool whose calls the server tells of.
  #heard;

  constructor(app, close) {
    this.#app = app;
    this.#workers = new Table({ caption: 'Workers', columns: workerColumns(app), keyOf: (worker) => worker.index, empty: 'No workers' });
    this.#size.addEventListener('keydown', ({ key }) => key === 'Enter' && this.#resize());
    this.#buttons = el('div', { class: 'buttons' },
      this.#size, button('Resize', () => this.#resize()),
      button('Recycle workers', () => this.#control('recycle')),
      button('Drain', () => this.#drain(), { class: 'danger' }));
    this.element = el('div', { class: 'pool', hidden: true },
      el('div', { class: 'title' }, this.#title, button('All pools', close)),
      this.#state, this.#note, this.#why, this.#buttons,
      el('div', { class: 'charts' }, ...this.#charts.map(({ chart }) => chart.element)),
      this.#maps, this.#facts.element, this.#timeline.element, this.#ended.element, this.#workers.element, this.#methods.element);
    this.element.addEventListener('keydown', ({ key }) => key === 'Escape' && close());
    // A page that no reader sees costs the program nothing.
    document.addEventListener('visibilitychange', () => this.#isOpen && this.#listen());
  }

  show(id) {
    if (id !== this.#id) {
      this.#answer = null;
      this.#isGone = false;
      this.#size.value = '';
      this.#wait.times = new Times();
      this.#run.times = new Times();
      this.#ended.clear();
    }
    this.#id = id;
    this.#isOpen = true;
    // A new connection shows the pool again, and knows of no streams.
    this.#listen();
    setHidden(this.element, id === undefined);
    draw(this.#render);
  }

  hide() {
    this.#isOpen = false;
    this.#listen();
  }

  ended(calls) {
    // Those of a pool that was open before may still come.
    const isOwn = ({ pool }) => pool?.id === this.#id;
    if ((calls.calls ?? []).every(isOwn)) this.#ended.add(calls);
  }

  async #listen() {
    const poolId = this.#isOpen && !document.hidden ? this.#id : undefined;
    if (poolId === undefined && this.#heard === undefined) return;
    this.#heard = poolId;
    const [method, params] = poolId === undefined ? ['streamCancel', {}] : ['streamListen', { poolId }];
    try {
      await this.#app.request(method, { streamId: 'Calls', ...params });
    } catch (error) {
      // A pool that is gone is told of by the next look at it.
      if (error.code !== NO_SUCH_OBJECT) this.#app.report(error);
    }
  }

  async poll() {
    const id = this.#id;
    if (id === undefined || this.#isGone) return;
    try {
      const answer = await this.#app.request('getPool', { poolId: id });
      if (id !== this.#id) return;
      this.#answer = answer;
      this.#addTimes(answer.histograms);
    } catch (error) {
      if (error.code !== NO_SUCH_OBJECT) throw error;
      if (id === this.#id) this.#isGone = true;
    }
    draw(this.#render);
  }

  #addTimes(histograms) {
    // A program of an earlier version has none.
    setHidden(this.#maps, histograms === undefined);
    if (this.#maps.hidden) return;
    this.#wait.times.add(histograms.queueWait);
    this.#run.times.add(histograms.runTime);
  }

  #control(method, params = {}) {
    return this.#app.control(method, { poolId: this.#id, ...params });
  }

  #resize() {
    const workers = this.#size.valueAsNumber;
    if (this.#size.reportValidity() && Number.isInteger(workers)) this.#control('resize', { workers });
  }

  async #drain() {
    const id = this.#id;
    const name = visible(this.#answer?.pool.name ?? id, 100);
    const isSure = await this.#app.ask('Drain this pool?', `“${name}” finishes the calls that it has, and takes no more. This cannot be undone.`, 'Drain');
    if (isSure) this.#app.control('drain', { poolId: id });
  }

  #render = () => {
    if (this.#id === undefined) return;
    fillName(this.#title, this.#answer?.pool.name || this.#id);
    setText(this.#note, this.#isGone ? 'There is no such pool, or it has been dropped.' : '');
    setHidden(this.#buttons, !this.#app.canControl || this.#isGone);
    const course = this.#app.poolHistory.of(this.#id);
    if (course.length > 0) this.#charts.forEach(({ chart, values }) => chart.update(values(course)));
    if (this.#answer !== null) this.#fill(this.#answer);
  };

  #fill({ pool, workers = [], methods = [], calls = [], why = [] }) {
    fillState(this.#state, pool.phase);
    fillSentences(this.#why, why);
    // The reader may be typing, so only an untouched field follows the pool.
    if (this.#size.value === '' && document.activeElement !== this.#size) this.#size.value = pool.workers;
    this.#facts.update(facts(pool));
    this.#timeline.update(calls);
    if (!this.#maps.hidden) [this.#wait, this.#run].forEach(({ times, map }) => map.update(times));
    this.#workers.update(workers);
    this.#methods.update(methods);
  }
}

function facts(pool) {
  const outcomes = pool.outcomes ?? {};
  return {
    Workers: `${count(pool.ready)} ready of ${count(pool.workers)}, at most ${count(pool.mostWorkers)}`,
    'Waiting for room': count(pool.waiting),
    Submitted: count(pool.submittedTotal),
    Answered: count(outcomes.answeredTotal),
    Failed: count(outcomes.failedTotal),
    Panicked: count(outcomes.panickedTotal),
    Cancelled: count(outcomes.cancelledTotal),
    Expired: count(outcomes.expiredTotal),
    Died: count(outcomes.diedTotal),
    Rejected: count(outcomes.rejectedTotal),
    Shed: count(outcomes.shedTotal),
    'Workers given up': count(pool.stuckTotal),
    'Services rebuilt': count(pool.rebuiltTotal),
    'Latency p50': latency(pool.latency, 'p50Us'),
    'Latency p90': latency(pool.latency, 'p90Us'),
    'Latency p99': latency(pool.latency, 'p99Us'),
    'Latency p99.9': latency(pool.latency, 'p999Us'),
  };
}
