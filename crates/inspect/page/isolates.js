// The table of isolates, of which there can be hundreds of thousands.
//
// The server sorts, filters and cuts. The page holds pages of 200 rows around what is visible, and
// only the visible rows are elements. Those are filled anew when scrolling has left a few of them out
// of view, and one transform moves them all: with a transform for each, styles took most of a frame.
// Focus stays on the table itself, and `aria-activedescendant` names the selected row: rows come and
// go, the focus does not.

import { button, draw, el, fillName, fillState, makeCell, setAttribute, setHidden, setText } from './dom.js';
import { count, counted, duration, NONE, words } from './format.js';
import { IsolateDetail } from './isolate.js';

const ROW_PX = 28;
const PAGE = 200;
const MOST_PAGES = 24;
// Rows that go out of view before the elements are filled anew.
const STEP = 8;
// Browsers limit the height of elements; the lowest limit is about 17 million. A longer table
// scrolls faster than the mouse.
const MOST_PX = 10_000_000;
const TYPING_MS = 200;
const STATES = ['idle', 'runnable', 'running', 'paused'];

const COLUMNS = [
  { label: 'Name', sort: 'name', isHead: true, class: 'name', fill: (cell, row) => fillName(cell, row.name || row.id) },
  { label: 'State', sort: 'state', fill: fillRowState },
  { label: 'Queued', sort: 'queued', isNumber: true, text: (row) => count(row.queued) },
  { label: 'Turn', sort: 'turnMs', isNumber: true, text: (row) => duration(row.turnMs) },
  { label: 'Turns', sort: 'turnsTotal', isNumber: true, class: 'wide', text: (row) => count(row.turnsTotal) },
  { label: 'CPU', sort: 'cpuTotalMs', isNumber: true, class: 'wide', text: (row) => duration(row.cpuTotalMs) },
  { label: 'Seen for', sort: 'seenMs', isNumber: true, class: 'wide', text: (row) => duration(row.seenMs) },
  { label: 'Kind', class: 'wide', text: (row) => words(row.kind) },
  { label: 'Group', class: 'name widest', fill: (cell, row) => fillName(cell, row.group ?? NONE) },
  { label: 'Id', sort: 'id', class: 'wide', text: (row) => row.id.replace('isolates/', '') },
];

function fillRowState(cell, row) {
  fillState(cell, row.isBlocked ? 'blocked' : row.state ?? 'idle');
}

/** The rows that fit a filter, in the pages that were fetched. */
class Rows {
  matched = 0;
  hasAnswer = false;
  total = 0;
  #pages = new Map();

  at(index) {
    return this.#pages.get(Math.floor(index / PAGE))?.rows[index % PAGE];
  }

