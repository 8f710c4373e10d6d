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
  // The middle of the visible part of an element, for the mouse.
  place: (selector, text) => {
    const element = find(selector, text);
    if (element === undefined) return null;
    element.scrollIntoView({ block: 'nearest' });
    const { left, top, right, bottom } = element.getBoundingClientRect();
    return { x: (left + Math.min(right, innerWidth)) / 2, y: (top + Math.min(bottom, innerHeight)) / 2 };
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
