// The table of pools, and in its place one pool.

import { draw, fillLink, fillState, setHidden, Table } from './dom.js';
import { count, latency, rate } from './format.js';
import { PoolPage } from './pool.js';

export class PoolsView {
  #app;
  #id;
  #list;
  #page;

  constructor(app, panel) {
    this.#app = app;
    this.#list = new Table({ caption: 'Pools', columns: columns(app), keyOf: (pool) => pool.id, empty: 'No pools' });
    this.#page = new PoolPage(app, () => app.open({ view: 'pools' }));
    panel.append(this.#list.element, this.#page.element);
  }

  show({ id }) {
    this.#id = id;
    setHidden(this.#list.element, id !== undefined);
    this.#page.show(id);
    draw(this.#render);
  }

  hide() {
    this.#page.hide();
  }

  ended(calls) {
    this.#page.ended(calls);
  }

  async poll() {
    await this.#page.poll();
  }

  changed() {
    draw(this.#render);
  }

  #render = () => {
    const { pools } = this.#app.poolHistory;
    if (this.#id === undefined && pools !== null) this.#list.update(pools);
  };
}

function columns(app) {
  return [
    { label: 'Name', isHead: true, class: 'name', fill: (cell, pool) => fillLink(cell, pool.name || pool.id, () => app.open({ view: 'pools', id: pool.id })) },
    { label: 'Phase', fill: (cell, pool) => fillState(cell, pool.phase) },
    { label: 'Ready', isNumber: true, text: (pool) => `${count(pool.ready)} of ${count(pool.workers)}` },
    { label: 'Queued', isNumber: true, text: (pool) => count(pool.queued) },
    { label: 'Waiting', isNumber: true, text: (pool) => count(pool.waiting) },
    { label: 'Running', isNumber: true, text: (pool) => count(pool.running) },
    { label: 'Calls/s', isNumber: true, text: (pool) => rate(app.poolHistory.callsPerSecond(pool.id)) },
    { label: 'Submitted', isNumber: true, text: (pool) => count(pool.submittedTotal) },
    { label: 'Failed', isNumber: true, text: ({ outcomes = {} }) => count((outcomes.failedTotal ?? 0) + (outcomes.panickedTotal ?? 0)) },
    { label: 'Queue wait p99', isNumber: true, text: (pool) => latency(pool.queueWait, 'p99Us') },
    { label: 'Run time p50', isNumber: true, text: (pool) => latency(pool.runTime, 'p50Us') },
    { label: 'Run time p99', isNumber: true, text: (pool) => latency(pool.runTime, 'p99Us') },
  ];
}
