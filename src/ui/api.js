// Requests to the node that served the page. Reads and writes of one key go through POST /txn: its
// reply to a conflict has the present version, it addresses every key (a browser resolves "/kv/.."
// before it asks), and no status of an ordinary outcome shows up as an error.

import {member, bytes_of} from "./bytes.js";
import {ask_for_token} from "./login.js";

const TIMEOUT = 8000;  // ms

// In memory only.
let token;

// The header fields that a request needs. Empty while the node has not asked for a token.
export function authorization() {
  return token === undefined ? {} : {authorization: `Bearer ${token}`};
}

// The server refused: `code`, `detail` and `hint` are those of its problem body.
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `status ${status}`);
    Object.assign(this, {status, code: problem.code ?? "", hint: problem.hint ?? ""});
  }
}

// No reply came.
export class Unreachable extends Error {}

export async function request(method, target, body, timeout = TIMEOUT) {
  for (;;) {
    const sent = token;
    try {
      return await attempt(method, target, body, timeout);
    } catch (error) {
      if (error.status !== 401) throw error;
      // Another request may have asked meanwhile.
      if (token === sent) token = await ask_for_token(`${error.message}.`);
    }
  }
}

async function attempt(method, target, body, timeout) {
  let reply;
  let text;
  try {
    reply = await fetch(target, {method, body, cache: "no-store", redirect: "error",
      headers: authorization(), signal: AbortSignal.timeout(timeout)});
    text = await reply.text();
  } catch (error) {
    throw new Unreachable(error.name === "TimeoutError" ? "the node did not answer in time"
      : "the node cannot be reached");
  }
  if (reply.ok) return text;
  let problem = {};
  try {
    problem = JSON.parse(text);
  } catch {
    problem.detail = text.slice(0, 200);
  }
  throw new Refused(reply.status, problem);
}

export async function get(target, timeout) {
  return JSON.parse(await request("GET", target, undefined, timeout));
}

const PATIENCE = 700;           // ms, of a write that may get no answer

// Writes a word under a key: "success", "fail" (certainly not written), or "unknown". It uses
// /request, which says in a 200 that there is no leader, and gives up before that says that the
// outcome is unknown: a browser reports every other status as an error of the page.
export async function put_word(key, value) {
  const body = JSON.stringify({type: "put", payload: {key, value}});
  try {
    return JSON.parse(await request("PUT", "/request", body, PATIENCE)).code;
  } catch (error) {
    if (error instanceof Unreachable) return "unknown";
    throw error;
  }
}

// A sentence about what went wrong.
export function describe(error) {
  if (error instanceof Refused) {
    const hint = error.hint ? ` Hint: ${error.hint}.` : "";
    return `${error.message} (${error.status} ${error.code}).${hint}`;
  }
  if (error instanceof Unreachable) return `${error.message}.`;
  throw error;
}

// ---- one key

async function txn(transaction) {
  return JSON.parse(await request("POST", "/txn", JSON.stringify(transaction)));
}

const key = (name) => member("key", bytes_of(name));

// The version, or nothing if there is no such key.
export async function read(name) {
  const {results: [version]} = await txn({then: [{get: key(name)}]});
  return version.exists === false ? undefined : version;
}

// Does one operation if the key is still at `revision` (0: absent). Returns {done: true, revision},
// or {done: false, current}: the present version, or nothing if the key is absent.
async function change(name, revision, operation) {
  const reply = await txn({
    if: [{...key(name), revision}], then: [operation], else: [{get: key(name)}],
  });
  if (reply.succeeded) return {done: true, revision: reply.revision};
  const [version] = reply.results;
  return {done: false, current: version.exists === false ? undefined : version};
}

// `life`: {ttl: "10s"}, {lease: "18"}, {keep_ttl: true} or {}: without a time to live.
export function write(name, revision, bytes, life, is_json) {
  const put = {...key(name), ...member("value", bytes), ...life};
  if (is_json) put.json = true;
  return change(name, revision, {put});
}

export function remove(name, revision) {
  return change(name, revision, {delete: key(name)});
}

export function restore(name, revision, from) {
  return change(name, revision, {restore: {...key(name), revision: from}});
}
