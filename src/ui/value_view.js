// A value as text, as JSON that can be folded, or as bytes in hex.

import {hex_dump, text_of} from "./bytes.js";
import {h, segments} from "./dom.js";
import {bytes as size_text, count, shorten, visible} from "./format.js";
import {parse_json, pretty} from "./json_text.js";

const SHOWN = 64 * 1024;       // bytes
const MOST_JSON = 256 * 1024;  // characters that are read as JSON
const MOST_ITEMS = 500;        // of one array or object
const OPEN_DEPTH = 2;

// {text, json}: the text if the bytes are UTF-8, and the tree if that is an object or an array, or
// if the value is marked as JSON.
export function read_value(bytes, is_marked) {
  const text = text_of(bytes);
  const may_be_json = text !== undefined && text.length <= MOST_JSON &&
    (is_marked || /^\s*[{[]/.test(text));
  return {text, json: may_be_json ? parse_json(text) : undefined};
}

// Lines stay lines; everything else that cannot be seen is shown as its code.
function visible_lines(text) {
  return text.split("\n").map((line) => visible(line.replaceAll("\t", "    "))).join("\n");
}

function json_node(node, label, depth) {
  const name = label === undefined ? null
    : [h("span", {class: "name"}, visible(label)), ": "];
  if (node.kind !== "object" && node.kind !== "array") {
    const text = node.kind === "string" ? JSON.stringify(node.text) : node.text;
    return h("div", {class: "leaf"}, name, h("span", {class: node.kind}, visible(text)));
  }
  const is_object = node.kind === "object";
  const children = is_object ? node.members : node.items.map((item, i) => [String(i), item]);
  const [open, close] = is_object ? "{}" : "[]";
  if (children.length === 0) return h("div", {class: "leaf"}, name, open + close);
  const body = h("div", {});
  const details = h("details", {open: depth < OPEN_DEPTH && children.length <= MOST_ITEMS},
    h("summary", {}, name, open,
      h("span", {class: "hint"}, ` ${count(children.length, is_object ? "member" : "item")} `),
      close), body);
  // Children are made when they are first seen.
  const fill = () => {
    if (!details.open || body.children.length !== 0) return;
    body.append(...children.slice(0, MOST_ITEMS).map(([key, child]) =>
      json_node(child, is_object ? JSON.stringify(key) : key, depth + 1)));
    if (children.length > MOST_ITEMS)
      body.append(h("div", {class: "leaf hint"},
        `${count(children.length - MOST_ITEMS, "more item")}: see the text`));
  };
  details.addEventListener("toggle", fill);
  fill();
  return details;
}

function text_element(text, bytes_count, form) {
  const pre = h("pre", {class: `value ${form}`, tabindex: 0}, text);
  if (text === "") pre.replaceChildren(h("span", {class: "muted"}, "(empty)"));
  return bytes_count <= SHOWN ? pre
    : [pre, h("p", {class: "muted small"},
      `The first ${size_text(SHOWN)} of ${size_text(bytes_count)}.`)];
}

function form_of(form, bytes, value) {
  if (form === "json") return h("div", {class: "value json mono", tabindex: 0},
    json_node(value.json, undefined, 0));
  if (form === "hex") return text_element(hex_dump(bytes.subarray(0, SHOWN)), bytes.length, "hex");
  return text_element(visible_lines(value.text.slice(0, SHOWN)), bytes.length, "text");
}

// The value with a choice of its form.
export function value_view(bytes, is_marked) {
  const value = read_value(bytes, is_marked);
  const forms = [["text", "Text"], ["json", "JSON"], ["hex", "Hex"]].filter(([form]) =>
    form === "hex" || value[form] !== undefined);
  const first = value.json !== undefined ? "json" : value.text !== undefined ? "text" : "hex";
  const body = h("div", {class: "gap-top"});
  const show = (form) => body.replaceChildren(...[form_of(form, bytes, value)].flat());
  show(first);
  return h("div", {},
    h("div", {class: "row spread"}, segments("Form of the value", forms, first, show),
      h("span", {class: "muted small"}, size_text(bytes.length))), body);
}

// One line for tables.
export function value_line(bytes, limit = 160) {
  if (bytes === undefined) return "";
  const text = text_of(bytes.subarray(0, 4 * limit)) ?? text_of(bytes);
  return text === undefined ? `${size_text(bytes.length)} that are not text`
    : shorten(visible(text), limit);
}

// Lines for a diff: the text with JSON spread out, or bytes in hex.
export function value_lines(bytes, is_marked) {
  if (bytes === undefined) return "";
  const {text, json} = read_value(bytes, is_marked);
  if (json !== undefined) return visible_lines(pretty(json));
  return text === undefined ? hex_dump(bytes) : visible_lines(text);
}
