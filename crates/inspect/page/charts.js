// Small line charts of the last minutes.

import { button, el, setAttribute, setText } from './dom.js';
import { SAMPLES } from './data.js';

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
