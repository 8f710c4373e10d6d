// Numbers, times and names as texts.
//
// Members that the server has left out count as zero, as the protocol says, so every function here
// takes `undefined` and `null` as well.

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 });
const SHORT = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });
const TENTHS = new Intl.NumberFormat('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const NONE = '–';

export function count(value) {
  return WHOLE.format(value ?? 0);
}

/** A number of things. */
export function counted(value, noun) {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`;
}

/** A number with three digits, for rates and means. */
export function rate(value) {
  if (value == null) return NONE;
  return Math.abs(value) < 1000 ? SHORT.format(value) : WHOLE.format(value);
}

/** A share, with the same number of digits in all rows of a column that differ little. */
export function percent(value) {
  if (value == null) return NONE;
  if (value > 0 && value < 0.1) return '< 0.1 %';
  return `${value > 0 && value < 10 ? TENTHS.format(value) : WHOLE.format(value)} %`;
}

export function bytes(value) {
  if (value == null) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${SHORT.format(value)} ${units[unit]}`;
}

/** A time in milliseconds, in the two units that matter most. */
export function duration(ms) {
  if (ms == null) return NONE;
  if (ms < 1000) return `${SHORT.format(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor(ms / 1000) % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A time in microseconds, of which many are shorter than a millisecond. */
export function micros(us) {
  if (us == null) return NONE;
  if (us < 1) return us === 0 ? '0' : `${SHORT.format(us * 1000)} ns`;
  if (us < 1000) return `${SHORT.format(us)} µs`;
  return duration(us / 1000);
}

/** A time of a distribution, which has none if nothing was timed. */
export function latency(distribution, member) {
  return distribution?.samples ? micros(distribution[member]) : NONE;
}

export function clock(date) {
  return CLOCK.format(date);
}

/** The words of a name in camel case, as a label: `isolateSpawn` is "Isolate spawn". */
export function words(name) {
  const text = String(name ?? '').replace(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);
  return text.charAt(0).toUpperCase() + text.slice(1);
}

// Characters that move or hide others: controls, line and paragraph separators, and the marks that
// change the direction of a text. Joiners stay, because words and emoji need them.
const TRICKS = /[\p{Cc}\p{Zl}\p{Zp}\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu;
const ESCAPES = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * A text of the program for one line. It shows characters that would disturb the page as escapes,
 * and cuts what no line has room for: a layout of 10,000 characters costs more than a frame.
 */
export function visible(text, limit = 200) {
  text = String(text ?? '');
  if (text.length > limit) text = `${text.slice(0, limit).replace(/[\ud800-\udbff]$/, '')}…`;
  return text.replace(TRICKS, (c) => ESCAPES[c] ?? `\\u{${c.codePointAt(0).toString(16)}}`);
}
