// A profile as a flame graph: the outermost frames are on top, and widths are numbers of looks.

import { dial, Failure } from './connection.js';
import { button, draw, el, fillName, setHidden, setText, Table } from './dom.js';
import { count, counted, duration, percent, visible } from './format.js';

const MOST_SECONDS = 60;
const MOST_ROWS = 200;
const ROW_PX = 22;
// A narrower frame, in percent of the graph, cannot be seen or hit.
const LEAST_WIDTH = 0.1;
const LEAST_LABELED = 2;

/** A frame with the looks of all stacks that begin like it. */
class Node {
  children = new Map();
  looks = 0;

  constructor(name, parent) {
    this.name = name;
    this.parent = parent;
    this.depth = parent === null ? 0 : parent.depth + 1;
  }

  child(name) {
    if (!this.children.has(name)) this.children.set(name, new Node(name, this));
    return this.children.get(name);
  }

  /** The children, those with the most looks first. */
  get sorted() {
    return [...this.children.values()].sort((a, b) => b.looks - a.looks);
  }

  isWithin(other) {
    return this === other || (this.parent?.isWithin(other) ?? false);
  }
}

function treeOf(stacks) {
  const root = new Node('All threads', null);
  for (const { frames = [], looks = 0 } of stacks) {
    let node = root;
    node.looks += looks;
    for (const frame of frames) {
      node = node.child(frame);
      node.looks += looks;
    }
  }
  return root;
}

/** The graph itself. One frame has the focus; arrow keys move it, Enter makes that frame fill the width. */
class Flames {
  #root;
  #zoomed;
  #focused;
  #boxes = new Map();
  #onFocus;
  element = el('div', { class: 'flames', role: 'tree', 'aria-label': 'Flame graph' });

