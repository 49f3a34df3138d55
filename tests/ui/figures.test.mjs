// What the page computes of /status and /metrics: rates, quantiles, series, plots, alarms, and the
// ring.
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {alarms, majority_of} from "../../src/ui/alarms.js";
import {gained, parse_metrics, quantile, sum} from "../../src/ui/metrics.js";
import {node_radius, ring} from "../../src/ui/ring.js";
import {path_of, Series, ticks, time_axis} from "../../src/ui/series.js";

const TEXT = `# HELP vesper_term Current term.
# TYPE vesper_term gauge
vesper_term 7
vesper_requests_total{route="kv",status="200"} 10
vesper_requests_total{route="ui",status="200"} 5
vesper_odd{a="x,\\"y\\"} ",b=""} 1.5e-3
`;

test("the text of /metrics is read, labels included", () => {
  const families = parse_metrics(TEXT);
  assert.equal(sum(families, "term"), 7);
  assert.equal(sum(families, "requests_total"), 15);
  assert.equal(sum(families, "requests_total", ({route}) => route !== "ui"), 10);
  assert.deepEqual(families.odd, [{labels: {a: 'x,\\"y\\"} ', b: ""}, value: 0.0015}]);
  assert.ok(Number.isNaN(sum(families, "nothing")));
  assert.ok(Number.isNaN(sum(undefined, "term")));
});

test("a counter's gain is unknown over a restart, and complete for a label that is new", () => {
  const before = parse_metrics("vesper_a_total 5\nvesper_b_total 9\n");
  const after = parse_metrics('vesper_a_total 7\nvesper_b_total 1\nvesper_c_total{x="y"} 3\n');
  assert.equal(gained(before, after, "a_total"), 2);
  assert.ok(Number.isNaN(gained(before, after, "b_total")));
  assert.equal(gained(before, after, "c_total"), 3);
  assert.ok(Number.isNaN(gained(undefined, after, "a_total")));
});

function histogram(counts) {
  const bounds = ["0.001", "0.01", "0.1", "+Inf"];
  return parse_metrics(counts.map((count, i) =>
    `vesper_h_bucket{route="kv",le="${bounds[i]}"} ${count}`).join("\n"));
}

