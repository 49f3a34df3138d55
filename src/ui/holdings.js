// Leases, locks and elections: the holders, the time left, and the waiting clients. The view reads
// them every two seconds while it is shown.

import {describe, get} from "./api.js";
import {from_base64, name_in, shown, text_of, utf8} from "./bytes.js";
import {empty, h, loading, notice} from "./dom.js";
import {count, integer, long_duration, shorten, visible} from "./format.js";

const INTERVAL = 2000;  // ms
const PAGE = 200;

const left = (ms) => long_duration(Math.ceil(ms / 1000));

function value_text({value, value_base64}) {
  const bytes = value !== undefined ? utf8(value) : from_base64(value_base64 ?? "");
  return shorten(visible(text_of(bytes) ?? `${bytes.length} bytes that are not text`), 120);
}

// For each kind: the names of the columns, the cells of an item, and what an empty list says.
const KINDS = {
  leases: {
    title: "Leases", columns: ["Lease", "Time left", "Granted for", "Keys"],
    cells: ({lease, ttl_ms, granted_ttl_ms, keys}) =>
      [lease, left(ttl_ms), left(granted_ttl_ms), integer(keys)],
    nothing: ["No leases",
      "A lease is a time to live that several keys share: vesper lease grant 30s."],
  },
  locks: {
    title: "Locks", member: "lock",
    columns: ["Lock", "Token of the holder", "Time left", "Waiting"],
    cells: (lock, name) => [name, integer(lock.token), left(lock.ttl_ms), integer(lock.waiters)],
    nothing: ["No lock is held", "vesper lock NAME -- COMMAND holds one while a command runs."],
  },
  elections: {
    title: "Elections", member: "election",
    columns: ["Election", "Leader", "Token", "Time left", "Waiting"],
    cells: (one, name) => [name, value_text(one), integer(one.token), left(one.ttl_ms),
      integer(one.waiters)],
    nothing: ["No election has a leader", "vesper elect NAME VALUE -- COMMAND runs for one."],
  },
};

export function holdings_pane(kind) {
  const {title, columns, cells, nothing, member} = KINDS[kind];
  const body = h("div", {}, loading());
  const foot = h("div", {class: "card-body muted small", role: "status"});
  const queue = h("div", {});
  const element = h("div", {},
    h("section", {class: "card", "aria-label": title},
      h("div", {class: "card-head"}, h("h2", {}, title)), body, foot), queue);
  let chosen, timer, turn = 0;

  function row(item) {
    const name = member === undefined ? undefined : name_in(item, member);
    const [first, ...rest] = cells(item, name === undefined ? undefined
      : h("bdi", {}, shorten(shown(name), 120)));
    const head = name === undefined ? first : h("button", {type: "button", class: "quiet name",
      "data-name": name, "aria-expanded": String(name === chosen),
      onclick: () => choose(name)}, first);
    return h("tr", {}, h("td", {class: "break"}, head), rest.map((text) => h("td", {}, text)));
  }

  function choose(name) {
    chosen = chosen === name ? undefined : name;
    queue.replaceChildren();
    refresh();
  }

  function show(reply) {
    const items = reply[kind];
    if (items.length === 0) {
      body.replaceChildren(empty(...nothing));
    } else {
      const focused = document.activeElement?.dataset?.name;
      body.replaceChildren(h("div", {class: "scroll-x"}, h("table", {},
        h("thead", {}, h("tr", {}, columns.map((name) => h("th", {scope: "col"}, name)))),
        h("tbody", {}, items.map(row)))));
      for (const button of body.querySelectorAll("button[data-name]"))
        if (button.dataset.name === focused) button.focus();
    }
    const rest = reply.next === undefined ? "" : ` The first ${items.length} are shown.`;
    foot.textContent = `${count(reply.count, "is", "are")} held, at revision ` +
      `${integer(reply.revision)}.${rest}`;
  }

  function show_queue(one) {
    if (one === undefined) return queue.replaceChildren();
    const {holder, queue: places, waiters} = one;
    const held = holder === undefined ? "It is free."
      : `Held with token ${integer(holder.token)}, for another ${left(holder.ttl_ms)}.`;
    queue.replaceChildren(h("section", {class: "card gap-top", "aria-label": "Queue"},
      h("div", {class: "card-head"}, h("h2", {class: "break"}, h("bdi", {}, shown(chosen)))),
      h("div", {class: "card-body stack"}, h("p", {}, held),
        h("p", {}, waiters === 0 ? "Nobody waits." : `${count(waiters, "client")} in the queue:`),
        h("ol", {class: "row"}, places.slice(0, 100).map(({place}, i) =>
          h("li", {class: "tag"}, `${i + 1}. place ${place}`))))));
  }

  async function refresh() {
    const mine = ++turn;
    clearTimeout(timer);
    try {
      const path = `/${kind}/${chosen}`;
      const [all, one] = await Promise.all([
        get(`/${kind}?limit=${PAGE}`), chosen === undefined ? undefined : get(path)]);
      if (mine !== turn) return;
      show(all);
      show_queue(one);
    } catch (error) {
      if (mine !== turn) return;
      foot.replaceChildren(notice("bad", `The ${kind} could not be read`, describe(error)));
    }
    timer = setTimeout(refresh, INTERVAL);
  }

  refresh();
  return {
    element,
    close() {
      ++turn;
      clearTimeout(timer);
    },
  };
}