  /** The first page from `first` to `last` that was not fetched since `since`. */
  outdated(first, last, since) {
    // Without rows `last` is before `first`. Their first page tells whether there are some now.
    const end = Math.max(first, last);
    for (let page = Math.floor(first / PAGE); page * PAGE <= end; page += 1) {
      if ((this.#pages.get(page)?.askedAt ?? -1) < since) return page;
    }
    return undefined;
  }

  put(page, answer, askedAt) {
    this.hasAnswer = true;
    this.matched = answer.matched ?? 0;
    this.total = answer.total ?? 0;
    // A page that is put again moves to the end, so the first one is the oldest.
    this.#pages.delete(page);
    this.#pages.set(page, { rows: answer.isolates ?? [], askedAt });
    if (this.#pages.size > MOST_PAGES) this.#pages.delete(this.#pages.keys().next().value);
  }

  indexOf(id) {
    for (const [page, { rows }] of this.#pages) {
      const index = rows.findIndex((row) => row.id === id);
      if (index >= 0) return page * PAGE + index;
    }
    return undefined;
  }
}

export class IsolatesView {
  #app;
  #panel;
  #detail;
  #rows = new Rows();
  #query = { sort: 'id', filter: '', state: '' };
  #selected = { index: 0, id: undefined };
  #first = 0;
  #last = 0;
  #dueSince = 0;
  #isLoading = false;
  #typing;
  // The visible rows as elements, in the order of the table.
  #lines = [];

  constructor(app, panel) {
    this.#app = app;
    this.#panel = panel;
    this.#build();
    this.#detail = new IsolateDetail(app, () => this.#closeDetail());
    panel.append(this.list, this.#detail.element);
    new ResizeObserver(() => draw(this.#render)).observe(this.scroller);
  }

  #build() {
    this.filter = el('input', { type: 'search', placeholder: 'Name or id', 'aria-label': 'Filter by name or id', oninput: () => this.#typed() });
    this.state = el('select', { onchange: () => this.#ask({ state: this.state.value }) },
      el('option', { value: '' }, 'All'), ...STATES.map((state) => el('option', { value: state }, words(state))));
    this.counts = el('p', { class: 'counts' });
    this.heads = COLUMNS.map((column) => this.#head(column));
    this.body = el('tbody');
    this.table = el('table', { class: 'rows', role: 'grid', tabindex: 0, 'aria-label': 'Isolates', onkeydown: (event) => this.#key(event) },
      el('thead', {}, el('tr', { role: 'row', 'aria-rowindex': 1 }, ...this.heads)), this.body);
    this.empty = el('p', { class: 'empty', hidden: true }, 'No isolates');
    this.scroller = el('div', { class: 'scroller', onscroll: () => draw(this.#render) }, this.table, this.empty);
    this.list = el('div', { class: 'list' },
      el('div', { class: 'bar' }, this.filter, el('label', {}, 'State ', this.state), this.counts), this.scroller);
    this.body.addEventListener('pointerdown', (event) => this.#press(event));
    this.body.addEventListener('click', () => this.#openSelected());
  }

  #head({ label, sort, isNumber, class: classes }) {
    const content = sort ? button(label, () => this.#sortBy(sort)) : label;
    return el('th', { scope: 'col', role: 'columnheader', class: `${isNumber ? 'number' : ''} ${classes ?? ''}` }, content);
  }

  show({ id, state }) {
    if (state !== undefined) {
      this.state.value = state;
      this.filter.value = '';
      this.#ask({ state, filter: '' });
    }
    this.#panel.classList.toggle('has-detail', id !== undefined);
    this.#detail.show(id);
    draw(this.#render);
  }

  async poll() {
    this.#dueSince = performance.now();
    await Promise.all([this.#load(), this.#detail.poll()]);
  }

  changed() {}

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#ask({ filter: this.filter.value.trim() }), TYPING_MS);
  }

  #sortBy(member) {
    // Numbers are of interest from their greatest, names from A.
    const isText = ['name', 'id', 'state'].includes(member);
    const [first, second] = isText ? [member, `-${member}`] : [`-${member}`, member];
    this.#ask({ sort: this.#query.sort === first ? second : first });
  }

  #ask(change) {
    const { matched, total } = this.#rows;
    this.#query = { ...this.#query, ...change };
    this.#rows = new Rows();
    // Another order has the same rows: the table keeps its height, and keys work, until they come.
    if ('sort' in change) Object.assign(this.#rows, { matched, total });
    this.#selected = { index: 0, id: undefined };
    this.scroller.scrollTop = 0;
    draw(this.#render);
  }

  // One request at a time: fast scrolling then asks only for the rows at which it stops.
  async #load() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      let page;
      while ((page = this.#rows.outdated(this.#first, this.#last, this.#dueSince)) !== undefined) await this.#fetch(page);
    } finally {
      this.#isLoading = false;
    }
  }

  async #fetch(page) {
    const rows = this.#rows;
    const askedAt = performance.now();
    const { sort, filter, state } = this.#query;
    const params = { sort, offset: page * PAGE, limit: PAGE };
    if (filter) params.filter = filter;
    if (state) params.state = state;
    const answer = await this.#app.request('getIsolates', params);
    rows.put(page, answer, askedAt);
    this.#followSelected();
    draw(this.#render);
  }

  // The selection belongs to an isolate, which moves when the order changes.
  #followSelected() {
    const { index, id } = this.#selected;
    if (id === undefined) this.#selected.id = this.#rows.at(index)?.id;
    else this.#selected.index = this.#rows.indexOf(id) ?? index;
  }

  #select(index) {
    const bounded = Math.max(0, Math.min(index, this.#rows.matched - 1));
    this.#selected = { index: bounded, id: this.#rows.at(bounded)?.id };
    draw(this.#render);
  }

  #key(event) {
    const { index } = this.#selected;
    const page = Math.max(1, this.#visibleRows() - 1);
    const next = {
      ArrowDown: index + 1, ArrowUp: index - 1, PageDown: index + page, PageUp: index - page,
      Home: 0, End: this.#rows.matched - 1,
    }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      this.#select(next);
      this.#scrollTo(this.#selected.index);
    } else if (event.key === 'Enter' && event.target === this.table) {
      this.#openSelected();
      this.#detail.focus();
    }
  }

  // The row at which the pointer goes down is the one that opens, even if others take its place
  // before the pointer goes up.
  #press(event) {
    const line = event.target.closest('tr');
    if (line) this.#select(line.index);
  }

  #openSelected() {
    const { id } = this.#selected;
    if (id !== undefined) this.#app.open({ view: 'isolates', id });
  }

  #closeDetail() {
    this.#app.open({ view: 'isolates' });
    this.table.focus();
  }

  #visibleRows() {
    return Math.floor((this.scroller.clientHeight - ROW_PX) / ROW_PX);
  }

  // How far the rows move for one pixel of scrolling: 1 unless the table is too long for that.
  #ratio(viewPx) {
    const allPx = this.#rows.matched * ROW_PX;
    return allPx <= MOST_PX ? 1 : (allPx - viewPx) / (MOST_PX - viewPx);
  }

  #scrollTo(index) {
    const viewPx = this.scroller.clientHeight - ROW_PX;
    const ratio = this.#ratio(viewPx);
    const top = this.scroller.scrollTop * ratio;
    const rowTop = index * ROW_PX;
    if (rowTop < top) this.scroller.scrollTop = rowTop / ratio;
    else if (rowTop + ROW_PX > top + viewPx) this.scroller.scrollTop = (rowTop + ROW_PX - viewPx) / ratio;
  }

  #render = () => {
    // Everything is measured before anything is changed, or the browser would lay out twice.
    const viewPx = this.scroller.clientHeight - ROW_PX;
    const { scrollTop } = this.scroller;
    const { matched } = this.#rows;
    const top = scrollTop * this.#ratio(viewPx);
    const firstVisible = Math.max(0, Math.floor(top / ROW_PX) - 1);
    this.#first = firstVisible - (firstVisible % STEP);
    this.#last = Math.min(matched, this.#first + Math.ceil(viewPx / ROW_PX) + STEP + 2) - 1;
    this.#arrange(this.#last - this.#first + 1);
    this.#lines.forEach((line, place) => this.#fill(line, this.#first + place));
    this.#fillFrame(Math.min(matched * ROW_PX, MOST_PX), this.#first * ROW_PX + scrollTop - top);
    this.#load().catch((error) => this.#app.report(error));
  };

  #arrange(number) {
    while (this.#lines.length < number) this.#lines.push(this.body.appendChild(newLine()));
    this.#lines.splice(number).forEach((line) => line.remove());
  }

  #fill(line, index) {
    if (line.index !== index) {
      line.index = index;
      line.id = `row-${index}`;
      line.setAttribute('aria-rowindex', index + 2);
    }
    setAttribute(line, 'aria-selected', index === this.#selected.index);
    const row = this.#rows.at(index);
    line.classList.toggle('loading', row === undefined);
    if (row === undefined) return;
    COLUMNS.forEach((column, place) => {
      const cell = line.children[place];
      if (column.fill) column.fill(cell, row);
      else setText(cell, column.text(row));
    });
  }

  #fillFrame(heightPx, bodyTop) {
    const { matched, total } = this.#rows;
    setStyle(this.table, 'height', `${heightPx + ROW_PX}px`);
    setStyle(this.body, 'transform', `translateY(${bodyTop}px)`);
    setAttribute(this.table, 'aria-rowcount', matched + 1);
    setAttribute(this.table, 'aria-activedescendant', matched > 0 ? `row-${this.#selected.index}` : null);
    setText(this.counts, matched === total ? counted(total, 'isolate') : `${count(matched)} of ${counted(total, 'isolate')}`);
    COLUMNS.forEach(({ sort }, index) => setAttribute(this.heads[index], 'aria-sort', this.#order(sort)));
    setHidden(this.empty, matched > 0 || !this.#rows.hasAnswer);
  }

  #order(member) {
    if (member === this.#query.sort) return 'ascending';
    return `-${member}` === this.#query.sort ? 'descending' : null;
  }
}

function newLine() {
  const cells = COLUMNS.map(makeCell);
  cells.forEach((cell) => cell.setAttribute('role', cell.tagName === 'TH' ? 'rowheader' : 'gridcell'));
  return el('tr', { role: 'row' }, ...cells);
}

// An assignment makes the browser compute styles again, even if nothing differs.
function setStyle(node, property, value) {
  const known = (node.styles ??= {});
  if (known[property] === value) return;
  known[property] = value;
  node.style[property] = value;
}
