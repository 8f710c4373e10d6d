// The numbers of the whole program, and what went wrong lately.

import { Chart } from './charts.js';
import { rates } from './data.js';
import { draw, el } from './dom.js';
import { eventTable } from './events.js';
import { bytes, count, percent, rate } from './format.js';

const RECENT = 8;

// The values of a chart for a list of samples.
const level = (member) => (samples) => samples.map((sample) => sample[member]);
const perSecond = (member) => (samples) => rates(samples, member);
const share = (samples) => rates(samples, 'cpuTotalMs').map((ms) => (ms === null ? null : ms / 10));

const isolates = (state) => ({ view: 'isolates', state });
const CHARTS = [
  { label: 'Isolates', values: level('isolates'), format: count, route: isolates('') },
  { label: 'Running', values: level('running'), format: count, route: isolates('running') },
  { label: 'Runnable', values: level('runnable'), format: count, route: isolates('runnable') },
  { label: 'Paused', values: level('paused'), format: count, route: isolates('paused') },
  { label: 'Queued events', values: level('queued'), format: count },
  { label: 'Turns/s', values: perSecond('turnsTotal'), format: rate },
  { label: 'Spawned/s', values: perSecond('spawnedTotal'), format: rate },
  { label: 'Calls/s', values: perSecond('callsEndedTotal'), format: rate, route: { view: 'pools' } },
  { label: 'Calls queued', values: level('callsQueued'), format: count, route: { view: 'pools' } },
  { label: 'Calls running', values: level('callsRunning'), format: count, route: { view: 'pools' } },
  { label: 'Calls lost/s', values: perSecond('callsLostTotal'), format: rate, alarm: 0 },
  { label: 'Threads', values: level('threads'), format: count, route: { view: 'threads' } },
  { label: 'Stuck threads', values: level('stuckThreads'), format: count, route: { view: 'threads' }, alarm: 0 },
  { label: 'Waits', values: level('waits'), format: count, route: { view: 'waits' } },
  { label: 'Memory', values: level('memoryBytes'), format: bytes },
  { label: 'CPU, of one core', values: share, format: percent },
];

export class Overview {
  #app;
  #charts;
  #events;

  constructor(app, panel) {
    this.#app = app;
    this.#charts = CHARTS.map(({ label, format, route, alarm, values }) => ({
      values,
      chart: new Chart({ label, format, alarm, open: route && (() => app.open(route)) }),
    }));
    this.#events = eventTable(app, { caption: 'Recent warnings and errors', empty: 'No warnings and no errors' });
    panel.append(
      el('div', { class: 'charts' }, ...this.#charts.map(({ chart }) => chart.element)),
      this.#events.element,
    );
  }

  show() {
    draw(this.#render);
  }

  /** Everything here comes from streams. */
  async poll() {}

  changed() {
    draw(this.#render);
  }

  #render = () => {
    if (this.#app.vm === null) return;
    const samples = this.#app.samples.list;
    this.#charts.forEach(({ chart, values }) => chart.update(values(samples)));
    const grave = this.#app.events.list.filter((event) => event.severity === 'warning' || event.severity === 'error');
    this.#events.update(grave.slice(-RECENT).reverse());
  };
}
