// A watch of the page. A browser allows six connections to a node for all of its windows, so a
// hidden window closes its stream, and resumes after the last event when it is visible again.

import {authorization} from "./api.js";
import {EventReader} from "./event_reader.js";
import {query} from "./route.js";

// `parameters` are those of /watch; `since` is a revision, or nothing for "from now on". Calls
// `handlers[kind](data)` for each event, and `changed(is_open, status)` when the connection is
// made, lost (no status) or refused. Returns a function that ends the watch.
export function watch(parameters, since, handlers, changed = () => {}) {
  let source, last = since === undefined ? undefined : String(since);

  function open() {
    source = new EventReader(`/watch${query({...parameters, since: last})}`, authorization);
    source.onopen = () => changed(true);
    source.onerror = (status) => changed(false, status);
    for (const [kind, handle] of Object.entries(handlers))
      source.addEventListener(kind, (event) => {
        if (event.lastEventId !== "") last = event.lastEventId;
        handle(JSON.parse(event.data));
      });
  }

  function close() {
    source?.close();
    source = undefined;
  }

  function show_or_hide() {
    if (document.hidden) close();
    else if (source === undefined) open();
  }

  document.addEventListener("visibilitychange", show_or_hide);
  show_or_hide();
  return () => {
    document.removeEventListener("visibilitychange", show_or_hide);
    close();
  };
}
