// The drawing of the graph of waits.
//
// Parties are boxes in layers: who waits stands left of who can end the wait. The layout depends
// only on which parties wait for which, and on the order in which the page first saw them, so it
// stays as it is between two answers that agree in that.

import { svg } from './charts.js';
import { setAttribute } from './dom.js';
import { count, visible } from './format.js';

const WIDTH = 170;
const HEIGHT = 30;
const GAP_X = 70;
const GAP_Y = 14;
const BORDER = 12;
// Room below the boxes of a component, or above them, for an arrow that leads back.
const ARC = 40;
const SWEEPS = 3;
const LEAST_SCALE = 0.75;

export class WaitGraph {
  #open;
  #drawn = '';
  #order = new Map();
  #content = svg('g');
  element = svg('svg', { role: 'img' }, svg('defs', {}, marker('arrow'), marker('arrow-cycle')), this.#content);

  /** `open` is called with the party on whose box the reader clicks. */
  constructor(open) {
    this.#open = open;
  }

  /** Draws the waits, unless there are more than `most` parties. Returns the number of parties. */
  update(waits, most) {
    const parties = partiesOf(waits);
    if (parties.size > most) return parties.size;
    const arrows = arrowsOf(waits);
    const key = arrows.map((arrow) => `${arrow.from}>${arrow.to} ${arrow.kind} ${arrow.isInCycle} ${arrow.calls}`).sort().join('\n');
    if (key !== this.#drawn) this.#draw(parties, arrows);
    this.#drawn = key;
    setAttribute(this.element, 'aria-label', `Graph of ${count(parties.size)} parties. The table below has the same content.`);
    return parties.size;
  }

  #draw(parties, arrows) {
    for (const id of parties.keys()) if (!this.#order.has(id)) this.#order.set(id, this.#order.size);
    const { places, width, height } = layOut([...parties.keys()].sort((a, b) => this.#order.get(a) - this.#order.get(b)), arrows);
    const inCycle = new Set(arrows.filter((arrow) => arrow.isInCycle).map((arrow) => arrow.from));
    this.#content.replaceChildren(
      ...arrows.map((arrow) => drawArrow(arrow, places.get(arrow.from), places.get(arrow.to))),
      ...[...parties.values()].map((party) => this.#box(party, places.get(party.id), inCycle.has(party.id))));
    setAttribute(this.element, 'viewBox', `0 0 ${width} ${height}`);
    setAttribute(this.element, 'width', width);
    // It shrinks with a narrow window as long as its names can be read, and is scrolled then.
    this.element.style.minWidth = `${Math.round(LEAST_SCALE * width)}px`;
  }

  #box(party, { x, y }, isInCycle) {
    const box = svg('g', { class: isInCycle ? 'box cycle' : 'box', transform: `translate(${x} ${y})` },
      svg('title', {}, visible(`${party.name} (${party.id})`, 1000)),
      ...outline(party.id),
      svg('text', { x: WIDTH / 2, y: HEIGHT / 2 }, visible(party.name || party.id, 20)));
    box.addEventListener('click', () => this.#open(party));
    return box;
  }
}

function marker(id) {
  return svg('marker', { id, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: 'auto', markerUnits: 'userSpaceOnUse' },
    svg('path', { d: 'M0 0L8 4L0 8Z' }));
}

// Isolates, threads and pools differ in their lines, so that they do not depend on colors.
function outline(id) {
  const outer = svg('rect', { width: WIDTH, height: HEIGHT, rx: id.startsWith('threads/') ? 0 : 8 });
  if (!id.startsWith('pools/')) return [outer];
  return [outer, svg('rect', { x: 3, y: 3, width: WIDTH - 6, height: HEIGHT - 6, rx: 5 })];
}

function partiesOf(waits) {
  const parties = new Map();
  for (const { waiter, holders = [] } of waits) {
    for (const party of [waiter, ...holders]) parties.set(party.id, party);
  }
  return parties;
}

// Several waits of one party for another one are one arrow.
function arrowsOf(waits) {
  const arrows = new Map();
  for (const { waiter, holders = [], kind, call, isInCycle } of waits) {
    for (const holder of holders) {
      const key = `${waiter.id}>${holder.id}`;
      const { calls = [], isInCycle: wasInCycle } = arrows.get(key) ?? {};
      if (call && !calls.includes(call)) calls.push(call);
      arrows.set(key, { from: waiter.id, to: holder.id, kind, calls, isInCycle: isInCycle || wasInCycle });
    }
  }
  return markCycles([...arrows.values()]);
}

// A party in a cycle may also wait for one outside of it, or in another cycle. An arrow is a part of a
// cycle only if another way leads back.
function markCycles(arrows) {
  const targets = new Map();
  for (const { from, to, isInCycle } of arrows) if (isInCycle) targets.set(from, [...(targets.get(from) ?? []), to]);
  const reached = new Map([...targets.keys()].map((id) => [id, reachedFrom(id, targets)]));
  return arrows.map((arrow) => ({ ...arrow, isInCycle: Boolean(arrow.isInCycle && reached.get(arrow.to)?.has(arrow.from)) }));
}

function reachedFrom(id, targets) {
  const reached = new Set();
  const left = [id];
  while (left.length > 0) {
    for (const to of targets.get(left.pop()) ?? []) {
      if (reached.has(to)) continue;
      reached.add(to);
      left.push(to);
    }
  }
  return reached;
}

/** Gives each party a place: components below one another, layers from left to right. */
function layOut(ids, arrows) {
  const targets = new Map(ids.map((id) => [id, []]));
  arrows.forEach(({ from, to }) => targets.get(from).push(to));
  const places = new Map();
  let y = BORDER;
  let width = 0;
  for (const component of components(ids, arrows)) {
    const layers = orderLayers(layersOf(component, targets), targets);
    const most = Math.max(...layers.map((layer) => layer.length));
    const ranks = new Map(layers.flatMap((layer, rank) => layer.map((id) => [id, rank])));
    const leadsBack = component.some((id) => targets.get(id).some((to) => ranks.get(to) <= ranks.get(id)));
    if (leadsBack && most > 1) y += ARC;
    const middle = y + (most * (HEIGHT + GAP_Y) - GAP_Y) / 2;
    layers.forEach((layer, rank) => {
      const top = y + ((most - layer.length) * (HEIGHT + GAP_Y)) / 2;
      layer.forEach((id, index) => places.set(id, { rank, middle, x: BORDER + rank * (WIDTH + GAP_X), y: top + index * (HEIGHT + GAP_Y) }));
    });
    y += most * (HEIGHT + GAP_Y) + (leadsBack ? ARC : GAP_Y);
    width = Math.max(width, layers.length * (WIDTH + GAP_X) - GAP_X);
  }
  return { places, width: width + 2 * BORDER, height: y };
}

/** The parties that are connected in any way, each list in the order of `ids`. */
function components(ids, arrows) {
  const parents = new Map(ids.map((id) => [id, id]));
  const rootOf = (id) => {
    while (parents.get(id) !== id) id = parents.get(id);
    return id;
  };
  arrows.forEach(({ from, to }) => parents.set(rootOf(from), rootOf(to)));
  const byRoot = new Map();
  for (const id of ids) {
    const root = rootOf(id);
    byRoot.set(root, [...(byRoot.get(root) ?? []), id]);
  }
  return [...byRoot.values()];
}

/** Puts each party right of all that wait for it, except for the arrows that would close a cycle. */
function layersOf(ids, targets) {
  const { order, isBack } = search(ids, targets);
  const ranks = new Map(ids.map((id) => [id, 0]));
  for (const id of order) {
    for (const to of targets.get(id)) {
      if (!isBack(id, to)) ranks.set(to, Math.max(ranks.get(to), ranks.get(id) + 1));
    }
  }
  const layers = [];
  for (const id of ids) (layers[ranks.get(id)] ??= []).push(id);
  return layers;
}

// Searches in depth from the parties for which no other waits. `order` has each party before those
// that it waits for, if the arrows that lead back are left out.
function search(ids, targets) {
  const awaited = new Set(ids.flatMap((id) => targets.get(id)));
  const order = [];
  const states = new Map();
  const back = new Set();
  const visit = (id) => {
    states.set(id, 'open');
    for (const to of targets.get(id)) {
      if (states.get(to) === 'open') back.add(`${id}>${to}`);
      else if (!states.has(to)) visit(to);
    }
    states.set(id, 'done');
    order.unshift(id);
  };
  [...ids.filter((id) => !awaited.has(id)), ...ids].forEach((id) => states.has(id) || visit(id));
  return { order, isBack: (from, to) => back.has(`${from}>${to}`) };
}

// Orders each layer by the mean place of the neighbors in the other layers, so that few arrows cross.
function orderLayers(layers, targets) {
  const neighbors = new Map(layers.flat().map((id) => [id, []]));
  for (const [id, list] of neighbors) {
    for (const to of targets.get(id)) {
      list.push(to);
      neighbors.get(to).push(id);
    }
  }
  const place = new Map();
  const number = () => layers.forEach((layer) => layer.forEach((id, index) => place.set(id, (index + 0.5) / layer.length)));
  number();
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const mean = (id) => neighbors.get(id).reduce((sum, other) => sum + place.get(other), 0) / neighbors.get(id).length;
    layers = layers.map((layer) => layer.map((id) => [mean(id), id]).sort(([a], [b]) => a - b).map(([, id]) => id));
    number();
  }
  return layers;
}

function drawArrow({ kind, calls, isInCycle }, from, to) {
  const d = to.rank > from.rank ? forth(from, to) : back(from, to);
  const arrow = svg('path', {
    class: `arrow ${kind} ${isInCycle ? 'cycle' : ''}`,
    'marker-end': `url(#${isInCycle ? 'arrow-cycle' : 'arrow'})`,
    d,
  });
  if (calls.length === 0) return arrow;
  // The line alone is too thin for the mouse.
  return svg('g', {}, svg('title', {}, visible(calls.join('; '), 1000)), arrow, svg('path', { class: 'around', d }));
}

function forth(from, to) {
  const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
  return `M${x1} ${y1}C${x1 + GAP_X / 2} ${y1} ${x2 - GAP_X / 2} ${y2} ${x2} ${y2}`;
}

// On the side of its component that is nearer, or it would be behind more boxes.
function back(from, to) {
  const isAbove = (from.y + to.y + HEIGHT) / 2 < from.middle;
  const edge = isAbove ? 0 : HEIGHT;
  const [x1, y1, x2, y2] = [from.x + WIDTH / 2, from.y + edge, to.x + WIDTH / 2 + 10, to.y + edge];
  const bow = isAbove ? Math.min(y1, y2) - ARC : Math.max(y1, y2) + ARC;
  return `M${x1} ${y1}C${x1} ${bow} ${x2} ${bow} ${x2} ${y2}`;
}
