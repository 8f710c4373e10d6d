// One isolate in detail.

import { NO_SUCH_OBJECT } from './connection.js';
import { button, draw, el, Facts, fillName, fillParty, fillSentences, fillState, setHidden, setText, Table } from './dom.js';
import { count, counted, duration, NONE, visible, words } from './format.js';
import { waitTable } from './waits.js';

const PORTS = [
  { label: 'Port', class: 'port', isHead: true, fill: fillPort },
  { label: 'Mode', text: (port) => words(port.mode) },
  { label: 'Senders', isNumber: true, text: (port) => count(port.senders) },
  { label: 'Buffered', isNumber: true, text: (port) => count(port.buffered) },
  { label: 'Bound', isNumber: true, text: (port) => (port.bound == null ? NONE : `${count(port.used)} of ${count(port.bound)}`) },
  { label: 'Waiting', isNumber: true, text: (port) => count(port.waitingSenders) },
  { label: 'Keeps alive', text: (port) => (port.keepsAlive ? 'Yes' : 'No') },
];

// The place in the source is longer than any column, and its end is what differs, so it has a line of
// its own and is not cut.
function fillPort(cell, port) {
  if (!cell.name) cell.append(cell.name = el('div'), cell.place = el('div', { class: 'place' }));
  fillName(cell.name, port.name ?? port.id);
  fillName(cell.place, port.openedAt);
}

export class IsolateDetail {
  #app;
  #id;
  #answer = null;
  #hasEnded = false;
  #title = el('h2', { tabindex: -1 });
  #name = el('p', { class: 'full-name', dir: 'auto' });
  #state = el('p');
  #note = el('p', { class: 'note', role: 'status' });
  #why = el('ul', { class: 'why', 'aria-label': 'Why' });
  #facts = new Facts();
  #buttons;
  #ports = new Table({ caption: 'Ports', columns: PORTS, keyOf: (port) => port.id, empty: 'No ports' });
  #more = el('p', { class: 'note' });
  #questions;
  #waits;

  constructor(app, close) {
    this.#app = app;
    this.#buttons = el('div', { class: 'buttons' },
      button('Ping', () => this.#control('ping')),
      button('Pause', () => this.#control('pause')),
      button('Resume', () => this.#control('resume')),
      button('Kill', () => this.#kill(), { class: 'danger' }));
    this.#questions = new Table({
      caption: 'Questions without an answer',
      columns: [{ label: 'Asked isolate', fill: (cell, { asked }) => fillParty(cell, asked ?? { id: '', name: 'Not known' }, app) }],
      keyOf: (question, index) => index,
      empty: 'No questions',
    });
    this.#waits = waitTable(app, 'Waits');
    this.element = el('aside', { class: 'detail', 'aria-label': 'Isolate', hidden: true },
      el('div', { class: 'title' }, this.#title, button('Close', close)),
      this.#state, this.#note, this.#why, this.#buttons, this.#facts.element, this.#name,
      this.#ports.element, this.#more, this.#questions.element, this.#waits.element);
    this.element.addEventListener('keydown', ({ key }) => key === 'Escape' && close());
  }

  show(id) {
    if (id !== this.#id) {
      this.#answer = null;
      this.#hasEnded = false;
    }
    this.#id = id;
    setHidden(this.element, id === undefined);
    draw(this.#render);
  }

  focus() {
    this.#title.focus();
  }

  async poll() {
    const id = this.#id;
    if (id === undefined || this.#hasEnded) return;
    try {
      const answer = await this.#app.request('getIsolate', { isolateId: id });
      if (id === this.#id) this.#answer = answer;
    } catch (error) {
      if (error.code !== NO_SUCH_OBJECT) throw error;
      if (id === this.#id) this.#hasEnded = true;
    }
    draw(this.#render);
  }

  #control(method) {
    return this.#app.control(method, { isolateId: this.#id });
  }

  async #kill() {
    const id = this.#id;
    const name = visible(this.#answer?.isolate.name ?? id, 100);
    const isSure = await this.#app.ask('Kill this isolate?', `“${name}” ends at its next interrupt check. Its queued events are dropped.`, 'Kill');
    if (isSure) this.#app.control('kill', { isolateId: id });
  }

  #render = () => {
    const id = this.#id;
    if (id === undefined) return;
    const { isolate = { id, name: id }, why = [], hasAnswered } = this.#answer ?? {};
    fillName(this.#title, isolate.name || id);
    // The title has one line. A name that does not fit into it is shown in full below.
    setText(this.#name, isolate.name.length > 60 ? visible(isolate.name, 20_000) : '');
    setText(this.#note, this.#noteText(hasAnswered));
    fillSentences(this.#why, why);
    setHidden(this.#buttons, !this.#app.canControl || this.#hasEnded);
    if (this.#answer !== null) this.#fill(this.#answer);
  };

  #noteText(hasAnswered) {
    if (this.#hasEnded) return this.#answer === null ? 'There is no such isolate, or it has ended.' : 'This isolate has ended. The data below is old.';
    if (this.#answer === null) return '';
    return hasAnswered ? '' : 'The isolate has not answered: it computes or blocks. Its ports, timers and tasks are not known.';
  }

  #fill({ isolate, ports = [], questions = [], waits = [], ...detail }) {
    fillState(this.#state, this.#hasEnded ? 'ended' : isolate.isBlocked ? 'blocked' : isolate.state ?? 'idle');
    const known = (text) => (detail.hasAnswered ? text : 'Not known');
    const timer = detail.nextTimerMs == null ? '' : `, next in ${duration(detail.nextTimerMs)}`;
    this.#facts.update({
      Id: isolate.id,
      Kind: words(isolate.kind),
      Group: visible(isolate.group ?? NONE),
      Queued: count(isolate.queued),
      'Control messages queued': count(isolate.controlQueued),
      Turns: count(isolate.turnsTotal),
      'Present turn': duration(isolate.turnMs),
      'CPU time': duration(isolate.cpuTotalMs),
      'Seen for': duration(isolate.seenMs),
      Ports: known(count(detail.portsTotal ?? ports.length)),
      Timers: known(`${count(detail.timers)}${timer}`),
      Tasks: known(`${count(detail.tasks)}, ${count(detail.awaitedTasks)} awaited`),
      Microtasks: known(count(detail.microtasks)),
      Pauses: known(count(detail.pauses)),
    });
    this.#ports.update(ports);
    const total = detail.portsTotal ?? ports.length;
    setText(this.#more, total > ports.length ? `The newest ${count(ports.length)} of ${counted(total, 'port')}.` : '');
    this.#questions.update(questions);
    this.#waits.update(waits);
  }
}
