// Small tools for the document.
//
// Names and texts of the program reach the document as text nodes and attributes only, never as
// markup. All changes run in `draw`, once per frame, and touch only what differs.

import { visible, words } from './format.js';

const waiting = new Set();

/** Runs `render` in the next frame, once however often it is asked for. */
export function draw(render) {
  if (waiting.size === 0) requestAnimationFrame(drawAll);
  waiting.add(render);
}

function drawAll() {
  const renders = [...waiting];
  waiting.clear();
  renders.forEach((render) => render());
}

/** Makes an element. Members of `attributes` that begin with `on` are listeners. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else setAttribute(node, name, value);
  }
  node.append(...children);
  return node;
}

export function button(label, onclick, attributes = {}) {
  return el('button', { type: 'button', onclick, ...attributes }, label);
}

/** Sets or, for `null` and `false`, removes an attribute. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

/** Sets the text of an element that contains nothing else. */
export function setText(node, text) {
  const first = node.firstChild;
  if (first === null) node.append(text);
  else if (first.data !== text) first.data = text;
}

export function setHidden(node, isHidden) {
  if (node.hidden !== isHidden) node.hidden = isHidden;
}

/** The only element in `cell`, which `make` builds the first time. */
function only(cell, make) {
  return cell.firstElementChild ?? cell.appendChild(make());
}

/** Shows a text of the program, isolated from the direction of the text around it. */
export function fillName(cell, name) {
  const bdi = only(cell, () => el('bdi', { dir: 'auto' }));
  if (bdi.fullName === name) return;
  bdi.fullName = name;
  setText(bdi, visible(name));
  setAttribute(cell, 'title', visible(name, 1000));
}

/** Shows a state as a word with a shape, so that it does not depend on colors. */
export function fillState(cell, state) {
  const span = only(cell, () => el('span', { class: 'state' }));
  setAttribute(span, 'data-state', state);
  setText(span, words(state));
}

/** Shows a text of the program that opens something. */
export function fillLink(cell, name, open) {
  const link = only(cell, () => {
    const made = button('', () => made.open(), { class: 'link' });
    made.append(el('bdi', { dir: 'auto' }));
    return made;
  });
  link.open = open;
  const bdi = link.lastElementChild;
  if (bdi.fullName === name) return;
  bdi.fullName = name;
  setText(bdi, visible(name) || '(no name)');
  setAttribute(cell, 'title', visible(name, 1000));
}

/** What opens an isolate or a pool. A thread outside of isolates has no view. */
export function openParty(party, app) {
  const [view] = party?.id?.split('/') ?? [];
  return view === 'isolates' || view === 'pools' ? () => app.open({ view, id: party.id }) : undefined;
}

/** Shows an isolate or a pool as a link, and a thread as a text. */
export function fillParty(cell, party, app) {
  const open = openParty(party, app);
  const isLink = open !== undefined;
  // A cell may show an isolate now and a thread later.
  if (cell.holdsLink !== isLink) cell.replaceChildren();
  cell.holdsLink = isLink;
  if (isLink) fillLink(cell, party.name || party.id, open);
  else fillName(cell, party ? party.name || party.id : '');
}

/** Shows sentences as a list. */
export function fillSentences(list, sentences) {
  const key = sentences.join('\n');
  if (list.sentences === key) return;
  list.sentences = key;
  list.replaceChildren(...sentences.map((text) => el('li', { dir: 'auto' }, visible(text, 2000))));
}

/**
 * A table that keeps the elements of its rows between updates, so that the focus and the selection
 * of the reader stay.
 *
 * A column has a `label`, and `text(row)` or `fill(cell, row)`. `isNumber` aligns it to the right;
 * `isHead` makes its cells the headers of their rows.
 */
export class Table {
  #columns;
  #keyOf;
  #rows = new Map();
  #body = el('tbody');
  #empty;
  #isFixed;

  /** With `isFixed`, a row with the same key never changes. */
  constructor({ caption, columns, keyOf, empty = 'None', isFixed = false }) {
    this.#columns = columns;
    this.#keyOf = keyOf;
    this.#isFixed = isFixed;
    // Before the first update it is not known that there are none.
    this.#empty = el('p', { class: 'empty', hidden: true }, empty);
    const heads = columns.map((column) =>
      el('th', { scope: 'col', class: column.isNumber ? 'number' : null }, column.label));
    this.table = el('table', {}, el('caption', {}, caption), el('thead', {}, el('tr', {}, ...heads)), this.#body);
    this.element = el('div', { class: 'scroll' }, this.table, this.#empty);
  }

  update(rows) {
    const keys = uniqueKeys(rows.map(this.#keyOf));
    this.#removeAllBut(new Set(keys));
    let next = this.#body.firstChild;
    rows.forEach((row, index) => {
      const line = this.#line(keys[index], row);
      // Moving an element takes its focus away, so only those that are out of order move.
      if (line === next) next = next.nextSibling;
      else this.#body.insertBefore(line, next);
    });
    setHidden(this.#empty, rows.length > 0);
  }

  #removeAllBut(keys) {
    for (const [key, line] of this.#rows) {
      if (keys.has(key)) continue;
      line.remove();
      this.#rows.delete(key);
    }
  }

  #line(key, row) {
    let line = this.#rows.get(key);
    const isNew = line === undefined;
    if (isNew) {
      line = el('tr', {}, ...this.#columns.map(makeCell));
      this.#rows.set(key, line);
    }
    if (isNew || !this.#isFixed) this.#fill(line, row);
    return line;
  }

  #fill(line, row) {
    this.#columns.forEach((column, index) => {
      const cell = line.children[index];
      if (column.fill) column.fill(cell, row);
      else setText(cell, column.text(row));
    });
  }
}

// Two rows with equal keys, such as two calls of one method, are told apart by their order.
function uniqueKeys(keys) {
  const seen = new Map();
  return keys.map((key) => {
    const times = seen.get(key) ?? 0;
    seen.set(key, times + 1);
    return times === 0 ? key : `${key}\n${times}`;
  });
}

export function makeCell(column) {
  const classes = [column.isNumber ? 'number' : '', column.class ?? ''].join(' ').trim();
  return column.isHead
    ? el('th', { scope: 'row', class: classes || null })
    : el('td', { class: classes || null });
}

/** Pairs of a term and a value, as a list. */
export class Facts {
  element = el('dl', { class: 'facts' });
  #values = new Map();

  update(facts) {
    for (const [term, text] of Object.entries(facts)) setText(this.#value(term), text);
  }

  #value(term) {
    let value = this.#values.get(term);
    if (value === undefined) {
      value = el('dd');
      this.#values.set(term, value);
      this.element.append(el('div', {}, el('dt', {}, term), value));
    }
    return value;
  }
}
