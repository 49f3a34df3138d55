// The versions of a key, what each of them changed, and the way back to one.

import {describe, get, Refused, restore} from "./api.js";
import {value_in} from "./bytes.js";
import {diff_lines, fold} from "./diff.js";
import {empty, h, loading, notice, segments} from "./dom.js";
import {count, integer} from "./format.js";
import {value_lines, value_view} from "./value_view.js";

const LIMIT = 100;

function diff_view(before, after) {
  const lines = (version) => version === undefined || version.deleted ? ""
    : value_lines(value_in(version), version.json === true);
  const found = diff_lines(lines(before), lines(after));
  if (found.every(({kind}) => kind === "same"))
    return h("p", {class: "muted"}, "The values are equal.");
  return h("div", {class: "diff mono", tabindex: 0, role: "region", "aria-label": "Difference"},
    fold(found).map(({kind, text, count: skipped}) => kind === "skipped"
      ? h("div", {class: kind}, `${count(skipped, "equal line")}`)
      : h("div", {class: kind}, kind === "same" ? null : h("span", {class: "visually-hidden"},
        kind === "added" ? "added: " : "removed: "), text === "" ? "\u00a0" : text)));
}

// `current`: the present version, or nothing if the key is absent. `done(name)` is called after a
// restore.
export function history_view(name, current, {done}) {
  const element = h("div", {}, loading());

  function show(history) {
    const list = h("ul", {class: "versions", "aria-label": "Versions"});
    const body = h("div", {class: "stack"});
    const {versions} = history;
    let chosen = 0, form = "changes";

    const forms = segments("What to show", [["changes", "What it changed"],
      ["present", "Against the present"], ["value", "Value"]], form, (wanted) => {
      form = wanted;
      show_chosen();
    });

    function show_chosen() {
      const version = versions[chosen];
      for (const [i, item] of [...list.children].entries())
        item.firstChild.setAttribute("aria-pressed", String(i === chosen));
      const content = form === "changes" ? diff_view(versions[chosen + 1], version)
        : form === "present" ? diff_view(version, versions[0])
          : version.deleted ? h("p", {class: "muted"}, "The key was deleted.")
            : value_view(value_in(version), version.json === true);
      body.replaceChildren(forms, content, restore_part(version));
    }

    function restore_part(version) {
      const message = h("div", {});
      if (version.revision === versions[0].revision)
        return h("p", {class: "muted small"}, "This is the present version.");
      const button = h("button", {type: "button", onclick: () => go_back(version, button, message)},
        version.deleted ? "Delete it again" : "Restore this version");
      return h("div", {class: "stack"}, button, message);
    }

    list.append(...versions.map((version, i) => h("li", {}, h("button", {type: "button",
      onclick: () => {
        chosen = i;
        show_chosen();
      }}, h("strong", {}, `rev ${integer(version.revision)}`),
    h("span", {class: "muted"}, version.deleted ? "deleted" : `version ${version.version}`)))));
    show_chosen();
    element.replaceChildren(
      h("div", {class: "history-grid"}, list, body),
      h("p", {class: "muted small gap-top"}, history.more
        ? `The newest ${LIMIT} versions.`
        : `Complete since revision ${integer(history.oldest_revision)}.`));
  }

  async function go_back(version, button, message) {
    button.disabled = true;
    try {
      const outcome = await restore(name, current?.revision ?? 0, version.revision);
      if (outcome.done) return done(name);
      message.replaceChildren(notice("warn", "Nothing was restored",
        "Somebody changed the key meanwhile. Open it again to see the present version."));
    } catch (error) {
      message.replaceChildren(notice("bad", "Nothing is known to be restored", describe(error)));
    }
    button.disabled = false;
  }

  async function load() {
    try {
      show(await get(`/kv/${name}?history&limit=${LIMIT}`));
    } catch (error) {
      if (error instanceof Refused && error.status === 404) {
        element.replaceChildren(empty("No version is readable",
          "The key never was, or its history has been compacted."));
      } else {
        element.replaceChildren(notice("bad", "The history could not be read", describe(error)));
      }
    }
  }

  if (name === "." || name === "..") element.replaceChildren(empty("No history of this key here",
    "A browser cannot ask for a path that ends with dots: use vesper history."));
  else load();
  return element;
}
