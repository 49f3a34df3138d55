// Bytes as text, base64, hex and parts of URLs. Pure.
//
// A key may hold any bytes. The page carries it as its `Name`: the percent-encoding of its bytes in
// which everything except letters, digits and "-_.~" is encoded. Equal keys have equal names, and a
// name can stand in any URL. A name is no key and no text: show it with `shown()`.

import {visible} from "./format.js";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", {fatal: true, ignoreBOM: true});

export function utf8(text) {
  return encoder.encode(text);
}

// Nothing if the bytes are not UTF-8.
export function text_of(bytes) {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

export function from_base64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

export function to_base64(bytes) {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 0x8000)
    binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}

const hex2 = (byte) => byte.toString(16).padStart(2, "0");

// "68 69 0a"
export function to_hex(bytes) {
  return Array.from(bytes, hex2).join(" ");
}

// Reads pairs of hex digits with spaces between them. Nothing if it is anything else.
export function from_hex(text) {
  const digits = text.replace(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) return undefined;
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

// Lines of an offset, sixteen bytes and their ASCII, as hexdump -C prints them.
export function hex_dump(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const part = bytes.subarray(at, at + 16);
    const ascii = Array.from(part, (byte) =>
      byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".").join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${to_hex(part).padEnd(47)}  ${ascii}`);
  }
  return lines.join("\n");
}

// ---- names

const UNRESERVED = /[A-Za-z0-9\-_.~]/;

export function name_of_bytes(bytes) {
  return Array.from(bytes, (byte) => {
    const character = String.fromCharCode(byte);
    return UNRESERVED.test(character) ? character : `%${hex2(byte).toUpperCase()}`;
  }).join("");
}

export function name_of_text(text) {
  return name_of_bytes(utf8(text));
}

export function bytes_of(name) {
  const bytes = [];
  for (let at = 0; at < name.length; ++at) {
    if (name[at] === "%") {
      bytes.push(parseInt(name.slice(at + 1, at + 3), 16));
      at += 2;
    } else {
      bytes.push(name.charCodeAt(at));
    }
  }
  return Uint8Array.from(bytes);
}

// A name from the address bar, or "" if it is none.
export function parse_name(text) {
  return /^(?:[A-Za-z0-9\-_.~]|%[0-9A-Fa-f]{2})*$/.test(text) ? name_of_bytes(bytes_of(text)) : "";
}

// The form for people: the text, or "\xff" for the bytes that are not UTF-8. Spaces at the ends are
// "\x20", because they would be invisible.
export function shown(name) {
  const bytes = bytes_of(name);
  const text = text_of(bytes);
  if (text !== undefined)
    return visible(text).replace(/^ +| +$/g, (spaces) => "\\x20".repeat(spaces.length));
  return Array.from(bytes, (byte) =>
    byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${hex2(byte)}`).join("");
}

// The name in a JSON reply: `member` is "key", "lock" and so on.
export function name_in(object, member = "key") {
  const text = object[member];
  return text !== undefined ? name_of_text(text)
    : name_of_bytes(from_base64(object[`${member}_base64`]));
}

// The bytes of a value in a JSON reply; nothing if it has none.
export function value_in(object) {
  if (object.value !== undefined) return utf8(object.value);
  return object.value_base64 === undefined ? undefined : from_base64(object.value_base64);
}

// A member for a JSON request: {key: "a"}, or {key_base64: "/w=="}.
export function member(name, bytes) {
  const text = text_of(bytes);
  return text === undefined ? {[`${name}_base64`]: to_base64(bytes)} : {[name]: text};
}
