// What the test of the inspector's page uses inside of the page. It runs before the page's scripts.

const violations = [];
document.addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) =>
  violations.push(`${violatedDirective} forbids ${blockedURI}`));

const isShown = (element) => element.checkVisibility() && element.getBoundingClientRect().width > 0;

// The first shown element that fits a selector and has a text.
const find = (selector, text = '') =>
  [...document.querySelectorAll(selector)].find((element) => isShown(element) && element.textContent.includes(text));

globalThis.tools = {
  violations,
  find,
  text: (selector) => find(selector)?.textContent ?? '',
  texts: (selector) => [...document.querySelectorAll(selector)].filter(isShown).map((element) => element.textContent),
  count: (selector) => [...document.querySelectorAll(selector)].filter(isShown).length,
  // The middle of the visible part of an element, for the mouse, once it has not moved for some frames:
  // an answer that the page has just asked for may move it.
  place: async (selector, text) => {
    let last = { x: NaN, y: NaN };
    // What moves in every frame is taken where it is after a second.
    for (let frame = 0, still = 0; still < 4 && frame < 60; frame += 1) {
      const element = find(selector, text);
      if (element === undefined) return null;
      element.scrollIntoView({ block: 'nearest' });
      const { left, top, right, bottom } = element.getBoundingClientRect();
      const place = { x: (left + Math.min(right, innerWidth)) / 2, y: (top + Math.min(bottom, innerHeight)) / 2 };
      still = place.x === last.x && place.y === last.y ? still + 1 : 0;
      last = place;
      await new Promise(requestAnimationFrame);
    }
    return last;
  },
  // The frames that the page draws in a second, over some seconds.
  frameRate: (seconds) => new Promise((resolve) => {
    const start = performance.now();
    let frames = 0;
    const count = () => {
      const elapsed = (performance.now() - start) / 1000;
      if (elapsed >= seconds) resolve(frames / elapsed);
      else requestAnimationFrame(count);
      frames += 1;
    };
    requestAnimationFrame(count);
  }),
};

// What is compared with kept layouts: what an element draws itself, or the layout of those inside of it.

const ownText = (element) =>
  [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join('').trim();

const isTransparent = (color) => /, 0\)$/.test(color) || color === 'transparent';

const drawsItself = (element, style) =>
  ownText(element) !== '' || element.matches('input, select, svg *, img')
  || style.borderTopStyle !== 'none' || !isTransparent(style.backgroundColor);

const labelOf = (element) =>
  element.tagName.toLowerCase() + (element.id && `#${element.id}`) + [...element.classList].map((name) => `.${name}`).join('');

const drawn = (visit) => {
  const walk = (element, depth) => {
    const style = getComputedStyle(element);
    if (!element.checkVisibility() || style.visibility === 'hidden' || element.matches('defs, title, option')) return;
    const isListed = drawsItself(element, style);
    if (isListed) visit(element, style, depth);
    for (const child of element.children) walk(child, depth + (isListed ? 1 : 0));
  };
  walk(document.body, 0);
};

Object.assign(globalThis.tools, {
  // One line for each element that draws something: its place and size, what it is, and its text.
  layout: () => {
    const lines = [];
    drawn((element, _, depth) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      const [left, top, wide, high] = [x, y, width, height].map(Math.round);
      const text = ownText(element) && ` ${JSON.stringify(ownText(element))}`;
      lines.push(`${'  '.repeat(depth)}${left} ${top} ${wide} ${high} ${labelOf(element)}${text}`);
    });
    return lines;
  },
  // The colors of each kind of element, once.
  colors: () => {
    const lines = new Set();
    drawn((element, style) => {
      // Browsers differ in the color of a border that is not there.
      const border = parseFloat(style.borderTopWidth) > 0 ? style.borderTopColor : style.color;
      const shape = element.matches('svg *') ? [style.fill, style.stroke] : [style.color, style.backgroundColor, border];
      lines.add(`${labelOf(element).replace(/#row-\d+/, '')} ${shape.map((color) => color.replaceAll(' ', '')).join(' ')}`);
    });
    return [...lines].sort();
  },
});

Object.assign(globalThis.tools, {
  // What was loaded: the files that the first paint waited for, the scripts that were found only when
  // another one had come, and the sum of all.
  loading: () => {
    const files = performance.getEntriesByType('resource');
    const all = [...performance.getEntriesByType('navigation'), ...files];
    const names = (list) => list.map(({ name }) => name.split('/').at(-1));
    // Those that begin.js names have links of their own. Others are fetched for an import.
    const named = new Set([...document.querySelectorAll('link[rel=modulepreload]')].map(({ href }) => href));
    const isLate = ({ name }) => name.endsWith('.js') && !named.has(name);
    return {
      blocking: names(files.filter(({ renderBlockingStatus }) => renderBlockingStatus === 'blocking')),
      late: names(files.filter(isLate)),
      requests: all.length,
      bytes: all.reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0),
    };
  },
});
