// Small charts of the last minutes: lines, and heat maps of times.

import { button, el, setAttribute, setText } from './dom.js';
import { callsIn, LOOKS, POWERS, quantile, SAMPLES } from './data.js';
import { counted, micros } from './format.js';

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 40;
// A chart has room for one minute from the start, and for all samples in the end. With the whole room
// from the start, a line would take minutes to become visible.
const LEAST_ROOM = 60;

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A number with its course: a label, the present value, a line, and the highest value. */
export class Chart {
  #label;
  #format;
  #value = el('p', { class: 'value' });
  #highest = el('p', { class: 'highest' });
  #area = svg('path', { class: 'area' });
  #line = svg('path', { class: 'line' });
  #svg;

  /** With `open`, the label is a button. A value above `alarm` is marked. */
  constructor({ label, format, open, alarm = Infinity }) {
    this.#label = label;
    this.#format = format;
    this.alarm = alarm;
    // The lines reach to the border, at which half of their width would be cut off.
    this.#svg = svg('svg', { preserveAspectRatio: 'none', role: 'img' },
      this.#area, this.#line);
    const name = open ? button(label, open, { class: 'link' }) : label;
    this.element = el('figure', { class: 'chart' },
      el('figcaption', {}, name), this.#value, this.#svg, this.#highest);
  }

  /** Shows values, the newest last; `null` stands for one that is not known. */
  update(values) {
    const highest = values.reduce((most, value) => Math.max(most, value ?? 0), 0);
    const now = this.#format(values.at(-1));
    setText(this.#value, now);
    setText(this.#highest, `highest ${this.#format(highest)}`);
    setAttribute(this.#svg, 'aria-label', `${this.#label.replace('/s', ' per second')}: now ${now}, highest ${this.#format(highest)}`);
    setAttribute(this.element, 'data-alarm', values.at(-1) > this.alarm || null);
    const room = Math.min(SAMPLES, Math.max(LEAST_ROOM, values.length));
    const line = path(values, highest || 1, room);
    setAttribute(this.#svg, 'viewBox', `0 -1 ${room - 1} ${HEIGHT + 2}`);
    setAttribute(this.#line, 'd', line);
    setAttribute(this.#area, 'd', line && `${line}V${HEIGHT}H${room - values.length}Z`);
  }
}

// The scale begins at zero, so that a small change does not look like a large one.
function path(values, highest, room) {
  const start = room - values.length;
  const points = values.map((value, index) =>
    `${start + index} ${(HEIGHT * (1 - (value ?? 0) / highest)).toFixed(1)}`);
  return points.length > 0 ? `M${points.join('L')}` : '';
}

// The rows that have a label, and the weakest shade, which is of a single call.
const LABELS = [[0, '1 µs'], [10, '1 ms'], [20, '1 s']];
const LEAST_SHADE = 0.15;

/**
 * The times of calls over the last looks: a column for each look, the newest on the right, and a row for
 * each power of two. The shade is the share of the calls of that look.
 */
export class HeatMap {
  #label;
  #title = el('figcaption');
  // A pixel for each cell, which the style sheet enlarges: the size of the window then changes nothing.
  #cells = el('canvas', { role: 'img', width: LOOKS, height: POWERS });
  #drawn;
  element;

  constructor(label) {
    this.#label = label;
    const labels = LABELS.map(([power, text]) => {
      const element = el('span', {}, text);
      element.style.bottom = `${(100 * (power + 1)) / POWERS}%`;
      return element;
    });
    this.element = el('figure', { class: 'heat' }, this.#title,
      el('div', { class: 'times', 'aria-hidden': true }, ...labels), this.#cells,
      el('p', { class: 'looks' }, el('span', {}, `${LOOKS} looks ago`), el('span', {}, 'now')));
  }

  update({ looks, newest }) {
    if (this.#drawn === newest) return;
    this.#drawn = newest;
    setText(this.#title, `${this.#label}: ${summary(newest)}`);
    const all = looks.reduce((sum, look) => sum.map((calls, power) => calls + look[power]), new Array(POWERS).fill(0));
    const buckets = all.map((calls, power) => ({ upToUs: 2 ** power, calls }));
    setAttribute(this.#cells, 'aria-label', `${this.#label} of the calls of the last ${counted(looks.length, 'look')}, by powers of two: ${summary(buckets)}`);
    const context = this.#cells.getContext('2d');
    context.clearRect(0, 0, LOOKS, POWERS);
    context.fillStyle = getComputedStyle(this.#cells).color;
    looks.forEach((look, index) => drawLook(context, look, LOOKS - looks.length + index));
  }
}

function summary(buckets) {
  const calls = callsIn(buckets);
  if (calls === 0) return 'no calls';
  return `median up to ${micros(quantile(buckets, 0.5))}, p99 up to ${micros(quantile(buckets, 0.99))}, of ${counted(calls, 'call')}`;
}

function drawLook(context, look, column) {
  const sum = look.reduce((total, calls) => total + calls, 0);
  look.forEach((calls, power) => {
    if (calls === 0) return;
    context.globalAlpha = LEAST_SHADE + ((1 - LEAST_SHADE) * calls) / sum;
    context.fillRect(column, POWERS - 1 - power, 1, 1);
  });
}
