// The keys under a prefix, with folders: a page of them at a time, all pages at one revision.

import {describe, get, Refused} from "./api.js";
import {from_base64, name_in, name_of_bytes, name_of_text, shown, text_of,
  bytes_of} from "./bytes.js";
import {empty, h, loading, mark_current, notice} from "./dom.js";
import {crumbs_of, folder_of} from "./folders.js";
import {count, integer, shorten} from "./format.js";
import {query} from "./route.js";

const PAGE = 100;
const LABEL = 100;   // characters
const TYPING = 250;  // ms without a key stroke until the list is read

// `actions`: go(at), open(key) and folder(at), which return addresses, create(), separate(name).
export function key_list(actions) {
  const crumbs = h("nav", {class: "crumbs small", "aria-label": "Folder"});
  const search = h("input", {type: "search", placeholder: "Begins with …", autocomplete: "off",
    spellcheck: "false", "aria-label": "Keys that begin with"});
  const separator_field = h("input", {value: "/", maxlength: 8, autocomplete: "off",
    "aria-label": "Separator of folders", size: 3});
  const list = h("ul", {class: "list"});
  const foot = h("div", {class: "card-body row spread small muted"});
  const element = h("section", {class: "card", "aria-label": "Keys"},
    h("div", {class: "card-head"},
      h("div", {class: "row spread key-head"}, h("h2", {}, "Keys"),
        h("div", {class: "row"},
          h("label", {class: "row separator"}, "Folders at", separator_field),
          h("button", {type: "button", onclick: actions.create}, "New key"))),
      search, crumbs),
    list, foot);
  let now = {at: undefined, separator: undefined, key: undefined};
  let request = 0, typing;
  let folder = "";  // which the text of the search field follows
  let asked;        // the prefix that was typed last

  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(take_typed, TYPING);
  });

  // A folder that was typed moves from the field to the way, at once: what is typed next must not
  // repeat it.
  function take_typed() {
    asked = folder + name_of_text(search.value);
    folder = folder_of(asked, now.separator);
    search.value = text_of(bytes_of(asked.slice(folder.length)));
    actions.go(asked);
  }
  separator_field.addEventListener("change", () =>
    actions.separate(name_of_text(separator_field.value)));

  function show_way() {
    const way = crumbs_of(now.at, now.separator);
    const links = [{name: "", label: "All keys"}, ...way].map(({name, label}, i) =>
      [i > 1 ? h("span", {class: "muted", "aria-hidden": "true"}, "/") : null,
        i === 1 ? h("span", {class: "muted", "aria-hidden": "true"}, "›") : null,
        h("a", {href: actions.folder(name)}, label === "" ? "(empty)" : h("bdi", {}, label))]);
    crumbs.replaceChildren(...links.flat().filter(Boolean));
    folder = folder_of(now.at, now.separator);
    const rest = now.at.slice(folder.length);
    const text = text_of(bytes_of(rest));
    search.disabled = text === undefined;
    // More may have been typed meanwhile.
    if (now.at !== asked) search.value = text ?? shown(rest);
    asked = undefined;
  }

  function folder_row(name) {
    const label = shown(name.slice(folder.length));
    return h("li", {}, h("a", {href: actions.folder(name), class: "folder"},
      h("span", {class: "kind", "aria-hidden": "true"}, "▸"),
      h("bdi", {}, shorten(label, LABEL)), h("span", {class: "visually-hidden"}, "(folder)")));
  }

  function key_row(version) {
    const name = name_in(version);
    const label = shown(name.slice(folder.length));
    return h("li", {}, h("a", {
      href: actions.open(name), "data-key": name,
      "aria-current": name === now.key ? "true" : undefined,
    }, h("span", {class: "kind", "aria-hidden": "true"}, "·"),
    h("bdi", {}, label === "" ? "(the folder itself)" : shorten(label, LABEL)),
    h("span", {class: "revision nowrap"}, `rev ${integer(version.revision)}`)));
  }

  function rows_of(page) {
    const folders = [...(page.prefixes ?? []).map(name_of_text),
      ...(page.prefixes_base64 ?? []).map((text) => name_of_bytes(from_base64(text)))];
    return [...folders.map(folder_row), ...page.kvs.map(key_row)];
  }

  function show_empty() {
    list.replaceChildren(h("li", {}, now.at === ""
      ? empty("No keys yet", "Create the first one, here or with vesper put.")
      : empty("No keys here", `None begins with "${shown(now.at)}".`)));
  }

  async function load(next) {
    const mine = ++request;
    if (next === undefined && list.children.length === 0)
      list.replaceChildren(h("li", {}, loading()));
    try {
      const page = await get(`/kv${query({prefix: now.at, separator: now.separator, limit: PAGE,
        keys_only: true, next})}`);
      if (mine !== request) return;
      const rows = rows_of(page);
      if (next === undefined) list.replaceChildren();
      list.append(...rows);
      if (list.children.length === 0) show_empty();
      show_foot(page);
    } catch (error) {
      if (mine !== request) return;
      show_error(error, next);
    }
  }

  function show_foot(page) {
    const all = h("span", {}, `${count(page.count, "key")}, at revision ${integer(page.revision)}`);
    const more = page.next === undefined ? null
      : h("button", {type: "button", onclick: () => load(page.next)}, "Show more");
    foot.replaceChildren(...[all, more ?? h("button", {type: "button", class: "quiet",
      onclick: () => load()}, "Reload")]);
  }

  function show_error(error, next) {
    const compacted = error instanceof Refused && error.code === "compacted";
    const text = compacted ? "The revision of this list has been compacted meanwhile."
      : describe(error);
    const again = h("button", {type: "button", onclick: () => load(compacted ? undefined : next)},
      compacted ? "Begin again" : "Try again");
    if (next === undefined) list.replaceChildren();
    foot.replaceChildren(notice("bad", "The keys could not be read", text,
      h("p", {class: "row gap-top"}, again)));
  }

  return {
    element,
    reload: () => load(),
    show(at, separator, key) {
      const same = at === now.at && separator === now.separator;
      now = {at, separator, key};
      show_way();
      if (!same) {
        list.replaceChildren();
        load();
      }
      const is_shown = (link) => link.dataset.key === key;
      mark_current(list.querySelectorAll("a[data-key]"), is_shown, "true");
    },
  };
}
