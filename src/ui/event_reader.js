// Server-sent events over fetch. Unlike EventSource it can send a token, and goes on asking after a
// refusal. It has the part of the interface that stream.js uses.

const RETRY = 1000;  // ms

export class EventReader extends EventTarget {
  onopen = () => {};
  onheard = () => {};  // bytes have arrived
  onerror = () => {};  // gets the status of a refusal, or nothing: the connection was lost
  #abort = new AbortController();
  #last = "";

  // `headers` returns the header fields of the next attempt.
  constructor(target, headers) {
    super();
    this.#run(target, headers);
  }

  close() {
    this.#abort.abort();
  }

  async #run(target, headers) {
    const {signal} = this.#abort;
    while (!signal.aborted) {
      let refused;
      try {
        const more = this.#last === "" ? {} : {"last-event-id": this.#last};
        const reply = await fetch(target, {cache: "no-store", redirect: "error", signal,
          headers: {accept: "text/event-stream", ...headers(), ...more}});
        if (!reply.ok) refused = reply.status;
        if (reply.ok) {
          this.onopen();
          await this.#read(reply.body.pipeThrough(new TextDecoderStream()).getReader());
        }
      } catch {
        // The connection was lost, or close() was called.
      }
      if (signal.aborted) return;
      this.onerror(refused);
      await new Promise((done) => setTimeout(done, RETRY));
    }
  }

  async #read(reader) {
    for (let rest = "";;) {
      const {done, value} = await reader.read();
      if (done) return;
      this.onheard();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      blocks.forEach((block) => this.#take(block));
    }
  }

  #take(block) {
    let kind = "message", data;
    for (const line of block.split("\n")) {
      const colon = line.indexOf(": ");
      const name = line.slice(0, colon), text = line.slice(colon + 2);
      if (name === "event") kind = text;
      else if (name === "id") this.#last = text;
      else if (name === "data") data = text;
    }
    if (data === undefined) return;
    this.dispatchEvent(new MessageEvent(kind, {data, lastEventId: this.#last}));
  }
}
