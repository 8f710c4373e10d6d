// The page of the inspector: the token, the connection, the views, and what they share.
//
// Each view is an object with `show(route)`, `hide()` and `ended(calls)` if it needs them, `poll()`, which
// fetches what it shows, and `changed()`, which is called when samples or events have come.

import { Failure, Link, Lost } from './connection.js';
import { Events, PoolHistory, Samples, SAMPLES } from './data.js';
import { draw, fillName, setAttribute, setHidden, setText } from './dom.js';
import { EventLog } from './events.js';
import { clock, count, duration, visible } from './format.js';
import { IsolatesView } from './isolates.js';
import { Overview } from './overview.js';
import { PoolsView } from './pools.js';
import { ProfileView } from './profile.js';
import { ThreadsView } from './threads.js';
import { WaitsView } from './waits.js';

const POLL_MS = 1000;
// A sample comes each second. After so long without one the data is called old.
const SILENCE_MS = 5000;
const EVENTS_PER_REQUEST = 1000;
const TOAST_MS = 8000;

const VIEWS = {
  overview: Overview,
  isolates: IsolatesView,
  pools: PoolsView,
  threads: ThreadsView,
  waits: WaitsView,
  profile: ProfileView,
  events: EventLog,
};

const STATUS = {
  connecting: 'Connecting',
  live: 'Live',
  silent: 'No answer',
  lost: 'Connection lost',
  ended: 'Disconnected',
  refused: 'Not connected',
};

const COPY = 'Copy the whole address that the program printed, with everything behind #, and open it.';
const NOTICES = {
  missing: `The address has no token. ${COPY}`,
  refused: `The program does not accept the token of this address. It makes a new one for each start. ${COPY}`,
  silent: 'The program does not answer. It may be stopped, or the machine is busy. The data below is old.',
  lost: 'The connection was lost. The page connects again. The data below is old.',
  ended: 'The program cannot be reached. It has probably ended, or other clients use all connections of its inspector.',
};

const byId = (id) => document.getElementById(id);

class App {
  token = takeToken();
  samples = new Samples();
  events = new Events();
  poolHistory = new PoolHistory();
  vm = null;
  /** The time at which the inspector was started, by the clock of the browser. */
  startedAt = Date.now();
  #link = null;
  #views = new Map();
  #route = { view: 'overview' };
  #polling = new Set();
  #status = 'connecting';
  #heardAt = null;

  start() {
    byId('notice').querySelector('button').onclick = () => this.#link.start();
    byId('tabs').addEventListener('click', ({ target }) => this.#openTab(target));
    byId('tabs').addEventListener('keydown', moveInTabs);
    addEventListener('popstate', ({ state }) => this.#show(state ?? { view: 'overview' }));
    addEventListener('hashchange', () => location.hash.length > 1 && this.#takeNewToken());
    document.addEventListener('visibilitychange', () => this.#tick());
    setInterval(() => this.#tick(), POLL_MS);
    this.#show(history.state ?? this.#route);
    this.#connect();
  }

  /** Opens a view: `{ view, id, state }`. The address stays as it is, for it must not hold ids. */
  open(route) {
    history.pushState(route, '', location.pathname);
    this.#show(route);
  }

  request(method, params) {
    return this.#link === null ? Promise.reject(new Lost()) : this.#link.request(method, params);
  }

  get canControl() {
    return this.vm?.canControl ?? false;
  }

  /** Runs a control method, and says what came of it. */
  async control(method, params) {
    try {
      const done = await this.request(method, params);
      toast(byId('done'), done.text || 'Done');
    } catch (error) {
      this.report(error);
    }
    this.#tick();
  }

  /** Shows an error. A lost connection is shown by its own notice. */
  report(error) {
    if (error instanceof Lost) return;
    toast(byId('failure'), error instanceof Failure ? error.message : `The page has failed: ${error.message}`);
  }

  /** Asks before something that cannot be undone. */
  ask(title, text, action) {
    const dialog = byId('ask');
    setText(byId('ask-title'), title);
    setText(byId('ask-text'), text);
    setText(byId('ask-yes'), action);
    byId('ask-no').onclick = () => dialog.close('');
    byId('ask-yes').onclick = () => dialog.close('yes');
    dialog.returnValue = '';
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.onclose = () => resolve(dialog.returnValue === 'yes');
    });
  }

  #connect() {
    if (this.token === null) {
      this.#statusChanged('refused');
      this.#setNotice(NOTICES.missing);
      return;
    }
    this.#link = new Link(this.token, (status) => this.#statusChanged(status), (params) => this.#notified(params));
    this.#link.start();
  }

  // The reader has put a new address into this tab. Only its fragment differs, so nothing reloads.
  #takeNewToken() {
    takeToken();
    location.reload();
  }

  async #statusChanged(status) {
    this.#setStatus(status);
    this.#setNotice(NOTICES[status] ?? '');
    // Without data, empty tables would say something that is not known.
    setHidden(document.querySelector('main'), status === 'refused' || (status === 'ended' && this.vm === null));
    if (status !== 'live') return;
    try {
      await this.#begin();
    } catch (error) {
      this.report(error);
    }
  }