test("the page and `vesper top` leave the same requests out of the load", () => {
  const routes = ({1: list}) => [...list.matchAll(/"(\w+)"/g)].map(([, name]) => name).sort();
  const page = routes(read("src/ui/poll.js").match(/NO_LOAD = new Set\(\[(.*?)\]/s));
  assert.ok(page.length > 10);
  assert.deepEqual(routes(read("src/app/top_view.cpp").match(/kNoLoad = \{(.*?)\}/s)), page);
  const labels = [...read("src/api/endpoint.cpp").matchAll(/\.label = "(\w+)"/g)]
    .map(([, name]) => name);
  assert.deepEqual(page.filter((name) => name !== "none" && !labels.includes(name)), []);
});

test("a quantile is that of the observations between two readings", () => {
  const before = histogram([100, 100, 100, 100]);
  const close = (value, expected) => assert.ok(Math.abs(value - expected) < 1e-9, String(value));
  close(quantile(0.5, before, histogram([110, 110, 110, 110]), "h"), 0.0005);
  close(quantile(0.5, before, histogram([100, 110, 110, 110]), "h"), 0.0055);
  close(quantile(0.99, before, histogram([190, 190, 200, 200]), "h"), 0.01 + 0.09 * 9 / 10);
  close(quantile(0.99, before, histogram([100, 100, 100, 110]), "h"), 0.1);
  assert.ok(Number.isNaN(quantile(0.5, before, before, "h")));
  assert.ok(Number.isNaN(quantile(0.5, undefined, before, "h")));
  assert.ok(Number.isNaN(quantile(0.5, {}, {}, "h")));
  close(quantile(0.5, {}, before, "h"), 0.0005);
});

test("a series keeps the newest samples", () => {
  const series = new Series(["a", "b"], 3);
  assert.ok(Number.isNaN(series.last("a")));
  for (let time = 1; time <= 5; ++time) series.push(time, {a: time * 10});
  const seen = [];
  series.each("a", (time, value) => seen.push([time, value]));
  assert.deepEqual(seen, [[3, 30], [4, 40], [5, 50]]);
  assert.equal(series.last("a"), 50);
  assert.ok(Number.isNaN(series.last("b")));
  assert.equal(series.highest(["a", "b"]), 50);
  assert.equal(series.highest(["b"]), 0);
});

test("an axis has round values, of which the last is not below the data", () => {
  assert.deepEqual(ticks(4), [0, 1, 2, 3, 4]);
  assert.deepEqual(ticks(0, "count"), [0, 1, 2]);
  assert.deepEqual(ticks(2, "count"), [0, 1, 2]);
  assert.deepEqual(ticks(3 * 1024, "bytes"), [0, 1024, 2048, 3072]);
  for (const unit of ["", "bytes", "count"])
    for (let most = 1e-6; most < 1e12; most *= 1.7) {
      const values = ticks(most, unit);
      assert.ok(values.at(-1) >= most * (1 - 1e-9), `${most} ${unit}: ${values}`);
      assert.ok(values.length >= 3 && values.length <= 6, `${most} ${unit}: ${values}`);
      assert.ok(unit === "" || values.every(Number.isInteger), `${most} ${unit}: ${values}`);
    }
});

test("the time axis grows with the time that the page is open", () => {
  assert.deepEqual(time_axis(0), {span: 60, ticks: [60, 40, 20, 0]});
  assert.deepEqual(time_axis(61), {span: 300, ticks: [300, 240, 180, 120, 60, 0]});
  assert.deepEqual(time_axis(301), {span: 900, ticks: [900, 600, 300, 0]});
  assert.equal(time_axis(1e6).span, 900);
});

test("a line goes through its samples, is cut at gaps, and stays in its box", () => {
  const series = new Series(["a"], 10);
  [1, 2, NaN, 4, 400].forEach((value, i) => series.push(i, {a: value}));
  const box = {from: 0, to: 4, top: 4, width: 40, height: 8};
  assert.equal(path_of(series, "a", box), "M0.0 6.0L10.0 4.0M30.0 0.0L40.0 0.0");
  assert.equal(path_of(series, "a", {...box, from: 2, to: 6}), "M10.0 0.0L20.0 0.0");
});

test("the nodes of a ring have equal distances, and do not touch", () => {
  assert.deepEqual(ring(4, 100, 50),
    [{x: 100, y: 50}, {x: 150, y: 100}, {x: 100, y: 150}, {x: 50, y: 100}]);
  for (let count = 1; count <= 64; ++count) {
    const places = ring(count, 200, 146), radius = node_radius(count, 146, 42);
    assert.ok(radius > 4 && radius <= 42, `${count}: ${radius}`);
    places.forEach(({x, y}, i) => {
      const next = places[(i + 1) % count];
      assert.ok(count === 1 || Math.hypot(next.x - x, next.y - y) > 2 * radius, String(count));
      assert.ok(x - radius >= 0 && x + radius <= 400 && y - radius >= 0 && y + radius <= 400);
    });
  }
});

const member = (id, more) => ({id, address: `http://127.0.0.1:500${id}`, voter: true, ...more});
const HEALTHY = {
  id: 0, leader: "http://127.0.0.1:5001", commit_index: 9, applied_index: 9,
  members: [member(0), member(1), member(2)], log: {disk_full: false},
  quota: {bytes: 1000, used_bytes: 1, state: "fine"},
  history: {bytes: 10, keep_bytes: 100, keep_ms: 600000}, idempotency: {keys: 1, max: 10},
};

// What is not in a schema of the interface, as "quota.bytes".
function unknown_members(value, schema, path = "") {
  if (Array.isArray(value))
    return value.flatMap((one) => unknown_members(one, resolve(schema.items), path));
  if (typeof value !== "object" || value === null || schema.properties === undefined) return [];
  return Object.entries(value).flatMap(([name, one]) => name in schema.properties
    ? unknown_members(one, resolve(schema.properties[name]), `${path}${name}.`)
    : [`${path}${name}`]);
}

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const ALARMS = JSON.parse(read("tests/ui/alarms.json"));
const api = JSON.parse(read("src/api/openapi.json"));
const resolve = (schema) => schema.$ref === undefined ? schema
  : schema.$ref.split("/").slice(1).reduce((part, name) => part[name], api);
const STATUS = api.components.schemas.Status;

test("a healthy node has no alarm", () => {
  assert.deepEqual(unknown_members(HEALTHY, STATUS), []);
  assert.deepEqual(unknown_members({quota: {size: 1}, members: [{vote: 1}]}, STATUS),
    ["quota.size", "members.vote"]);
  assert.deepEqual(alarms({status: HEALTHY}), []);
  assert.deepEqual(alarms({status: undefined}), []);
  assert.deepEqual(alarms({status: {...HEALTHY, tls: {days_left: 30}}}), []);
  assert.deepEqual(majority_of({members: [member(0), member(1), member(2),
    member(3, {voter: false})]}), {voters: 3, needed: 2});
});

test("each thing that is wrong is an alarm that says what to do, the worst first", () => {
  const titles = new Set();
  for (const {title, kind, status, fsync} of ALARMS) {
    const found = alarms({status: {...HEALTHY, ...status}, fsync});
    assert.equal(found.length, 1, title);
    titles.add(found[0].title);
    assert.match(found[0].title, new RegExp(title));
    assert.equal(found[0].kind, kind, title);
    assert.doesNotMatch(found[0].text, /undefined|NaN/);
    assert.deepEqual(unknown_members(status ?? {}, STATUS), []);
    assert.ok(found[0].text.length > 20 && found[0].todo.length > 20, title);
  }
  // `vesper top` is tested with the same file, so it has to hold every alarm of the page, except
  // that of a node that does not answer, and what the trace says of others.
  assert.equal(read("src/ui/alarms.js").match(/title:/g).length, titles.size + 2);
  assert.match(alarms({status: HEALTHY, down_for: 3})[0].title, /Node 0 does not answer/);
  assert.match(alarms({down_for: 3})[0].title, /does not answer/);
  const cluster = {nodes: new Map([[0, {id: 0, disk_full: true}], [1, {id: 1, disk_slow: true}],
    [2, {id: 2, diverged: true, disk_full: true}],
    [3, {id: 3, disk_full: true, is_silent: true}]])};
  assert.deepEqual(alarms({status: HEALTHY, cluster}).map(({kind, title}) => [kind, title]), [
    ["bad", "Node 2: the state has diverged"], ["bad", "Node 2: the disk is full"],
    ["warn", "Node 1: the disk is slow"]]);
  const both = alarms({status: {...HEALTHY, leader: null,
    quota: {...HEALTHY.quota, state: "near"}}, fsync: 0.2});
  assert.deepEqual(both.map(({kind}) => kind), ["bad", "warn", "warn"]);
});
