// The members of the cluster as a table: the same as the picture, for eyes that prefer numbers.

import {h, set_text} from "./dom.js";
import {integer} from "./format.js";

const HEADS = [["ID", "number"], ["Address", ""], ["Role", ""], ["Term", "number"],
  ["Last", "number"], ["Applied", "number"]];

function row_of(id, select) {
  // What all addresses have in common is left out where there is no room for it.
  const host = h("span", {class: "host"}), rest = h("span", {});
  const address = h("a", {}, host, rest), serves = h("span", {class: "muted small serves"});
  const word = h("span", {}), cause = h("span", {class: "cause"});
  const role = h("span", {class: "tag"}, word, cause);
  const regressed = h("span", {class: "tag bad", hidden: true}, "disk went back");
  const numbers = ["term", "last_index", "applied_index"]
    .map((name) => [name, h("td", {class: "number"})]);
  const name = h("button", {type: "button", class: "quiet name",
    "aria-label": `Details of node ${id}`, onclick: () => select(id)}, String(id));
  const element = h("tr", {}, h("td", {class: "number"}, name),
    h("td", {}, address, serves, regressed), h("td", {}, role), numbers.map(([, cell]) => cell));
  return {
    element,
    show(node, is_regressed, is_selected) {
      const url = `${node.address}/ui/#/cluster`;
      if (address.getAttribute("href") !== url) address.setAttribute("href", url);
      const shown = node.address.replace(/^https?:\/\//, "");
      set_text(host, shown.slice(0, shown.length - node.short.length));
      set_text(rest, node.short);
      set_text(serves, node.is_serving ? " serves this page" : "");
      set_text(cause, node.cause === undefined ? "" : `: ${node.cause}`);
      set_text(word, node.absence ?? node.seat ?? (node.role === "" ? "unknown" : node.role));
      role.className = node.absence !== undefined ? "tag bad"
        : node.is_leader ? "tag accent" : "tag";
      regressed.hidden = !is_regressed;
      for (const [member, cell] of numbers)
        set_text(cell, node[member] === undefined ? "–" : integer(node[member]));
      element.classList.toggle("absent", node.absence !== undefined);
      element.classList.toggle("selected", is_selected);
      name.setAttribute("aria-pressed", String(is_selected));
    },
  };
}

// `select` is called with the id of a node.
export function members_table(select) {
  const body = h("tbody", {});
  const rows = new Map();
  const heads = HEADS.map(([name, kind]) => h("th", {scope: "col", class: kind}, name));
  const element = h("div", {class: "scroll-x", tabindex: 0, role: "region",
    "aria-label": "Members"},
  h("table", {class: "members"}, h("thead", {}, h("tr", {}, heads)), body));
  return {
    element,
    // `regressed` has the ids of nodes that lack entries which they have acknowledged.
    update({nodes}, regressed, selected) {
      const ids = nodes.map(({id}) => id);
      for (const [id, row] of rows)
        if (!ids.includes(id)) {
          row.element.remove();
          rows.delete(id);
        }
      nodes.forEach((node, i) => {
        if (!rows.has(node.id)) {
          rows.set(node.id, row_of(node.id, select));
          body.insertBefore(rows.get(node.id).element, body.children[i] ?? null);
        }
        rows.get(node.id).show(node, regressed.has(node.id), selected === node.id);
      });
    },
  };
}