  async #begin() {
    const [vm, history] = await Promise.all([
      this.request('getVM'),
      this.request('getHistory', { limit: SAMPLES }),
      this.request('streamListen', { streamId: 'Sample' }),
      this.request('streamListen', { streamId: 'Events' }),
    ]);
    this.vm = vm;
    this.startedAt = Date.now() - vm.uptimeMs;
    this.samples.add(history.samples ?? []);
    this.#heard();
    this.#currentView().show(this.#route);
    this.#tick();
    await this.#fetchEvents();
  }

  // Events since the last one that the page knows, which is none at the start.
  async #fetchEvents() {
    let since = this.events.lastNumber;
    let events;
    do {
      events = await this.request('getEvents', { since, limit: EVENTS_PER_REQUEST });
      this.events.add(events);
      const next = events.events?.at(-1)?.number ?? since;
      if (next <= since) break;
      since = next;
    } while (events.events.length === EVENTS_PER_REQUEST);
    this.#currentView().changed();
  }

  #notified({ streamId, event }) {
    if (streamId === 'Calls') {
      this.#currentView().ended?.(event);
      return;
    }
    if (streamId === 'Sample') {
      this.samples.add([event]);
      this.#heard();
    } else if (streamId === 'Events') {
      this.events.add(event);
    }
    this.#currentView().changed();
  }

  #heard() {
    this.#heardAt = Date.now();
    if (this.#status === 'silent') this.#setStatus('live');
    draw(this.#drawHead);
  }

  #tick() {
    if (this.#status === 'live' && Date.now() - this.#heardAt > SILENCE_MS) this.#setStatus('silent');
    if (document.hidden || !this.#link?.isLive || this.vm === null) return;
    this.#poll(this.#currentView(), (view) => view.poll());
    this.#poll(this.poolHistory, () => this.#pollPools());
  }

  // A slow answer must not pile up requests, so each poller has one at a time.
  async #poll(poller, poll) {
    if (this.#polling.has(poller)) return;
    this.#polling.add(poller);
    try {
      await poll(poller);
    } catch (error) {
      this.report(error);
    } finally {
      this.#polling.delete(poller);
    }
  }

  async #pollPools() {
    const { pools = [] } = await this.request('getPools');
    this.poolHistory.add(pools, performance.now());
    if (this.#route.view === 'pools') this.#currentView().changed();
  }

  #openTab({ id }) {
    const view = id.replace('tab-', '');
    if (view in VIEWS) this.open({ view });
  }

  #currentView() {
    return this.#views.get(this.#route.view);
  }

  #show(route) {
    if (route.view !== this.#route.view) this.#currentView()?.hide?.();
    this.#route = route.view in VIEWS ? route : { view: 'overview' };
    const { view } = this.#route;
    for (const name of Object.keys(VIEWS)) {
      const tab = byId(`tab-${name}`);
      setAttribute(tab, 'aria-selected', name === view);
      if (name === view) tab.removeAttribute('tabindex');
      else tab.tabIndex = -1;
      setHidden(byId(name), name !== view);
    }
    showTab(byId(`tab-${view}`));
    if (!this.#views.has(view)) this.#views.set(view, new VIEWS[view](this, byId(view)));
    this.#currentView().show(this.#route);
    this.#tick();
    draw(this.#drawHead);
  }

  #setStatus(status) {
    this.#status = status;
    const element = byId('connection');
    setAttribute(element, 'data-status', status);
    setText(element, STATUS[status]);
    const isOld = status !== 'live' && this.#heardAt !== null;
    document.body.classList.toggle('old', isOld);
    if (isOld) setText(element, `${STATUS[status]}, data of ${clock(this.#heardAt)}`);
    if (status === 'silent' || status === 'live') this.#setNotice(NOTICES[status] ?? '');
  }

  #setNotice(text) {
    const notice = byId('notice');
    setText(notice.querySelector('p'), text);
    setHidden(notice, text === '');
    setHidden(notice.querySelector('button'), this.#status !== 'ended');
  }

  #drawHead = () => {
    if (this.vm === null) return;
    const { name, pid, version, operatingSystem, cores, uptimeMs, canControl } = this.vm;
    const uptime = this.samples.list.at(-1)?.atMs ?? uptimeMs;
    fillName(byId('program'), name);
    setText(byId('facts'), `process ${pid} · ${visible(operatingSystem, 40)}, ${count(cores)} cores · Insula ${visible(version, 40)} · watched for ${duration(uptime)}${canControl ? '' : ' · read-only'}`);
    const title = `${byId(`tab-${this.#route.view}`).textContent} · ${visible(name, 60)}`;
    if (document.title !== title) document.title = title;
  };
}

