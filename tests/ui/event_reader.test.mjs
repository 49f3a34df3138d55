// Server-sent events over fetch: parts that are split anywhere, ids, and the attempt after a
// refusal.

import assert from "node:assert/strict";
import {test} from "node:test";

import {EventReader} from "../../src/ui/event_reader.js";

const reply = (...parts) => ({ok: true, body: new ReadableStream({
  start(controller) {
    for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
    controller.close();
  },
})});

test("events are read over fetch, with a token, and resume after the last one", async () => {
  const asked = [];
  let token = {};
  const answers = [
    {ok: false, status: 401},
    reply("event: put\nid: 7\nda", 'ta: {"key":"ä"}\n', "\n: keep-alive\nid: 8\n\n"),
    reply('event: put\nid: 9\ndata: {"key":"b"}\n\n'),
  ];
  globalThis.fetch = async (target, {headers, signal}) => {
    asked.push({target, ...headers});
    if (answers.length === 0) return new Promise((_, fail) => {
      signal.addEventListener("abort", () => fail(signal.reason));
    });
    return answers.shift();
  };
  const reader = new EventReader("/watch", () => token);
  const seen = [], refusals = [];
  await new Promise((done) => {
    reader.addEventListener("put", (event) => {
      seen.push([event.lastEventId, JSON.parse(event.data).key]);
      if (seen.length === 2) done();
    });
    reader.onerror = (status) => {
      refusals.push(status);
      token = {authorization: "Bearer t"};
    };
  });
  reader.close();
  assert.deepEqual(refusals, [401, undefined]);
  assert.deepEqual(seen, [["7", "ä"], ["9", "b"]]);
  assert.equal(asked[0].authorization, undefined);
  assert.equal(asked[1].authorization, "Bearer t");
  assert.equal(asked[2]["last-event-id"], "8");
});
