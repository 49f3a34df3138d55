// Creates a key, or changes one if it has not changed since it was read. A conflict shows both
// versions side by side, and loses neither.

import {describe, Refused, write} from "./api.js";
import {from_hex, name_of_bytes, text_of, to_hex, utf8, value_in} from "./bytes.js";
import {h, notice, segments} from "./dom.js";
import {bytes as size_text, count, integer, is_duration} from "./format.js";
import {parse_json} from "./json_text.js";
import {value_view} from "./value_view.js";

export const MOST_EDITED = 1 << 20;  // bytes; beyond that a text field is too slow

// The field for a value: text, or bytes in hex.
function value_field(bytes) {
  const field = h("textarea", {class: "mono", rows: 10, spellcheck: "false", name: "value",
    "aria-label": "Value"});
  let form = text_of(bytes) === undefined ? "hex" : "text";
  const fill = (content) => {
    field.value = form === "hex" ? to_hex(content) : text_of(content);
  };
  const read = () => form === "hex" ? from_hex(field.value) : utf8(field.value);
  fill(bytes);
  const problem = h("p", {class: "small", role: "alert"});
  const choice = segments("Form of the value", [["text", "Text"], ["hex", "Hex"]], form, choose);
  function choose(wanted) {
    if (wanted === form) return;
    const content = read();
    const fits = content !== undefined && (wanted === "hex" || text_of(content) !== undefined);
    problem.textContent = fits ? "" : "These bytes are not text.";
    if (!fits) return choice.querySelector(`[data-name="${form}"]`).click();
    form = wanted;
    fill(content);
  }
  return {element: h("div", {class: "stack"}, choice, field, problem), field, read};
}

// Chooses the time to live: keep the present one, none, or a new one.
function life_field(version) {
  const has_life = version?.ttl_ms !== undefined || version?.lease !== undefined;
  const now = version?.lease !== undefined ? `Keep lease ${version.lease}`
    : "Keep the time to live";
  const choice = h("select", {name: "life"},
    has_life ? h("option", {value: "keep"}, now) : null,
    h("option", {value: "none"}, "Never expires"),
    h("option", {value: "ttl"}, "Expires after …"));
  const ttl = h("input", {name: "ttl", placeholder: "10m", autocomplete: "off",
    "aria-label": "Time to live, such as 500ms, 10s, 5m, 2h or 7d"});
  const show = () => { ttl.disabled = choice.value !== "ttl"; };
  choice.addEventListener("change", show);
  show();
  return {
    element: h("div", {class: "row end"}, h("label", {class: "grow"}, "Time to live", choice),
      h("div", {class: "ttl"}, ttl)),
    // {ttl}, {keep_ttl} or {}; nothing if the duration is none.
    read() {
      if (choice.value === "keep") return {keep_ttl: true};
      if (choice.value === "none") return {};
      return is_duration(ttl.value.trim()) ? {ttl: ttl.value.trim()} : undefined;
    },
  };
}

// A form that writes one key. `name()` returns it, or an Error. `done(name)` is called after the
// write, `take(version)` when the user prefers what somebody else has written.
function write_form({name, version, extra, label, done, cancel, take}) {
  const is_marked = version?.json === true;
  const value = value_field(version === undefined ? new Uint8Array() : value_in(version));
  const life = life_field(version);
  const message = h("div", {});
  const save = h("button", {type: "submit", class: "primary"}, label);
  let expected = version?.revision ?? 0;

  const complain = (title, text) => {
    message.replaceChildren(notice("bad", title, text));
    message.scrollIntoView({block: "nearest"});
  };

  async function submit() {
    const key = name(), bytes = value.read(), chosen = life.read();
    if (key instanceof Error) return complain("This cannot be a key", key.message);
    if (bytes === undefined) return complain("This is not hex", "Write pairs of hex digits.");
    if (chosen === undefined)
      return complain("This is not a duration", "Write 500ms, 10s, 5m, 2h or 7d.");
    save.disabled = true;
    try {
      // The mark stays as long as the text is JSON.
      const stays_json = is_marked && parse_json(text_of(bytes) ?? "") !== undefined;
      const outcome = await write(key, expected, bytes, chosen, stays_json);
      if (outcome.done) return done(key, outcome.revision);
      show_conflict(key, bytes, outcome.current);
    } catch (error) {
      const is_certain = error instanceof Refused && error.code !== "outcome_unknown";
      complain(is_certain ? "The key was not written" : "Nothing is known to be written",
        describe(error));
    } finally {
      save.disabled = false;
    }
  }

  function show_conflict(key, mine, current) {
    const theirs = current === undefined ? h("p", {class: "muted"}, "Somebody deleted the key.")
      : value_view(value_in(current), current.json === true);
    const overwrite = h("button", {type: "button", class: "danger", onclick: () => {
      expected = current?.revision ?? 0;
      submit();
    }}, "Write mine over it");
    const keep = h("button", {type: "button", onclick: () => take(key, current)},
      "Discard mine");
    message.replaceChildren(
      notice("warn", "The key has changed meanwhile", expected === 0
        ? "Somebody made it before you. Nothing was overwritten."
        : `You began with revision ${integer(expected)}. Nothing was overwritten.`),
      h("div", {class: "sides gap-top"},
        h("section", {class: "mine"}, h("h3", {}, "Yours"), value_view(mine, false)),
        h("section", {class: "theirs"}, h("h3", {}, current === undefined ? "Theirs"
          : `Theirs, revision ${integer(current.revision)}`), theirs)),
      h("div", {class: "row gap-top"}, overwrite, keep,
        h("span", {class: "muted small"}, "Or merge both in the field above, and save.")));
    expected = current?.revision ?? 0;
    message.scrollIntoView({block: "nearest"});
  }

  return h("form", {class: "stack", onsubmit: (event) => {
    event.preventDefault();
    submit();
  }}, extra, value.element, life.element,
  h("div", {class: "row"}, save,
    h("button", {type: "button", onclick: cancel}, "Cancel")), message);
}

export function edit_form(name, version, {done, cancel, take}) {
  return write_form({name: () => name, version, label: "Save", done, cancel, take});
}

export function create_form(prefix, {done, cancel, take}) {
  const prefix_text = text_of(prefix.bytes);
  const field = h("input", {name: "key", class: "mono", required: true, autocomplete: "off",
    spellcheck: "false", value: prefix_text ?? ""});
  const name = () => {
    const bytes = utf8(field.value);
    if (bytes.length === 0) return new Error("It is empty.");
    if (bytes.length > 4096)
      return new Error(`It has ${count(bytes.length, "byte")}; 4,096 is the limit.`);
    return (prefix_text === undefined ? prefix.name : "") + name_of_bytes(bytes);
  };
  const label = h("label", {}, prefix_text === undefined
    ? `Key, after ${prefix.shown}` : "Key", field);
  return write_form({name, extra: label, label: "Create", done, cancel, take});
}

export function too_large(bytes) {
  return bytes.length <= MOST_EDITED ? undefined
    : `Values above ${size_text(MOST_EDITED)} are not edited here: use vesper put --file.`;
}
