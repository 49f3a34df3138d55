// One key: its value, its history, and what can be done with it. It is read once when it is opened;
// a watch says when somebody else has changed it.

import {describe, read, remove} from "./api.js";
import {bytes_of, shown, value_in} from "./bytes.js";
import {confirm} from "./dialog.js";
import {empty, h, loading, notice} from "./dom.js";
import {count, integer, long_duration, shorten} from "./format.js";
import {create_form, edit_form, too_large} from "./key_editor.js";
import {history_view} from "./key_history.js";
import {watch} from "./stream.js";
import {value_view} from "./value_view.js";

const TITLE = 160;              // characters

function facts_of(version) {
  const life = version.lease !== undefined ? `with lease ${version.lease}`
    : version.ttl_ms !== undefined ? `in ${long_duration(Math.ceil(version.ttl_ms / 1000))}`
      : "never";
  return h("dl", {class: "facts"}, [
    ["Revision", integer(version.revision)], ["Version", integer(version.version)],
    ["Created at", integer(version.create_revision)], ["Expires", life],
  ].map(([name, text]) => h("div", {}, h("dt", {}, name), h("dd", {}, text))));
}

// `actions`: changed(), open(key, tab), close(), and tab(name), which returns an address.
export function key_panel(actions) {
  const element = h("section", {class: "card", "aria-label": "Key"});
  let name = "", tab = "value", turn = 0, stop_watching = () => {};

  function frame(title, body, tools = []) {
    const back = h("button", {type: "button", class: "quiet back", onclick: actions.close},
      "‹ Keys");
    element.replaceChildren(
      h("div", {class: "card-head"}, back,
        h("h2", {class: "grow break", tabindex: -1}, title), tools),
      h("div", {class: "card-body stack"}, body));
  }

  const key_title = () => h("bdi", {class: "mono"}, shorten(shown(name), TITLE));

  // A key that is too long for the title, in a box of its own.
  function whole_key() {
    const text = shown(name);
    return text.length <= TITLE ? null : h("details", {},
      h("summary", {}, `Whole key, ${count(bytes_of(name).length, "byte")}`),
      h("div", {class: "whole-key mono gap-top", tabindex: 0}, h("bdi", {}, text)));
  }

  function show_version(version) {
    const bytes = value_in(version);
    const message = h("div", {"aria-live": "polite"});
    const large = too_large(bytes);
    const edit = h("button", {type: "button", disabled: large !== undefined, title: large,
      onclick: () => start_edit(version)}, "Edit");
    const remove_button = h("button", {type: "button", class: "danger", onclick: () =>
      ask_delete(version)}, "Delete");
    frame(key_title(), [h("div", {class: "row spread"}, tabs(), download()), message,
      whole_key(), facts_of(version),
      tab === "history" ? history_view(name, version, {done: after_write})
        : value_view(bytes, version.json === true)], [edit, remove_button]);
    tell_changes(version.revision, message);
  }

  function show_absent() {
    frame(key_title(), [tabs(), tab === "history"
      ? history_view(name, undefined, {done: after_write})
      : empty("There is no such key", "It was deleted, has expired, or never was. Its history " +
        "may still be readable.")]);
  }

  function tabs() {
    return h("nav", {class: "segments", "aria-label": "Parts of the key"},
      [["value", "Value"], ["history", "History"]].map(([one, label]) => h("a", {
        href: actions.tab(one === "value" ? "" : one),
        "aria-current": one === tab ? "page" : undefined,
      }, label)));
  }

  // The bytes as they are. A browser has no address for the keys "." and "..".
  function download() {
    if (name === "." || name === "..") return null;
    const file = shown(name).split("/").at(-1) || "value";
    return h("a", {class: "button quiet", href: `/kv/${name}?raw`, download: file}, "Download");
  }

  // Says, without moving what is being read, that another version exists.
  function tell_changes(revision, message) {
    stop_watching();
    const news = (text) => ({revision: other}) =>
      message.replaceChildren(notice("", `${text} at revision ${integer(other)}`, undefined,
        h("p", {class: "row"}, h("button", {type: "button", onclick: reload}, "Show it"))));
    stop_watching = watch({key: name}, revision, {
      put: news("Somebody changed this key"), delete: news("This key was deleted"),
    });
  }

  function start_edit(version) {
    stop_watching();
    frame(key_title(),
      edit_form(name, version, {done: after_write, cancel: show_again, take: show_again}));
    element.querySelector("textarea").focus();
  }

  function ask_delete(version) {
    confirm(element, {
      title: "Delete this key?",
      text: [h("bdi", {class: "mono"}, shorten(shown(name), TITLE)), h("br"),
        "Its history stays readable until it is compacted, so it can be restored."],
      yes: "Delete the key", no: "Keep it", act: () => erase(version),
      missed: (why) => (element.querySelector("[aria-live]") ?? element).append(why),
    });
  }

  // For confirm() of dialog.js.
  async function erase(version) {
    try {
      const outcome = await remove(name, version.revision);
      if (outcome.done || outcome.current === undefined) return () => after_write(name);
      return () => {
        show_version(outcome.current);
        element.querySelector("[aria-live]").append(notice("warn", "The key was not deleted",
          "Somebody changed it meanwhile. This is the present version."));
        focus_first();
      };
    } catch (error) {
      return notice("bad", "The key may not be deleted", describe(error));
    }
  }

  function after_write(written) {
    actions.changed();
    if (written === name) show_again();
    else actions.open(written);
  }

  // What had the focus is gone.
  async function show_again() {
    await reload();
    focus_first();
  }

  function focus_first() {
    const {firstElementChild: head} = element;
    (head.querySelector("button:not(.back)") ?? head.querySelector("h2")).focus();
  }

  async function reload() {
    const mine = ++turn;
    stop_watching();
    try {
      const version = await read(name);
      if (mine !== turn) return;
      if (version === undefined) show_absent();
      else show_version(version);
    } catch (error) {
      if (mine !== turn) return;
      frame(key_title(), notice("bad", "The key could not be read", describe(error),
        h("p", {class: "row gap-top"},
          h("button", {type: "button", onclick: reload}, "Try again"), download())));
    }
  }

  return {
    element,
    // An empty key: none is chosen.
    show(key, wanted_tab = "value") {
      if (key !== name || wanted_tab !== tab || key === "") {
        name = key;
        tab = wanted_tab;
        ++turn;
        stop_watching();
        if (key === "") {
          element.replaceChildren(empty("No key is chosen",
            "Choose one on the left to see its value and its history, or make a new one."));
          return;
        }
        frame(key_title(), loading());
      }
      reload();
    },
    create(at) {
      name = "";
      ++turn;
      stop_watching();
      frame("New key", create_form({name: at, bytes: bytes_of(at), shown: shown(at)}, {
        done: after_write, cancel: actions.close, take: (key) => actions.open(key),
      }));
      element.querySelector("input").focus();
    },
    close() {
      ++turn;
      stop_watching();
    },
  };
}
