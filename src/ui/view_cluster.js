// The cluster as the serving node sees it: a ring of its members, the same as a table, and what the
// node says of itself. Of the others it knows the address, who leads, and little more; the page
// shows no more than that.

import {majority_of} from "./alarms.js";
import {h, loading, s, set_text} from "./dom.js";
import {bytes, count, integer, long_duration} from "./format.js";
import {node_radius, ring} from "./ring.js";

const SIZE = 400, CENTER = SIZE / 2, RADIUS = 146, NODE = 42;
const HALO = 6, MARGIN = HALO + 4;
const LABELLED = 30;  // the least radius at which a role fits into a node

// What is known of each member: [{id, address, role, is_serving, is_leader, voter, notes}, ...].
export function members_of(status) {
  return status.members.map((member) => {
    const is_serving = member.id === status.id;
    const is_leader = status.leader !== null && member.address === status.leader;
    const role = is_serving ? status.role : is_leader ? "leader" : member.voter ? "" : "learner";
    // In the picture, a member of which only the membership is known is drawn as such.
    return {...member, is_serving, is_leader, role, label: role === "" ? "voter" : role};
  });
}

function ring_picture(status) {
  const members = members_of(status);
  const radius = node_radius(members.length, RADIUS, NODE);
  const places = ring(members.length, CENTER, members.length === 1 ? 0.001 : RADIUS);
  const has_center = members.length > 1;
  // The picture ends where the nodes do: a triangle leaves space below it.
  const ys = places.map(({y}) => y);
  const top = Math.min(...ys) - radius - MARGIN;
  const height = Math.max(...ys, CENTER + RADIUS - radius) + radius + MARGIN - top;
  const leader = members.find((member) => member.is_leader);
  const about = leader ? `Node ${leader.id} leads in term ${status.term}.`
    : `No leader is known in term ${status.term}.`;
  return s("svg", {class: "ring", viewBox: `0 ${top} ${SIZE} ${height}`, role: "img",
    "aria-label": `${count(members.length, "node")} on a ring. ${about}`},
    has_center ? s("circle", {class: "orbit", cx: CENTER, cy: CENTER, r: RADIUS}) : null,
    has_center ? s("g", {class: "center"},
      s("text", {class: "label", x: CENTER, y: CENTER - 28}, "Term"),
      s("text", {class: "term", x: CENTER, y: CENTER + 8}, integer(status.term)),
      s("text", {class: "label", x: CENTER, y: CENTER + 36},
        leader ? `node ${leader.id} leads` : "no leader known")) : null,
    members.map((member, i) => node_picture(member, places[i], radius)));
}

function node_picture(member, {x, y}, radius) {
  const kinds = ["node", member.is_leader && "leader", member.is_serving && "serving",
    !member.is_serving && !member.is_leader && "unknown"].filter(Boolean).join(" ");
  return s("g", {class: kinds, transform: `translate(${x} ${y})`},
    member.is_serving ? s("circle", {class: "halo", r: radius + HALO}) : null,
    s("circle", {r: radius}),
    s("text", {class: "id", y: radius >= LABELLED ? 0 : 7}, String(member.id)),
    radius >= LABELLED ? s("text", {class: "role", y: 19}, member.label) : null);
}

