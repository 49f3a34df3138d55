// Asks for a token. It is kept in memory only: a reload of the page asks again.

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
    const input = h("input", {type: "password", autocomplete: "off", required: true,
      spellcheck: "false", "aria-label": "Token"});
    const form = h("form", {method: "dialog"},
      h("h2", {}, "Token"), h("p", {}, why), input,
      h("p", {}, h("button", {type: "submit"}, "Use it")));
    const dialog = h("dialog", {class: "login"}, form);
    // Nothing of the page works without one.
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const token = input.value.trim();
      if (token === "") return;
      dialog.close();
      dialog.remove();
      resolve(token);
    });
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}
