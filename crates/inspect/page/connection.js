// The connection to the program: JSON-RPC 2.0 over a WebSocket.

/** An error that the server has answered. */
export class Failure extends Error {
  constructor({ code, message }) {
    super(message);
    this.code = code;
  }
}

/** There is no connection, or it was lost before the answer came. */
export class Lost extends Error {
  constructor() {
    super('The connection was lost.');
  }
}

/** The server does not accept the token. */
export class Refused extends Error {
  constructor() {
    super('The program does not accept the token.');
  }
}

export const NO_SUCH_OBJECT = 105;

/** One socket, from its start to its close. */
class Channel {
  #socket;
  #nextId = 1;
  #answers = new Map();
  #closed;

  constructor(onNotify) {
    this.closed = new Promise((resolve) => { this.#closed = resolve; });
    this.#socket = new WebSocket(`ws://${location.host}/ws`);
    this.opened = new Promise((resolve) => { this.#socket.onopen = () => resolve(true); });
    this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(data), onNotify);
    this.#socket.onclose = (event) => this.#end(event);
  }

  request(method, params = {}) {
    if (this.#socket.readyState !== WebSocket.OPEN) return Promise.reject(new Lost());
    const id = this.#nextId;
    this.#nextId += 1;
    this.#socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    return new Promise((resolve, reject) => this.#answers.set(id, { resolve, reject }));
  }

  close() {
    this.#socket.close();
  }

  #take(message, onNotify) {
    if (message.method === 'streamNotify') {
      onNotify(message.params);
      return;
    }
    const answer = this.#answers.get(message.id);
    this.#answers.delete(message.id);
    if (message.error) answer?.reject(new Failure(message.error));
    else answer?.resolve(message.result);
  }

  #end(event) {
    this.#answers.forEach(({ reject }) => reject(new Lost()));
    this.#answers.clear();
    this.#closed(event);
  }
}

/** Connects and authenticates. Fails with `Refused` or `Lost`. */
export async function dial(token, onNotify = () => {}) {
  const channel = new Channel(onNotify);
  const isOpen = await Promise.race([channel.opened, channel.closed.then(() => false)]);
  if (!isOpen) throw new Lost();
  try {
    await channel.request('authenticate', { token });
  } catch (error) {
    channel.close();
    // A server may close the connection in place of an answer. A program that ends does not close
    // it cleanly.
    const isRefused = error instanceof Failure || (await channel.closed).wasClean;
    throw isRefused ? new Refused() : error;
  }
  return channel;
}

// About 16 seconds together. A program that has ended never comes back under its token, so the page
// then stops, and leaves further tries to the reader.
const DELAYS_MS = [250, 500, 1000, 2000, 4000, 8000];

/**
 * A connection that is made again when it is lost. `onStatus` is told `connecting`, `live`, `lost`,
 * `ended` or `refused`.
 */
export class Link {
  #token;
  #onStatus;
  #onNotify;
  #channel = null;
  #tries = 0;
  #timer;

  constructor(token, onStatus, onNotify) {
    this.#token = token;
    this.#onStatus = onStatus;
    this.#onNotify = onNotify;
  }

  get isLive() {
    return this.#channel !== null;
  }

  /** Begins to connect, now. */
  start() {
    clearTimeout(this.#timer);
    this.#tries = 0;
    this.#onStatus('connecting');
    this.#connect();
  }

  request(method, params) {
    return this.#channel === null ? Promise.reject(new Lost()) : this.#channel.request(method, params);
  }

  async #connect() {
    try {
      this.#channel = await dial(this.#token, this.#onNotify);
    } catch (error) {
      if (error instanceof Refused) this.#onStatus('refused');
      else this.#retry();
      return;
    }
    this.#tries = 0;
    this.#onStatus('live');
    await this.#channel.closed;
    this.#channel = null;
    this.#retry();
  }

  #retry() {
    if (this.#tries === DELAYS_MS.length) {
      this.#onStatus('ended');
      return;
    }
    this.#onStatus('lost');
    this.#timer = setTimeout(() => this.#connect(), DELAYS_MS[this.#tries]);
    this.#tries += 1;
  }
}
