// Makes elements. Text always enters as a text node, so nothing that a key or a value holds can
// become markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null &&
      child !== undefined && child !== false));
  return element;
}

// h("a", {href: "#", onclick: go}, "text", h("b", {}, "more")). Attributes that are undefined, null
// or false are left out.
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// The same for elements of SVG.
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// Sets the text of an element only if it differs, so that screen readers and layout stay calm.
export function set_text(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// A row of buttons of which one is pressed. `choices` is [[name, label], ...].
export function segments(label, choices, chosen, choose) {
  const group = h("div", {class: "segments", role: "group", "aria-label": label});
  const show = (name) => {
    for (const button of group.children)
      button.setAttribute("aria-pressed", String(button.dataset.name === name));
  };
  for (const [name, text] of choices)
    group.append(h("button", {
      type: "button", "data-name": name,
      onclick: () => { show(name); choose(name); },
    }, text));
  show(chosen);
  return group;
}

// A message with a kind: "bad", "warn" or "".
export function notice(kind, title, text, ...more) {
  return h("div", {class: `notice ${kind}`, role: kind === "bad" ? "alert" : undefined},
    h("span", {class: "mark", "aria-hidden": "true"}, kind === "" ? "i" : "!"),
    h("div", {class: "grow"}, h("strong", {}, title), text ? h("p", {class: "break"}, text) : null,
      more));
}

// Shows pairs [[name, text], ...] in a list of facts. Elements are made again only if the names
// differ.
export function fill_facts(list, pairs) {
  const names = pairs.map(([name]) => name).join("\n");
  if (list.dataset.names !== names) {
    list.dataset.names = names;
    list.replaceChildren(...pairs.map(([name]) =>
      h("div", {"data-name": name}, h("dt", {}, name), h("dd", {}))));
    list.hidden = pairs.length === 0;
  }
  pairs.forEach(([, text], i) => set_text(list.children[i].lastChild, text));
}

// Calls changed(width) when the element gets another width, in whole pixels. Returns a function
// that ends this.
export function observe_width(element, changed) {
  const observer = new ResizeObserver(([entry]) => changed(Math.round(entry.contentRect.width)));
  observer.observe(element);
  return () => observer.disconnect();
}

export function empty(title, text, ...more) {
  return h("div", {class: "empty"}, h("strong", {}, title), text, more);
}

export function loading(lines = 4) {
  return h("div", {role: "status"}, h("span", {class: "visually-hidden"}, "Loading"),
    Array.from({length: lines}, () => h("div", {class: "skeleton"})));
}

// Marks those of the links that `is_current` accepts, and no others.
export function mark_current(links, is_current, as = "page") {
  for (const link of links)
    if (is_current(link)) link.setAttribute("aria-current", as);
    else link.removeAttribute("aria-current");
}
