// Who may log in, which keys senders have, and one's own password.

import { get, loggedIn, patch, post, remove } from "../api.js";
import { button, fill, h, messageOf, say, wideTable } from "../dom.js";
import { senderText, timeOf } from "../format.js";
import { show as reshow } from "../router.js";

const ROLES = ["viewer", "operator", "admin"];

/** @param {import("../router.js").Visit} visit */
export async function show({ main, signal, title }) {
  title("People and keys");
  const [{ users = [] }, { apiKeys = [] }] = await Promise.all([
    get("/api/v1/users", {}, signal),
    get("/api/v1/api-keys", {}, signal),
  ]);
  main.append(
    h("h1", {}, "People"),
    userTable(users),
    h("h2", {}, "A new person"),
    userForm(),
    h("h2", {}, "Keys of senders"),
    keyTable(apiKeys),
    h("h2", {}, "A new key"),
    keyForm(),
  );
}

/** @param {any[]} users */
function userTable(users) {
  return wideTable(
    ["Name", "Role", "Since", ""],
    users.map((user) => {
      const path = `/api/v1/users/${encodeURIComponent(user.userName)}`;
      const isMe = user.userName === loggedIn()?.userName;
      const role = h(
        "select",
        { "aria-label": `Role of ${user.userName}` },
        ...ROLES.map((each) => h("option", { selected: each === user.role }, each)),
      );
      role.addEventListener("change", () =>
        patch(path, { role: role.value }).then(
          () => say(`${user.userName} is ${role.value} now`),
          (error) => {
            role.value = user.role;
            say(messageOf(error));
          },
        ),
      );
      return [
        [
          senderText(user.userName),
          isMe ? h("span", { class: "by" }, " (you)") : "",
          user.disabled ? " (disabled)" : "",
        ],
        isMe ? user.role : role,
        timeOf(user.createdAt),
        isMe
          ? null
          : button(
              user.disabled ? "Enable" : "Disable",
              () => patch(path, { disabled: !user.disabled }).then(() => reshow()),
              { class: "plain" },
            ),
      ];
    }),
  );
}

function userForm() {
  const name = h("input", {
    id: "new-name",
    required: true,
    autocomplete: "off",
    autocapitalize: "none",
  });
  const password = h("input", {
    id: "new-password",
    type: "password",
    required: true,
    minlength: 12,
    autocomplete: "new-password",
  });
  const role = h("select", { id: "new-role" }, ...ROLES.map((each) => h("option", {}, each)));
  return form(
    "Add",
    () =>
      post("/api/v1/users", {
        userName: name.value,
        password: password.value,
        role: role.value,
      }).then(() => reshow()),
    h("label", { for: "new-name" }, "Name"),
    name,
    h("label", { for: "new-password" }, "Password"),
    password,
    h("label", { for: "new-role" }, "Role"),
    role,
  );
}

/** @param {any[]} keys */
function keyTable(keys) {
  if (!keys.length)
    return h("p", {}, "There is no key. Alertmanager, Prometheus and OpenTelemetry each need one.");
  return wideTable(
    ["Name", "Owner", "May", "Since", ""],
    keys.map((key) => [
      senderText(key.name),
      senderText(key.owner),
      (key.scopes ?? []).join(", "),
      timeOf(key.createdAt),
      key.revokedAt
        ? "revoked"
        : button(
            "Revoke",
            async () => {
              if (confirm(`Revoke ${key.name}? Its sender is refused within seconds.`))
                await remove(`/api/v1/api-keys/${encodeURIComponent(key.keyId)}`).then(() =>
                  reshow(),
                );
            },
            { class: "plain" },
          ),
    ]),
  );
}

function keyForm() {
  const name = h("input", { id: "key-name", required: true, autocomplete: "off" });
  const scopes = [
    "write:samples",
    "write:alerts",
    "write:traces",
    "write:logs",
    "read:samples",
    "read:alerts",
    "read:analysis",
  ].map((scope) =>
    h(
      "label",
      {},
      h("input", {
        type: "checkbox",
        value: scope,
        name: "scope",
        checked: ["write:samples", "write:alerts"].includes(scope),
      }),
      ` ${scope}`,
    ),
  );
  const secret = h("p", { role: "status" });
  const element = form(
    "Make the key",
    async () => {
      const chosen = [...element.querySelectorAll("input[name=scope]")]
        .filter((each) => each instanceof HTMLInputElement && each.checked)
        .map((each) => /** @type {HTMLInputElement} */ (each).value);
      const made = await post("/api/v1/api-keys", { name: name.value, scopes: chosen });
      fill(
        secret,
        "Copy it now, it is shown only this once: ",
        h("code", {}, made.secret ?? made.key ?? ""),
      );
    },
    h("label", { for: "key-name" }, "Name"),
    name,
    h("span", {}, "May"),
    h("span", { role: "group", "aria-label": "Scopes", class: "choices" }, ...scopes),
    secret,
  );
  return element;
}

/** @param {string} text @param {() => Promise<unknown>} work @param {...Node} fields */
function form(text, work, ...fields) {
  const fault = h("p", { class: "fault", role: "alert" });
  const element = h(
    "form",
    { class: "grid" },
    ...fields,
    h("button", { class: "main" }, text),
    fault,
  );
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    fill(fault);
    try {
      await work();
    } catch (error) {
      fill(fault, messageOf(error));
    }
  });
  return element;
}
