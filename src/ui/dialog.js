// Modal dialogs. While one is open, the browser keeps the focus in it and closes it on Esc; then
// the focus returns to what had it before.

import {h} from "./dom.js";

// A closed dialog. Its first control with the attribute `autofocus` gets the focus when
// showModal() opens it.
export function dialog(title, ...content) {
  return h("dialog", {"aria-label": title}, h("h2", {}, title), content);
}

// Asks in a dialog inside `place` before `act` is done. `yes` and `no` are the labels of the
// buttons; Esc means no. `act` is async. It returns an element that says why it has failed, which
// the dialog shows, or a function, which is called when the dialog has closed. While `act` runs,
// the dialog stays open, since what was begun cannot be taken back. A browser may close it all the
// same, for example when Esc is pressed twice; then `missed` gets the element.
export function confirm(place, {title, text, yes, no, act, missed}) {
  const problem = h("div", {class: "gap-top"});
  const agree = h("button", {type: "button", class: "danger", onclick: async () => {
    agree.disabled = refuse.disabled = true;
    const outcome = await act();
    agree.disabled = refuse.disabled = false;
    if (!(outcome instanceof Element)) {
      element.close();
      return outcome();
    }
    if (!element.open) return missed(outcome);
    problem.replaceChildren(outcome);
    refuse.focus();
  }}, yes);
  const refuse = h("button", {type: "button", autofocus: true, onclick: () => element.close()}, no);
  const element = dialog(title, h("p", {class: "break gap-top"}, text), problem,
    h("div", {class: "row gap-top"}, agree, refuse));
  element.addEventListener("cancel", (event) => {
    if (refuse.disabled) event.preventDefault();
  });
  element.addEventListener("close", () => element.remove());
  place.append(element);
  element.showModal();
}
