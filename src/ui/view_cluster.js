// The cluster: the moving picture, the members as a table, details of what is selected, and the
// logs. The serving node collects what the others say of themselves.

import {majority_of} from "./alarms.js";
import {cluster_acts} from "./cluster_acts.js";
import {details} from "./details.js";
import {h, set_text} from "./dom.js";
import {count} from "./format.js";
import {hands_on} from "./hands_on.js";
import {live_picture} from "./live_picture.js";
import {members_table} from "./members_table.js";

export function cluster_view(live) {
  const {poll} = live;
  const summary = h("p", {});
  const panel = details(live, hands_on(live));
  const together = cluster_acts(live);
  const members = members_table((node) => picture.select({node}));
  const picture = live_picture(live, show);
  const body = h("div", {class: "cluster-grid"},
    h("div", {}, picture.card, picture.logs, together.element),
    h("div", {},
      h("section", {class: "card"},
        h("div", {class: "card-head"}, h("h2", {}, "Members")), members.element),
      panel.element));
  const element = h("div", {},
    h("div", {class: "view-head"}, h("h1", {}, "Cluster"), summary,
      h("p", {class: "small"}, "This page asks the node that served it, which asks the others.")),
    body);
  let last;

  picture.on_select(() => {
    if (last !== undefined) show(last);
  });

  function show(view) {
    last = view;
    const {status} = poll;
    const {selection} = picture;
    // If nothing is selected, or a node that has left, the details are those of the serving node.
    const is_there = selection.message !== undefined ||
      view.scene.nodes.some(({id}) => id === selection.node);
    const chosen = !is_there
      ? {node: status?.id ?? view.scene.nodes[0]?.id} : selection;
    const regressed = new Set((status?.members ?? []).filter((one) => one.regressed === true)
      .map(({id}) => id));
    together.update();
    show_majority();
    members.update(view.scene, regressed, chosen.node);
    panel.update(chosen, view);
  }

  function show_majority() {
    if (poll.status === undefined) return;
    const {voters, needed} = majority_of(poll.status);
    const joint = last?.scene.majorities;
    set_text(summary, joint !== undefined ? `Joint configuration: a write needs ${joint}.`
      : `${count(voters, "voter")}; a write needs ${needed}.`);
  }

  function update() {
    element.classList.toggle("down", poll.down_since !== undefined);
    show_majority();
  }

  return {
    element, update,
    close() {
      picture.close();
      together.close();
    },
  };
}