function member_rows(status) {
  const muted = (text) => h("span", {class: "muted"}, text);
  return members_of(status).map((member) => {
    const lag = integer(status.last_index - status.applied_index);
    const knows_term = member.is_serving || member.is_leader;
    return h("tr", {},
      h("td", {class: "number"}, String(member.id)),
      h("td", {},
        h("a", {href: `${member.address}/ui/#/cluster`},
          member.address.replace(/^https?:\/\//, "")),
        member.is_serving
          ? h("span", {class: "muted small nowrap serves"}, " serves this page") : null),
      h("td", {}, member.role === "" ? muted("unknown")
        : h("span", {class: `tag ${member.is_leader ? "accent" : ""}`}, member.role),
      member.regressed ? h("span", {class: "tag bad"}, "disk went back") : null),
      h("td", {class: "number"}, knows_term ? integer(status.term) : muted("–")),
      h("td", {class: "number"}, member.is_serving ? lag : muted("–")));
  });
}

const HEADS = [["ID", "number"], ["Address", ""], ["Role", ""], ["Term", "number"],
  ["Lag", "number"]];

function member_table(status) {
  return h("div", {class: "scroll-x", tabindex: 0, role: "region", "aria-label": "Members"},
    h("table", {class: "members"},
      h("thead", {}, h("tr", {}, HEADS.map(([name, kind]) =>
        h("th", {scope: "col", class: kind}, name)))),
      h("tbody", {}, member_rows(status))));
}

function facts(status) {
  const snapshot = status.snapshot;
  return [
    ["Version", status.version],
    ["Uptime", long_duration(status.uptime_ms / 1000)],
    ["Revision", integer(status.revision)],
    ["Keys", integer(status.keys)],
    ["Log", `${integer(status.log?.first_index ?? 0)} to ${integer(status.last_index)}`],
    ["Committed", integer(status.commit_index)],
    ["Applied", integer(status.applied_index)],
    ["Log on disk", bytes(status.log?.file_bytes ?? NaN)],
    ["Snapshot", snapshot ? `${bytes(snapshot.bytes)} at ${integer(snapshot.index)}` : "none yet"],
    ["Leases", integer(status.leases)],
    ["Locks", `${integer(status.locks)}, ${integer(status.lock_waiters)} waiting`],
    ["Watches", integer(status.watchers ?? 0)],
  ];
}

export function cluster_view(poll) {
  const summary = h("p", {});
  const picture = h("div", {class: "card-body"}, loading(6));
  const table = h("div", {}, loading(5));
  const details = h("dl", {class: "facts"});
  const ids = h("dl", {class: "facts wide gap-top"});
  const body = h("div", {class: "cluster-grid"},
    h("section", {class: "card", "aria-label": "Ring"}, picture),
    h("div", {},
      h("section", {class: "card"},
        h("div", {class: "card-head"}, h("h2", {}, "Members")), table),
      h("p", {class: "muted small gap-top"},
        "This page asks the node that served it. What the others say of themselves is on their " +
        "own pages: follow their addresses.")));
  const node_title = h("h2", {}, "This node");
  const node_card = h("section", {class: "card gap-top"},
    h("div", {class: "card-head"}, node_title), h("div", {class: "card-body"}, details, ids));
  const element = h("div", {},
    h("div", {class: "view-head"}, h("h1", {}, "Cluster"), summary), body, node_card);
  let drawn = "";

  // Members and leadership change rarely, and a table that is made again loses its focus.
  function draw(status) {
    const lag = status.last_index - status.applied_index;
    const key = JSON.stringify([status.id, status.role, status.term, status.leader, lag,
      status.members]);
    if (key === drawn) return;
    drawn = key;
    const focused = table.contains(document.activeElement) ? document.activeElement.href : "";
    picture.replaceChildren(ring_picture(status));
    table.replaceChildren(member_table(status));
    for (const link of table.querySelectorAll("a")) if (link.href === focused) link.focus();
  }

  function fill(list, pairs) {
    if (list.children.length !== pairs.length)
      list.replaceChildren(...pairs.map(([name]) => h("div", {}, h("dt", {}, name), h("dd", {}))));
    pairs.forEach(([, text], i) => set_text(list.children[i].lastChild, text));
  }

  function update() {
    const {status} = poll;
    for (const part of [body, node_card])
      part.classList.toggle("stale", poll.down_since !== undefined);
    if (status === undefined) return;
    const {voters, needed} = majority_of(status);
    set_text(summary, `${count(voters, "voter")}; a write needs ${needed}.`);
    set_text(node_title, `Node ${status.id}`);
    draw(status);
    fill(details, facts(status));
    fill(ids, [["Cluster", status.cluster ?? "not founded yet"],
      [`Digest after entry ${integer(status.applied_index)}`, status.digest]]);
  }

  return {element, update};
}
