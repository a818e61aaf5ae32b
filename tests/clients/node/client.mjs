// The official Node client at the end of the line protocol of tests/clients/python/client.py. The first argument is the
// folder with the installed packages.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { OpenAI } = createRequire(`${process.argv[2]}/`)('openai');

/** An exception as its catcher sees it. */
function description(error) {
  const classes = [];
  for (let kind = error; kind && kind !== Object.prototype; kind = Object.getPrototypeOf(kind)) {
    if (Object.hasOwn(kind, 'constructor')) classes.push(kind.constructor.name);
  }
  return {
    classes,
    message: error.message,
    status: error.status ?? null,
    code: error.code ?? null,
    type: error.type ?? null,
    request_id: error.requestID ?? null,
  };
}

/** The pieces of a streamed answer put together. */
class Answer {
  pieces = [];
  role = null;
  finish_reason = null;
  usage = null;
  calls = [];

  add(event) {
    this.usage = event.usage ?? this.usage;
    for (const { delta, finish_reason } of event.choices) {
      this.role ??= delta.role ?? null;
      this.finish_reason = finish_reason ?? this.finish_reason;
      if (delta.content) this.pieces.push(delta.content);
      for (const part of delta.tool_calls ?? []) {
        this.calls[part.index] ??= { id: part.id, name: part.function.name, arguments: '' };
        this.calls[part.index].arguments += part.function.arguments ?? '';
      }
    }
  }

  result() {
    const { pieces, role, finish_reason, usage, calls } = this;
    return { pieces, role, finish_reason, usage, tool_calls: calls };
  }
}

let client;
let running;
let controller;
let open = [];

const calls = {
  connect({ base_url, key = 'sk-any', retries = 0, timeout = 60 }) {
    client = new OpenAI({ baseURL: base_url, apiKey: key, maxRetries: retries, timeout: timeout * 1000 });
  },

  async models() {
    const found = [];
    for await (const model of client.models.list()) found.push(model);
    return found;
  },

  model({ name }) {
    return client.models.retrieve(name);
  },

  async chat(fields) {
    const answer = await client.chat.completions.create(fields);
    const [{ message, finish_reason }] = answer.choices;
    const tool_calls = (message.tool_calls ?? []).map((call) => ({ id: call.id, ...call.function }));
    return {
      content: message.content,
      role: message.role,
      finish_reason,
      tool_calls,
      usage: answer.usage,
      model: answer.model,
      request_id: answer._request_id,
    };
  },

  async completion(fields) {
    return (await client.completions.create(fields)).choices[0].text;
  },

  /** A stream, read to its end. An exception says how many pieces came before it. */
  async stream(fields) {
    const answer = new Answer();
    try {
      for await (const event of await client.chat.completions.create({ stream: true, ...fields })) answer.add(event);
    } catch (error) {
      error.message += ` [after ${answer.pieces.length} pieces]`;
      throw error;
    }
    return answer.result();
  },

  /** Leaves a stream in the middle. */
  async leave({ after, ...fields }) {
    let pieces = 0;
    for await (const event of await client.chat.completions.create({ stream: true, ...fields })) {
      if (event.choices[0].delta.content) pieces += 1;
      if (pieces === after) break;
    }
    return pieces;
  },

  /** Sends a request and does not wait for its answer: cancel() or finish() come later. */
  begin(fields) {
    controller = new AbortController();
    running = client.chat.completions.create(fields, { signal: controller.signal });
    running.catch(() => {}); // whoever awaits it hears of it
  },

  cancel() {
    controller.abort();
    return running;
  },

  async finish() {
    return (await running).choices[0].message.content;
  },

  /** So many streams at once; done when each has begun. Returns how many that are. */
  async open_streams({ count, ...fields }) {
    const begin = async () => {
      const stream = await client.chat.completions.create({ stream: true, ...fields });
      const events = stream[Symbol.asyncIterator]();
      const answer = new Answer();
      answer.add((await events.next()).value);
      return { events, answer };
    };
    open = await Promise.all(Array.from({ length: count }, begin));
    return open.length;
  },

  /** Reads them to their ends, side by side: for each what was said, or what was raised. */
  finish_streams() {
    const rest = async ({ events, answer }) => {
      try {
        for (let next = await events.next(); !next.done; next = await events.next()) answer.add(next.value);
        return answer.result();
      } catch (error) {
        return { raised: description(error) };
      }
    };
    return Promise.all(open.map(rest));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...fields } = JSON.parse(line);
  let said;
  try {
    said = { ok: (await calls[call](fields)) ?? null };
  } catch (error) {
    said = { raised: description(error) };
  }
  process.stdout.write(`${JSON.stringify(said)}\n`);
}