// The token leaves the address bar, so that it is not copied or shown by accident. The storage of
// the tab keeps it for a reload.
function takeToken() {
  if (location.hash.length > 1) {
    sessionStorage.setItem('token', location.hash.slice(1));
    history.replaceState(history.state, '', location.pathname);
  }
  return sessionStorage.getItem('token');
}

// Narrow windows have no room for all tabs. `scrollIntoView` would do this as well, but it also makes
// the next Tab key go on from there, and so skip what is before.
function showTab(tab) {
  const nav = document.querySelector('nav');
  if (nav.scrollWidth > nav.clientWidth) nav.scrollLeft = tab.offsetLeft - (nav.clientWidth - tab.offsetWidth) / 2;
}

// Arrow keys move the focus between tabs; Enter opens one. Moving alone does not, for each view
// that is opened asks the program for its data.
function moveInTabs(event) {
  const tabs = [...event.currentTarget.children];
  const at = tabs.indexOf(document.activeElement);
  const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  tabs.at(next % tabs.length).focus();
}

let clearing;

function toast(element, text) {
  const toasts = [byId('done'), byId('failure')];
  // An error of each refresh is read out once, not each second.
  toasts.filter((other) => other !== element).forEach((other) => setText(other, ''));
  setText(element, visible(text, 500));
  clearTimeout(clearing);
  clearing = setTimeout(() => toasts.forEach((other) => setText(other, '')), TOAST_MS);
}

const THEMES = ['system', 'light', 'dark'];

function startTheme() {
  const set = (theme) => {
    localStorage.setItem('theme', theme);
    document.documentElement.dataset.theme = theme;
    setText(byId('theme'), `Theme: ${theme}`);
  };
  const current = () => Math.max(0, THEMES.indexOf(localStorage.getItem('theme')));
  set(THEMES[current()]);
  byId('theme').onclick = () => set(THEMES[(current() + 1) % THEMES.length]);
}

startTheme();
const app = new App();
addEventListener('error', ({ error }) => error && app.report(error));
addEventListener('unhandledrejection', ({ reason }) => app.report(reason));
app.start();
