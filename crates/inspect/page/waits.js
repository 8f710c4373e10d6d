// Who waits for whom: as a drawing, in words, and as a table.

import { draw, el, fillName, fillParty, fillState, openParty, setHidden, setText, Table } from './dom.js';
import { count, counted, duration, NONE } from './format.js';
import { WaitGraph } from './graph.js';

const MOST_NODES = 300;
const MOST_ROWS = 500;
const LEGEND = 'A solid arrow: the waiter blocks its thread. A dashed arrow: a task of the waiter waits for an answer. A dotted arrow: it waits for a call of a pool. A thick arrow: a part of a cycle. Boxes with round corners are isolates, those with a double line are pools, and those with sharp corners are threads.';

/** A table of waits, for this view and for one isolate. */
export function waitTable(app, caption) {
  return new Table({
    caption,
    empty: 'No waits',
    keyOf: (wait) => `${wait.waiter?.id}>${wait.holders?.map((holder) => holder.id)}`,
    columns: [
      { label: 'Waiter', isHead: true, class: 'name', fill: (cell, wait) => fillParty(cell, wait.waiter, app) },
      { label: 'Kind', fill: (cell, wait) => fillState(cell, wait.kind) },
      { label: 'Waits for', class: 'name', fill: (cell, wait) => fillHolders(cell, wait, app) },
      { label: 'Seen for', isNumber: true, text: (wait) => duration(wait.seenMs) },
      { label: 'Cycle', fill: fillCycle },
    ],
  });
}

function fillCycle(cell, { isInCycle }) {
  setText(cell, isInCycle ? 'In a cycle' : NONE);
  cell.parentElement.classList.toggle('alarm', isInCycle ?? false);
}

function fillHolders(cell, { holders = [], call }, app) {
  const key = JSON.stringify([holders, call]);
  if (cell.holders === key) return;
  cell.holders = key;
  cell.replaceChildren(...parties(holders, app));
  if (holders.length === 0) cell.append('Not known');
  if (call) fillName(cell.appendChild(el('div', { class: 'place' })), call);
}

// Parties with commas between them.
function parties(list, app) {
  return list.flatMap((party, index) => {
    const span = el('span');
    fillParty(span, party, app);
    return index === 0 ? [span] : [', ', span];
  });
}

export class WaitsView {
  #app;
  #answer = null;
  #summary = el('p', { class: 'counts' });
  #cycles = el('ul', { class: 'why cycles', 'aria-label': 'Cycles' });
  #drawn = el('div', { class: 'graph' });
  #graph;
  #table;

  constructor(app, panel) {
    this.#app = app;
    this.#graph = new WaitGraph((party) => openParty(party, app)?.());
    this.#drawn.append(el('p', { class: 'legend' }, LEGEND), this.#graph.element);
    this.#table = waitTable(app, 'Waits');
    panel.append(el('div', { class: 'bar' }, this.#summary), this.#cycles, this.#drawn, this.#table.element);
  }

  show() {
    draw(this.#render);
  }

  changed() {}

  async poll() {
    this.#answer = await this.#app.request('getWaits');
    draw(this.#render);
  }

  #render = () => {
    if (this.#answer === null) return;
    const { waits = [], cycles = [], unanswered, notAsked = 0 } = this.#answer;
    const nodes = this.#graph.update(waits, MOST_NODES);
    setHidden(this.#drawn, nodes === 0 || nodes > MOST_NODES);
    setText(this.#summary, summary({ waits, cycles, unanswered, notAsked }, nodes));
    this.#fillCycles(cycles);
    this.#table.update(waits.slice(0, MOST_ROWS));
  };

  #fillCycles(cycles) {
    const key = JSON.stringify(cycles);
    if (this.#cycles.key === key) return;
    this.#cycles.key = key;
    this.#cycles.replaceChildren(...cycles.map((cycle) => el('li', {}, 'A cycle: ', ...this.#sentence(cycle))));
  }

  // "A waits for B, B waits for A."
  #sentence(cycle) {
    return cycle.flatMap((party, index) => {
      const next = cycle[(index + 1) % cycle.length];
      const [from, to] = parties([party, next], this.#app).filter((part) => part !== ', ');
      return [index === 0 ? '' : ', ', from, ' waits for ', to];
    }).concat('.');
  }
}

function summary({ waits, cycles, unanswered, notAsked }, nodes) {
  const parts = [`${counted(waits.length, 'wait')}, ${counted(cycles.length, 'cycle')}.`];
  if (unanswered > 0) parts.push(`${counted(unanswered, 'isolate')} gave no answer in time: ${unanswered === 1 ? 'it computes or blocks' : 'they compute or block'}.`);
  if (notAsked > 0) parts.push(`${counted(notAsked, 'idle isolate')} more were not asked. The page of an isolate has its own waits.`);
  if (nodes > MOST_NODES) parts.push(`${count(nodes)} parties are too many for a drawing.`);
  if (waits.length > MOST_ROWS) parts.push(`The table shows the first ${count(MOST_ROWS)}.`);
  return parts.join(' ');
}