  /** `onFocus` is called with the frame under the pointer or the focus. */
  constructor(onFocus) {
    this.#onFocus = onFocus;
    this.element.addEventListener('keydown', (event) => this.#key(event));
    this.element.addEventListener('click', ({ target }) => this.#zoom(nodeOf(target)));
    this.element.addEventListener('pointerover', ({ target }) => this.#tell(nodeOf(target)));
    this.element.addEventListener('focusin', ({ target }) => this.#tell(nodeOf(target)));
  }

  show(root) {
    this.#root = root;
    this.#zoomed = root;
    this.#focused = root;
    this.#rebuild();
  }

  #tell(node) {
    if (node) this.#onFocus(node, this.#root.looks);
  }

  #zoom(node) {
    if (!node) return;
    this.#zoomed = node;
    this.#focused = node;
    this.#rebuild();
    this.#boxes.get(node).focus();
  }

  #rebuild() {
    this.#boxes.clear();
    for (let node = this.#zoomed.parent; node !== null; node = node.parent) this.#place(node, 0, 100);
    this.#placeTree(this.#zoomed, 0, 100);
    this.element.replaceChildren(...[...this.#boxes.values()]);
    const depth = Math.max(...[...this.#boxes.keys()].map((node) => node.depth));
    this.element.style.height = `${(depth + 1) * ROW_PX}px`;
    this.#boxes.get(this.#focused).tabIndex = 0;
  }

  #placeTree(node, left, width) {
    this.#place(node, left, width);
    for (const child of node.sorted) {
      const part = (width * child.looks) / node.looks;
      if (part < LEAST_WIDTH) break;
      this.#placeTree(child, left, part);
      left += part;
    }
  }

  #place(node, left, width) {
    const share = percent((100 * node.looks) / this.#root.looks);
    const box = el('div', {
      role: 'treeitem', tabindex: -1, class: node.isWithin(this.#zoomed) ? 'flame' : 'flame outer',
      'aria-level': node.depth + 1, 'aria-label': `${visible(node.name)}, ${counted(node.looks, 'look')}, ${share}`,
    });
    if (width > LEAST_LABELED) box.append(el('bdi', { dir: 'auto' }, visible(node.name)));
    box.node = node;
    Object.assign(box.style, { left: `${left}%`, width: `${width}%`, top: `${node.depth * ROW_PX}px` });
    box.style.setProperty('--hue', hue(node.name));
    this.#boxes.set(node, box);
  }

  #key(event) {
    const node = this.#focused;
    if (event.key === 'Enter' || event.key === ' ') this.#zoom(node);
    else if (event.key === 'Escape') this.#zoom(this.#root);
    else if (!this.#focus(this.#neighbor(node, event.key))) return;
    event.preventDefault();
  }

  #neighbor(node, key) {
    if (key === 'ArrowUp') return node.parent;
    if (key === 'ArrowDown') return node.sorted[0];
    if (key === 'Home') return this.#root;
    const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
    if (step === undefined || node.parent === null) return undefined;
    const siblings = node.parent.sorted;
    return siblings[siblings.indexOf(node) + step];
  }

  #focus(node) {
    if (!this.#boxes.has(node)) return false;
    this.#boxes.get(this.#focused).tabIndex = -1;
    this.#focused = node;
    this.#boxes.get(node).tabIndex = 0;
    this.#boxes.get(node).focus();
    return true;
  }
}

function nodeOf(target) {
  return target.closest('.flame')?.node;
}

// Warm colors, the same for the same name.
function hue(name) {
  let sum = 0;
  for (const letter of name.slice(0, 100)) sum = (sum * 31 + letter.codePointAt(0)) % 997;
  return 10 + (sum % 50);
}

export class ProfileView {
  #app;
  #profile = null;
  #seconds = el('input', { type: 'number', min: 1, max: MOST_SECONDS, value: 3 });
  #start = button('Start', () => this.#run());
  #save = button('Save as folded stacks', () => save(this.#profile), { disabled: true });
  #status = el('p', { class: 'counts', role: 'status' });
  #frame = el('p', { class: 'frame', 'aria-hidden': true });
  #flames = new Flames((node, all) => setText(this.#frame, describe(node, all)));
  #table;

  constructor(app, panel) {
    this.#app = app;
    this.#seconds.addEventListener('keydown', ({ key }) => key === 'Enter' && this.#run());
    this.#table = new Table({
      caption: 'Stacks, the most looks first',
      empty: 'No stacks',
      keyOf: (stack) => stack.frames.join('\n'),
      columns: [
        { label: 'Looks', isNumber: true, text: (stack) => count(stack.looks) },
        { label: 'Share', isNumber: true, text: (stack) => percent(stack.share) },
        { label: 'Stack', class: 'text', fill: (cell, stack) => fillName(cell, stack.frames.map((frame) => visible(frame, 100)).join(' › ')) },
      ],
    });
    panel.append(
      el('div', { class: 'bar' }, el('label', {}, 'Seconds ', this.#seconds), this.#start, this.#save, this.#status),
      this.#flames.element, this.#frame, this.#table.element);
    draw(this.#render);
  }

  show() {}

  async poll() {}

  changed() {}

  async #run() {
    const seconds = this.#seconds.valueAsNumber;
    if (!this.#seconds.reportValidity() || !(seconds >= 1) || this.#start.disabled) return;
    this.#start.disabled = true;
    setText(this.#status, `The program is watched for ${duration(seconds * 1000)}.`);
    try {
      this.#profile = await profile(this.#app.token, seconds);
      draw(this.#render);
    } catch (error) {
      setText(this.#status, error instanceof Failure ? error.message : 'There was no connection for the profile.');
    } finally {
      this.#start.disabled = false;
    }
  }

  #render = () => {
    setHidden(this.#flames.element, this.#profile === null);
    setHidden(this.#table.element, this.#profile === null);
    if (this.#profile === null) {
      setText(this.#status, 'A profile looks many times at what each thread runs.');
      return;
    }
    const { durationMs, looks, stacks = [] } = this.#profile;
    const root = treeOf(stacks);
    this.#save.disabled = stacks.length === 0;
    setHidden(this.#flames.element, root.looks === 0);
    if (root.looks > 0) this.#flames.show(root);
    const shown = stacks.toSorted((a, b) => b.looks - a.looks).slice(0, MOST_ROWS);
    this.#table.update(shown.map((stack) => ({ ...stack, share: (100 * stack.looks) / root.looks })));
    const cut = stacks.length > shown.length ? `, of which the table shows ${count(shown.length)}` : '';
    setText(this.#status, `${counted(looks, 'look')} in ${duration(durationMs)}, ${counted(stacks.length, 'stack')}${cut}.`);
  };
}

// Answers come in the order of the requests, so a profile on the main connection would hold up
// everything else for a minute.
async function profile(token, seconds) {
  const channel = await dial(token);
  try {
    return await channel.request('profile', { seconds });
  } finally {
    channel.close();
  }
}

function describe(node, all) {
  const path = [];
  for (let at = node; at.parent !== null; at = at.parent) path.unshift(visible(at.name, 100));
  return `${path.join(' › ') || node.name}: ${counted(node.looks, 'look')}, ${percent((100 * node.looks) / all)}`;
}

// One line for each stack, the format of the usual tools for flame graphs. They split a line at
// semicolons and at its last space.
function save({ stacks }) {
  const lines = stacks.map(({ frames, looks }) => `${frames.map((frame) => visible(frame, 1000).replaceAll(';', ',')).join(';')} ${looks}\n`);
  const url = URL.createObjectURL(new Blob(lines, { type: 'text/plain' }));
  el('a', { href: url, download: 'profile.folded' }).click();
  URL.revokeObjectURL(url);
}
