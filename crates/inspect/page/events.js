// The log of events.

import { draw, el, fillLink, fillName, fillState, setText, Table } from './dom.js';
import { clock, count, counted, duration, visible, words } from './format.js';

const KINDS = ['isolateSpawn', 'isolateExit', 'isolateError', 'isolateStuck', 'deadlock', 'panic', 'worker', 'poolPhase', 'slowCall', 'dump', 'control'];
const SEVERITIES = ['info', 'warning', 'error'];
const MOST_ROWS = 300;
// A burst of events draws a few times a second, not with each frame.
const PAUSE_MS = 250;

/** A table of events, whose rows never change. */
export function eventTable(app, { caption, empty }) {
  const table = new Table({
    caption,
    empty,
    isFixed: true,
    keyOf: (event) => event.number,
    columns: [
      { label: 'Time', fill: (cell, event) => fillTime(cell, event, app) },
      { label: 'Severity', fill: (cell, event) => fillState(cell, event.severity ?? 'info') },
      { label: 'Kind', text: (event) => words(event.kind) },
      { label: 'Subject', class: 'name', fill: (cell, event) => fillSubject(cell, event.subject ?? '', app) },
      { label: 'Event', class: 'text', fill: (cell, event) => fillText(cell, event.text) },
    ],
  });
  table.element.classList.add('events');
  return table;
}

function fillTime(cell, event, app) {
  setText(cell, clock(app.startedAt + event.atMs));
  cell.title = `${duration(event.atMs)} after the start of the inspector`;
}

function fillSubject(cell, subject, app) {
  const view = subject.split('/')[0];
  if (view === 'isolates' || view === 'pools') fillLink(cell, subject, () => app.open({ view, id: subject }));
  else fillName(cell, subject);
}

function fillText(cell, text) {
  cell.append(el('bdi', { dir: 'auto' }, visible(text, 500)));
}

function select(label, options, onchange) {
  const list = el('select', { onchange }, ...options.map(([value, text]) => el('option', { value }, text)));
  return { list, element: el('label', {}, `${label} `, list) };
}

export class EventLog {
  #app;
  #severity;
  #kind;
  #follow;
  #counts = el('p', { class: 'counts' });
  #table;
  #hasNews = true;
  #hasTimer = false;
  // The size of the log at its last scroll by the page.
  #size = '';

  constructor(app, panel) {
    this.#app = app;
    this.#severity = select('Severity', [['info', 'All'], ['warning', 'Warnings and errors'], ['error', 'Errors']], this.#filter);
    this.#kind = select('Kind', [['', 'All'], ...KINDS.map((kind) => [kind, words(kind)])], this.#filter);
    this.#follow = el('input', { type: 'checkbox', checked: true, onchange: this.#filter });
    this.#table = eventTable(app, { caption: 'Events, the newest last', empty: 'No events' });
    this.#table.element.classList.add('log');
    this.#table.element.addEventListener('scroll', () => this.#scrolled());
    new ResizeObserver(() => this.#toEnd()).observe(this.#table.element);
    panel.append(
      el('div', { class: 'bar' }, this.#severity.element, this.#kind.element,
        el('label', {}, this.#follow, ' Follow'), this.#counts),
      this.#table.element,
    );
  }

  show() {
    this.#filter();
  }

  async poll() {}

  changed() {
    if (this.#hasTimer) return;
    this.#hasTimer = true;
    setTimeout(() => {
      this.#hasTimer = false;
      this.#filter();
    }, PAUSE_MS);
  }

  #filter = () => {
    this.#hasNews = true;
    draw(this.#render);
  };

  #matches(event) {
    const kind = this.#kind.list.value;
    const severity = SEVERITIES.indexOf(event.severity ?? 'info');
    return severity >= SEVERITIES.indexOf(this.#severity.list.value) && (kind === '' || event.kind === kind);
  }

  // Scrolling up holds the log still; scrolling to its end follows it again. The browser scrolls too
  // when the window or the rows get another size, which is no wish of the reader.
  #scrolled() {
    const log = this.#table.element;
    const size = `${log.scrollHeight} ${log.clientHeight}`;
    if (size !== this.#size) this.#toEnd();
    else this.#follow.checked = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  }

  #toEnd() {
    const log = this.#table.element;
    this.#size = `${log.scrollHeight} ${log.clientHeight}`;
    if (this.#follow.checked) log.scrollTop = log.scrollHeight;
  }

  #render = () => {
    if (!this.#hasNews || this.#app.vm === null) return;
    this.#hasNews = false;
    const { list, dropped } = this.#app.events;
    const matches = list.filter((event) => this.#matches(event));
    const shown = matches.slice(-MOST_ROWS);
    this.#table.update(shown);
    const older = matches.length > shown.length ? `, the newest ${count(shown.length)} shown` : '';
    setText(this.#counts, `${count(matches.length)} of ${counted(list.length, 'event')}${older}; ${count(dropped)} dropped`);
    this.#toEnd();
  };
}
