// Log-in by name and password, or by the link that `sensus up` prints.

import { logIn, sessionEvents } from "../api.js";
import { h, messageOf } from "../dom.js";

/** @param {import("../router.js").Visit} visit */
export async function show({ main, title }) {
  title("Log in");
  const link = new URLSearchParams(location.hash.slice(1)).get("link");
  history.replaceState({}, "", location.pathname + location.search);
  const entered = () => sessionEvents.dispatchEvent(new Event("begun"));
  const box = form(entered);
  main.append(h("div", { class: "narrow" }, h("h1", {}, "Log in"), box));
  if (link) {
    try {
      await logIn({ link });
      entered();
      return;
    } catch (error) {
      box.prepend(h("p", { class: "fault", role: "alert" }, messageOf(error)));
    }
  }
  box.querySelector("input")?.focus();
}

/** Asks over the page that is shown; what was typed there stays. @returns {Promise<void>} */
export function askAgain() {
  return new Promise((done) => {
    const dialog = h(
      "dialog",
      { class: "narrow", "aria-labelledby": "again" },
      h("h2", { id: "again" }, "Your session is over"),
    );
    dialog.append(
      h("p", {}, "Log in to go on; what you typed is still there."),
      form(() => dialog.close()),
    );
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      done();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** @param {() => void} entered */
function form(entered) {
  const userName = h("input", {
    id: "user-name",
    name: "username",
    autocomplete: "username",
    required: true,
    autocapitalize: "none",
  });
  const password = h("input", {
    id: "password",
    type: "password",
    autocomplete: "current-password",
    required: true,
  });
  const fault = h("p", { class: "fault", role: "alert", hidden: true });
  const submit = h("button", { class: "main" }, "Log in");
  const element = h(
    "form",
    {},
    h("label", { for: "user-name" }, "User"),
    userName,
    h("label", { for: "password" }, "Password"),
    password,
    fault,
    submit,
  );
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    fault.hidden = true;
    try {
      await logIn({ userName: userName.value, password: password.value });
      entered();
    } catch (error) {
      fault.textContent = messageOf(error);
      fault.hidden = false;
      password.select();
    } finally {
      submit.disabled = false;
    }
  });
  return element;
}
