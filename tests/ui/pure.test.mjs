// The modules of the page that only compute: bytes and names, formats, JSON, routes, diffs.
import assert from "node:assert/strict";
import {test} from "node:test";

import {bytes_of, from_base64, from_hex, hex_dump, member, name_in, name_of_bytes, name_of_text,
  parse_name, shown, text_of, to_base64, to_hex, value_in} from "../../src/ui/bytes.js";
import {diff_lines, fold} from "../../src/ui/diff.js";
import {bytes, integer, is_duration, long_duration, seconds, shorten, significant,
  visible} from "../../src/ui/format.js";
import {MAX_DEPTH, parse_json, pretty} from "../../src/ui/json_text.js";
import {crumbs_of, folder_of} from "../../src/ui/folders.js";
import {parse_route, route_of} from "../../src/ui/route.js";

const every_byte = Uint8Array.from({length: 256}, (_, i) => i);

test("a name holds every byte and can stand in any URL", () => {
  const name = name_of_bytes(every_byte);
  assert.deepEqual(bytes_of(name), every_byte);
  assert.match(name, /^[A-Za-z0-9\-_.~%]*$/);
  assert.equal(name_of_text("a/b c+ü"), "a%2Fb%20c%2B%C3%BC");
  assert.equal(parse_name("a%2fb%7E"), "a%2Fb~", "one key has one name");
  for (const bad of ["a/b", "%", "%zz", "a b", "ü"]) assert.equal(parse_name(bad), "");
});

test("a name is shown as its text, and other bytes in hex", () => {
  assert.equal(shown("a%2Fb"), "a/b");
  assert.equal(shown("a%FFb%00"), "a\\xffb\\x00");
  assert.equal(shown("%C3%BC"), "ü");
  assert.equal(shown("%20%20a%20b%20"), "\\x20\\x20a b\\x20");
});

test("keys and values in JSON are bytes, whichever form they have", () => {
  assert.equal(name_in({key: "a/b"}), "a%2Fb");
  assert.equal(name_in({lock_base64: "/w=="}, "lock"), "%FF");
  assert.deepEqual(value_in({value: "ü"}), Uint8Array.of(0xc3, 0xbc));
  assert.deepEqual(value_in({value_base64: "/w=="}), Uint8Array.of(0xff));
  assert.equal(value_in({revision: 7}), undefined);
  assert.deepEqual(member("value", Uint8Array.of(0x61)), {value: "a"});
  assert.deepEqual(member("value", Uint8Array.of(0xff)), {value_base64: "/w=="});
  assert.deepEqual(member("value", Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), {value: "\ufeffa"});
  const large = new Uint8Array(100000).fill(200);
  assert.deepEqual(from_base64(to_base64(large)), large);
});

test("hex is read and written", () => {
  assert.equal(to_hex(Uint8Array.of(0, 255)), "00 ff");
  assert.deepEqual(from_hex(" 00FF\n0a"), Uint8Array.of(0, 255, 10));
  assert.deepEqual(from_hex(""), new Uint8Array());
  for (const bad of ["0", "0g", "0x00"]) assert.equal(from_hex(bad), undefined);
  assert.equal(hex_dump(Uint8Array.of(0x41, 0x0a)),
    `000000  41 0a${" ".repeat(42)}  A.`);
  assert.equal(hex_dump(every_byte).split("\n").length, 16);
  assert.equal(text_of(Uint8Array.of(0xff)), undefined);
});

test("what cannot be seen, or changes how others are seen, is shown as its code", () => {
  assert.equal(visible("a\n\u0000\u007f"), "a\\x0a\\x00\\x7f");
  assert.equal(visible("\u202egnp.exe\u200b\ufeff\u2066"), "\\u202egnp.exe\\u200b\\ufeff\\u2066");
  assert.equal(visible("Zoë 漢字 🙂 <b>&amp;"), "Zoë 漢字 🙂 <b>&amp;");
  assert.equal(shorten("🙂🙂🙂", 2), "🙂…");
  assert.equal(shorten("ab", 2), "ab");
});

test("numbers, sizes and durations are short and exact enough", () => {
  assert.deepEqual([0, 512, 1536, 17825792, 8589934592].map(bytes),
    ["0 B", "512 B", "1.5 KiB", "17 MiB", "8 GiB"]);
  assert.deepEqual([0, 999, 1000, 1234567].map(integer), ["0", "999", "1,000", "1,234,567"]);
  assert.deepEqual([0, 0.00025, 0.0123, 1.5, 90].map(seconds),
    ["0 s", "250 µs", "12.3 ms", "1.5 s", "1 min 30 s"]);
  assert.deepEqual([0, 59.9, 60, 3700, 180000].map(long_duration),
    ["0 s", "59 s", "1 min", "1 h 1 min", "2 d 2 h"]);
  assert.deepEqual([0.5, 12.34, 100.4, 1000].map(significant), ["0.5", "12.3", "100", "1000"]);
  for (const show of [bytes, integer, seconds, long_duration, significant])
    assert.equal(show(NaN), "–");
  for (const good of ["1ms", "10s", "5m", "2h", "7d"]) assert.ok(is_duration(good));
  for (const bad of ["", "0s", "1", "1.5s", "-1s", "1 s", "s"]) assert.ok(!is_duration(bad));
});

