// The threads of the thread pool, and the native ports, which have threads of their own.

import { LEAST_MS } from './data.js';
import { draw, el, fillName, fillParty, fillState, setHidden, setText, Table } from './dom.js';
import { count, counted, duration, micros, rate } from './format.js';

const PORT_COLUMNS = [
  { label: 'Native port', isHead: true, class: 'name', fill: (cell, port) => fillName(cell, port.name) },
  { label: 'State', fill: (cell, port) => fillState(cell, port.isClosed ? 'closed' : 'open') },
  { label: 'Waiting', isNumber: true, text: (port) => count(port.waiting) },
  { label: 'Running', isNumber: true, text: (port) => `${count(port.running)} of ${count(port.maxConcurrent)}` },
  { label: 'Threads', isNumber: true, text: (port) => count(port.threads) },
  { label: 'Started', isNumber: true, text: (port) => count(port.startedTotal) },
  { label: 'Mean time', isNumber: true, text: (port) => micros(port.meanUs ?? 0) },
];

export class ThreadsView {
  #app;
  #answer = null;
  #before = new Map();
  #askedAt;
  #rates = new Map();
  #summary = el('p', { class: 'counts' });
  #table;
  #ports = new Table({ caption: 'Native ports', columns: PORT_COLUMNS, keyOf: (port) => port.id, empty: 'No native ports' });

  constructor(app, panel) {
    this.#app = app;
    this.#table = new Table({ caption: 'Threads', columns: this.#columns(), keyOf: (thread) => thread.index, empty: 'No threads' });
    panel.append(el('div', { class: 'bar' }, this.#summary), this.#table.element, this.#ports.element);
    setHidden(this.#ports.element, true);
  }

  show() {
    draw(this.#render);
  }

  changed() {}

  async poll() {
    this.#answer = await this.#app.request('getThreads');
    this.#measure(this.#answer.threads ?? []);
    draw(this.#render);
  }

  // Turns per second, from the counters of the poll before.
  #measure(threads) {
    const now = performance.now();
    if (now - this.#askedAt < LEAST_MS) return;
    const seconds = (now - this.#askedAt) / 1000;
    for (const { index, turnsTotal } of threads) {
      const before = this.#before.get(index);
      if (before !== undefined) this.#rates.set(index, Math.max(0, turnsTotal - before) / seconds);
      this.#before.set(index, turnsTotal);
    }
    this.#askedAt = now;
  }

  #columns() {
    return [
      { label: 'Thread', isHead: true, text: (thread) => String(thread.index) },
      { label: 'State', fill: (cell, thread) => fillThreadState(cell, thread) },
      { label: 'Isolate', class: 'name', fill: (cell, thread) => fillParty(cell, thread.isolate, this.#app) },
      { label: 'Present turn', isNumber: true, text: (thread) => duration(thread.turnMs) },
      { label: 'Turns per second', isNumber: true, text: (thread) => rate(this.#rates.get(thread.index)) },
      { label: 'Turns', isNumber: true, text: (thread) => count(thread.turnsTotal) },
      { label: 'Isolates queued', isNumber: true, text: (thread) => count(thread.queued) },
      { label: 'Mean slice', isNumber: true, text: (thread) => micros((thread.meanSliceNs ?? 0) / 1000) },
    ];
  }

  #render = () => {
    if (this.#answer === null) return;
    const { threads = [], queued, nativePorts = [] } = this.#answer;
    const number = (state) => count(threads.filter((thread) => (thread.state ?? 'idle') === state).length);
    setText(this.#summary, `${counted(threads.length, 'thread')}: ${number('stuck')} stuck, ${number('running')} running, ${number('idle')} idle. The queue of all threads holds ${counted(queued ?? 0, 'isolate')}.`);
    this.#table.update(threads);
    setHidden(this.#ports.element, nativePorts.length === 0);
    this.#ports.update(nativePorts);
  };
}

function fillThreadState(cell, { state = 'idle' }) {
  fillState(cell, state);
  cell.parentElement.classList.toggle('alarm', state === 'stuck');
}
