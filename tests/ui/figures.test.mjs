// What the page computes of /status and /figures: rates, series, plots, alarms, and the ring.
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {test} from "node:test";

import {alarms, majority_of} from "../../src/ui/alarms.js";
import {Figures, KEPT, median} from "../../src/ui/figures.js";
import {node_radius, ring} from "../../src/ui/ring.js";
import {path_of, Series, ticks, time_axis} from "../../src/ui/series.js";

const sample = (at_ms, covers_ms = 2000, more = {}) => ({at_ms, covers_ms, requests: 0, reads: 0,
  entries_applied: 0, leader_changes: 0, elections: 0, store_bytes: 0, history_bytes: 0,
  log_bytes: 0, log_file_bytes: 0, snapshot_bytes: 0, ...more});
const reply = (at_ms, ...samples) => ({at_ms, every_ms: 2000, samples});

function shown(figures, name) {
  const all = [];
  figures.series.each(name, (time, value) => all.push([time, value]));
  return all;
}

test("counts become rates, and times seconds; what a sample lacks is not a number", () => {
  const figures = new Figures();
  figures.take(reply(1000, sample(1000, 2500, {requests: 10, reads: 5, entries_applied: 25,
    p50_us: 1500, p99_us: 2_000_000, elections: 3, store_bytes: 4})), 50);
  const last = (name) => figures.series.last(name);
  assert.deepEqual(["requests", "reads", "applied", "p50", "p99", "elections", "store"].map(last),
    [4, 2, 10, 0.0015, 2, 3, 4]);
  assert.ok(Number.isNaN(last("fsync50")) && Number.isNaN(last("fsync99")));
});

test("every member of a sample is shown", () => {
  const {properties} = api.components.schemas.RecentFigures.properties.samples.items;
  const source = read("src/ui/figures.js");
  assert.ok(Object.keys(properties).length > 10);
  for (const name of Object.keys(properties)) assert.match(source, new RegExp(`\\.${name}\\b`));
});

test("times are those of the page, from the ages of the samples", () => {
  const figures = new Figures();
  assert.equal(figures.age(50), 0);
  figures.take(reply(9000, sample(6000), sample(8000)), 50);
  assert.equal(figures.newest, 8000);
  assert.deepEqual(shown(figures, "requests"), [[45, NaN], [47, 0], [49, 0]]);
  figures.take(reply(11_000, sample(10_000)), 52);
  assert.deepEqual(shown(figures, "requests").at(-1), [51, 0]);
  assert.equal(figures.age(55), 10);
  assert.equal(figures.age(2000), KEPT);
  // This reply was faster than the one before by more than what lies between two samples.
  figures.take(reply(12_500, sample(12_000)), 51.2);
  assert.deepEqual(shown(figures, "requests").at(-1), [51, 0]);
});

test("a line is cut where nothing is known, and goes on", () => {
  const figures = new Figures();
  figures.take(reply(20_000, sample(10_000), sample(12_000, 2000)), 20);
  const begin = shown(figures, "requests").length;
  // It stood still for 6 s, was late by a second, was restarted, and the machine was restarted.
  figures.take(reply(18_000, sample(18_000, 6000)), 18);
  figures.take(reply(21_000, sample(21_000, 3000)), 21);
  figures.take(reply(24_000, sample(24_000, 2000)), 24);
  figures.take(reply(5000, sample(3000), sample(5000)), 40);
  assert.deepEqual(shown(figures, "requests").slice(begin), [[16, NaN], [18, 0], [21, 0],
    [22, NaN], [24, 0], [36, NaN], [38, 0], [40, 0]]);
  assert.equal(figures.newest, 5000);
});

test("running sums begin at the left end of a plot, and skip gaps", () => {
  const series = new Series(["a", "b"], 10);
  [1, 2, NaN, 4].forEach((value, i) => series.push(i, {a: value, b: 1}));
  const sums = series.sums(["a"], 1);
  const seen = [];
  sums.each("a", (time, value) => seen.push([time, value]));
  assert.deepEqual(seen, [[1, 2], [2, NaN], [3, 6]]);
  assert.deepEqual(Object.keys(sums.columns), ["a"]);
});

test("the slow disk's alarm is of the median, of what is known", () => {
  assert.ok(Number.isNaN(median([])));
  assert.equal(median([3]), 3);
  assert.equal(median([10, 3]), 10);
  assert.equal(median([100, 20, 3]), 20);
  const series = new Series(["a"], 10);
  [1, NaN, 3].forEach((value, i) => series.push(i, {a: value}));
  assert.deepEqual(series.known("a"), [1, 3]);
  assert.deepEqual(series.known("a", 1), [3]);
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

test("the time axis grows with the age of the samples", () => {
  assert.deepEqual(time_axis(0), {span: 60, ticks: [60, 40, 20, 0]});
  assert.deepEqual(time_axis(61), {span: 300, ticks: [300, 240, 180, 120, 60, 0]});
  assert.deepEqual(time_axis(301), {span: 900, ticks: [900, 600, 300, 0]});
  assert.equal(time_axis(1e6).span, 900);
});

test("a line goes through its samples, is cut at gaps, and stays in its box", () => {
  const series = new Series(["a"], 10);
  [1, 2, NaN, 4, 400].forEach((value, i) => series.push(i, {a: value}));
  const box = {from: 0, to: 4, top: 4, width: 40, height: 8};
  assert.equal(path_of(series, "a", box), "M0.0 6.0H0.0L10.0 4.0M20.0 0.0H30.0L40.0 0.0");
  assert.equal(path_of(series, "a", {...box, from: 2, to: 6}), "M0.0 0.0H10.0L20.0 0.0");
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
