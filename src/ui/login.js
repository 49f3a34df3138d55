// Asks for a token. It is kept in memory only: a reload of the page asks again.

import {dialog} from "./dialog.js";
import {h} from "./dom.js";

let asking;

// Resolves to the token. Requests that ask at the same time share one dialog.
export function ask_for_token(why) {
  asking ??= show(why).finally(() => {
    asking = undefined;
  });
  return asking;
}

function show(why) {
  return new Promise((resolve) => {
    let token = "";
    const input = h("input", {type: "password", autocomplete: "off", required: true,
      spellcheck: "false", autofocus: true, "aria-label": "Token"});
    const form = h("form", {method: "dialog", class: "gap-top stack", onsubmit: (event) => {
      event.preventDefault();
      token = input.value.trim();
      if (token !== "") element.close();
    }}, h("p", {}, why.replace(/^./, (letter) => letter.toUpperCase())),
    input, h("button", {type: "submit", class: "primary"}, "Use it"));
    const element = dialog("Token", form);
    element.classList.add("login");
    // Nothing of the page works without a token, so Esc only clears the field.
    element.addEventListener("close", () => {
      if (token !== "") {
        element.remove();
        return resolve(token);
      }
      input.value = "";
      element.showModal();
    });
    document.body.append(element);
    element.showModal();
  });
}
