// The moving picture: ring, messages, logs and the controls of its time. It draws what the recorder
// has at the instant that the clock shows. Without a trace it draws what /status says.

import {alarms} from "./alarms.js";
import {dot_sample, ring_picture} from "./ring_picture.js";
import {dots_at, FAMILIES, FLIGHT, message_counts} from "./dots.js";
import {h, set_text} from "./dom.js";
import {count, integer} from "./format.js";
import {log_picture} from "./log_picture.js";
import {picture_keys} from "./picture_keys.js";
import {scene_of, scene_of_status, summary_of} from "./scene.js";
import {time_bar} from "./time_bar.js";
import {EMPTY, MISSED_FOR} from "./trace_fold.js";

const FRAME = 30;               // ms at least between two frames
const CALM_STEP = 400;          // ms between two steps of the timers for those who want no motion
const SLOW = 150;               // ms between two updates of texts and logs
const COUNTED = 1000;           // ms of messages that the legend counts

function legend() {
  const counts = FAMILIES.map(() => h("span", {class: "now"}, "0"));
  const element = h("ul", {class: "legend messages", "aria-label": "Messages in the last second"},
    FAMILIES.map(([name, label], i) => h("li", {}, dot_sample(name), h("span", {}, label),
      counts[i], h("span", {class: "muted"}, "/s"))));
  return {
    element,
    show(numbers) {
      FAMILIES.forEach(([name], i) => set_text(counts[i], integer(numbers[name])));
    },
  };
}

// `live` is {poll, recorder, acts}. `changed(view)` is called a few times a second, where `view` is
// {scene, cluster, time, has_trace}.
export function live_picture({poll, recorder, acts}, changed) {
  const {trace, clock} = recorder;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const news = h("p", {class: "visually-hidden", role: "status"});
  let selection = {}, on_select = () => {};
  const keys = picture_keys({bar: () => bar, select: (id) => choose({node: id})});
  const bar = time_bar(recorder, () => keys.show());
  const ring = ring_picture(choose);
  const logs = log_picture();
  const counts = legend();
  const note = h("p", {class: "muted small picture-note"});
  const ring_box = h("div", {class: "card-body ring-box"}, ring.element);
  const card = h("section", {class: "card picture", "aria-label": "Picture of the cluster"},
    h("div", {class: "card-head"}, bar.element), ring_box,
    h("div", {class: "card-body picture-foot"}, counts.element, note), news, keys.element);
  const releases = [recorder.watch(), acts.watch()];
  let next = 0, slow_at = 0, frame;

  function choose(what) {
    selection = what;
    on_select(what);
    draw(performance.now(), true);
  }

  // What is shown at this instant, or nothing before the first answer.
  function view_at(now) {
    const time = clock.read(now, trace.oldest);
    const {status} = poll;
    const cluster = time === undefined ? EMPTY : trace.state_at(time);
    if (cluster.nodes.size === 0)
      return status === undefined ? undefined
        : {scene: scene_of_status(status), cluster, time: 0, has_trace: false};
    trace.keep_from = clock.is_live ? Infinity : time;
    const known = {serving: status?.id, acts: clock.is_live ? acts.state : undefined,
      alarms: status === undefined || !clock.is_live ? undefined
        : alarms({status, fsync: poll.fsync_p99}),
      timers_at: calm.matches ? time - time % CALM_STEP : time,
      addresses: new Map((status?.members ?? []).map(({id, address}) => [id, address]))};
    return {scene: scene_of(cluster, time, known), cluster, time, has_trace: true};
  }

  function draw(now, is_slow) {
    const view = view_at(now);
    if (view === undefined || view.scene.nodes.length === 0) return;
    const {scene, cluster, time, has_trace} = view;
    if (is_slow) ring.measure();
    const flight = FLIGHT * clock.speed;
    const dots = has_trace && !calm.matches
      ? dots_at(trace.between(time - flight, time), time, flight) : [];
    ring.update(scene, dots, selection, clock.is_paused);
    if (!is_slow) return;
    card.classList.toggle("without-trace", !has_trace);
    logs.element.hidden = !has_trace;
    bar.element.parentElement.hidden = !has_trace;
    counts.element.hidden = !has_trace;
    if (has_trace) {
      logs.update([...cluster.nodes.values()].sort((a, b) => a.id - b.id));
      counts.show(message_counts(trace.between(time - COUNTED, time)));
      bar.update();
    }
    set_text(note, note_of(view));
    set_text(news, summary_of(scene));
    changed(view);
  }

  function note_of({cluster, time, has_trace}) {
    if (!has_trace) return recorder.state === "refused"
      ? "This page gets no trace, so the picture shows what /status says, and does not move."
      : "";
    if (cluster.is_lost) return "The stream of events broke off. The page keeps trying.";
    if (time - cluster.missed?.at < MISSED_FOR)
      return `Not shown: ${count(cluster.missed.events, "event")}, because this browser, or a ` +
        "link between nodes, was too slow for them.";
    if (calm.matches) return "Messages are only counted, because your system asks for less motion.";
    return "A dot shows that a message left; its flight is slower than the network. " +
      "Select a node or a dot to see more.";
  }

  function turn(now) {
    frame = requestAnimationFrame(turn);
    if (now < next) return;
    next = now + FRAME;
    const is_slow = now >= slow_at;
    if (is_slow) slow_at = now + SLOW;
    draw(now, is_slow);
  }

  // A picture of another width is drawn in the next frame.
  const observer = new ResizeObserver(() => { next = slow_at = 0; });
  observer.observe(ring_box);
  frame = requestAnimationFrame(turn);
  return {
    card, logs: logs.element, recorder,
    // Selects {node: id} or {message: event}; `handle` hears of each choice, also of the reader's.
    select: choose,
    on_select(handle) {
      on_select = handle;
    },
    get selection() {
      return selection;
    },
    close() {
      cancelAnimationFrame(frame);
      observer.disconnect();
      for (const release of releases) release();
      for (const part of [logs, keys]) part.close();
    },
  };
}