test("JSON keeps its numbers digit for digit, and its members in order", () => {
  const text = '{"b":12345678901234567890.000,"a":[1e400,-0,true,null,""],"b":{}}';
  assert.equal(pretty(parse_json(text)), `{
  "b": 12345678901234567890.000,
  "a": [
    1e400,
    -0,
    true,
    null,
    ""
  ],
  "b": {}
}`);
  assert.deepEqual(parse_json(' "\\u00fc\\n" '), {kind: "string", text: "ü\n"});
});

test("what is not JSON is no tree", () => {
  for (const bad of ["", "{", "[1,]", "{,}", "01", "+1", ".5", "1.", "'a'", '"\n"', '"\\x"', "nul",
    "1 2", "[1 2]", '{"a" 1}', '{a:1}', "\u00a01", "[".repeat(MAX_DEPTH + 1)])
    assert.equal(parse_json(bad), undefined, bad);
  const deep = "[".repeat(MAX_DEPTH) + "]".repeat(MAX_DEPTH);
  assert.notEqual(parse_json(deep), undefined);
  assert.equal(parse_json("[".repeat(100000)), undefined, "depth costs no stack");
});

test("a route keeps its view and its parameters", () => {
  const route = route_of("data", {at: "app%2F", key: "", tab: "history"});
  assert.equal(route, "#/data?at=app%2F&tab=history");
  assert.deepEqual(parse_route(route), {view: "data", parameters: {at: "app%2F", tab: "history"}});
  assert.deepEqual(parse_route(""), {view: "", parameters: {}});
  assert.equal(route_of("health"), "#/health");
});

test("a prefix is a way through folders, whatever its bytes", () => {
  assert.deepEqual(crumbs_of("app%2Fconfig%2Fng", "%2F"),
    [{name: "app%2F", label: "app"}, {name: "app%2Fconfig%2F", label: "config"}]);
  assert.deepEqual(crumbs_of("%2F%2F", "%2F"),
    [{name: "%2F", label: ""}, {name: "%2F%2F", label: ""}]);
  assert.equal(folder_of("app%2Fconfig%2Fng", "%2F"), "app%2Fconfig%2F");
  assert.equal(folder_of("app", "%2F"), "");
  assert.equal(folder_of("a%2Fb", ""), "");
  assert.equal(folder_of("a2Fb", "2F"), "a2F");
  assert.equal(folder_of("a%2Fb", "2F"), "", "a match within an encoded byte is none");
  assert.equal(folder_of("a%FF--b--", "--"), "a%FF--b--");
});

function apply(lines) {
  const pick = (kinds) => lines.filter(({kind}) => kinds.includes(kind)).map(({text}) => text);
  return [pick(["same", "removed"]).join("\n"), pick(["same", "added"]).join("\n")];
}

test("a diff leads from one text to the other, with as few edits as can be", () => {
  const kinds = (before, after) => diff_lines(before, after).map(({kind}) => kind[0]).join("");
  assert.equal(kinds("a\nb\nc", "a\nx\nc"), "sras");
  assert.equal(kinds("a", "a"), "s");
  assert.equal(kinds("", "a"), "a");
  assert.equal(kinds("a\nb", ""), "rr");
  assert.equal(kinds("a\nb\nc\na\nb\nb\na", "c\nb\na\nb\na\nc").replaceAll("s", "").length, 5);
});

test("a diff of any two texts is right", () => {
  let seed = 1;
  const random = (below) => (seed = seed * 48271 % 2147483647) % below;
  for (let round = 0; round < 500; ++round) {
    const text = () => Array.from({length: 1 + random(12)}, () => "abc"[random(3)]).join("\n");
    const before = text(), after = text();
    assert.deepEqual(apply(diff_lines(before, after)), [before, after]);
  }
  const many = (word) => Array.from({length: 3000}, (_, i) => word + i).join("\n");
  assert.deepEqual(apply(diff_lines(many("a"), many("b"))), [many("a"), many("b")]);
});

test("equal lines far from every change are folded", () => {
  const before = Array.from({length: 20}, (_, i) => `line ${i}`);
  const after = before.with ? before.with(10, "new") : before.map((l, i) => i === 10 ? "new" : l);
  const folded = fold(diff_lines(before.join("\n"), after.join("\n")));
  assert.deepEqual(folded.filter(({kind}) => kind === "skipped").map(({count}) => count), [7, 6]);
  assert.equal(folded.length, 2 + 3 + 2 + 3);
  assert.deepEqual(fold(diff_lines("a", "a")), [{kind: "skipped", count: 1}]);
});
