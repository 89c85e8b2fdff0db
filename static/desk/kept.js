// What somebody has typed outlives a sign-out: kept in this tab until it is saved, for this person and no other.
(() => {
  "use strict";

  const { person } = document.body.dataset;
  const KEPT = "desk-typed:";
  const BACK = "What you had typed is back: save it again.";
  const NEVER = ["password", "file", "submit", "button", "reset", "image"];

  let store;
  try {
    store = window.sessionStorage;
    store.setItem(KEPT, "");
    store.removeItem(KEPT);
  } catch {
    return; // this browser keeps nothing: the page itself still does, and the sign-in opens beside it
  }
  if (!person) return;
  document.documentElement.classList.add("keeps-forms");

  // Somebody else has signed in: what was typed before is not theirs to see.
  for (const key of Object.keys(store))
    if (key.startsWith(KEPT) && !key.startsWith(`${KEPT}${person} `)) store.removeItem(key);

  const pathOf = (address) => new URL(address || "", location.href).pathname;
  const addressOf = (form) => pathOf(form.getAttribute("hx-post") || form.getAttribute("action"));
  const keyOf = (form) => `${KEPT}${person} ${location.pathname} ${form.id} ${addressOf(form)}`;
  const ticked = (control) => control.type === "radio" || control.type === "checkbox";

  const controls = (form) => [...form.elements].filter((control) =>
    control.name && "value" in control && !NEVER.includes(control.type) && control.name !== "csrfmiddlewaretoken");

  const changed = (control) => {
    if (control.type === "hidden") return false;
    if (ticked(control)) return control.checked !== control.defaultChecked;
    if (!control.options) return control.value !== control.defaultValue;
    const first = [...control.options].find((option) => option.defaultSelected) ?? control.options[0];
    return control.value !== (first?.value ?? "");
  };

  // --- Keeping ----------------------------------------------------------------------------------------------------

  let refused = null;

  const keep = () => {
    for (const form of document.querySelectorAll("form[method=post]")) {
      const fields = controls(form);
      // Buttons alone hold nothing typed; what was refused is kept even where it looks as it came.
      if (form.querySelector("[type=password]") || fields.every(({ type }) => type === "hidden")) continue;
      if (form !== refused && !fields.some(changed)) continue;
      const typed = fields.map((field) => [field.name, field.value, ticked(field) && field.checked]);
      store.setItem(keyOf(form), JSON.stringify(typed));
    }
  };

  const forget = (form) => store.removeItem(keyOf(form));

  document.addEventListener("htmx:responseError", ({ detail }) => {
    if (detail.xhr.status !== 401) return;
    refused = detail.elt.closest("form") ?? refused;
    keep();
  });

  // Answered: saved, or shown again with what was wrong with it.
  document.addEventListener("htmx:afterRequest", ({ detail }) => {
    // The form itself may have left the page by now, and the event's own element is then another.
    const form = detail.requestConfig.elt.closest("form");
    const { status } = detail.xhr;
    if (!form || pathOf(detail.requestConfig.path) !== addressOf(form)) return;
    if ((status >= 200 && status < 300) || status === 409 || status === 422) forget(form);
  });
  document.addEventListener("submit", ({ target, defaultPrevented }) => {
    if (!defaultPrevented) forget(target);
  });

  document.addEventListener("click", ({ target }) => {
    const link = target.closest("a[href]");
    if (!link) return;
    if (link.hasAttribute("data-sign-in")) keep();
    // A link inside a form that leads to the form again clears it.
    else if (link.closest("form") && link.pathname === location.pathname) forget(link.closest("form"));
  });

  // --- Bringing back ----------------------------------------------------------------------------------------------

  const fill = (form, typed) => {
    const seen = {};
    for (const control of controls(form)) {
      if (ticked(control)) {
        const kept = typed.find(([name, value]) => name === control.name && value === control.value);
        if (kept) control.checked = kept[2];
        continue;
      }
      const nth = seen[control.name] = (seen[control.name] ?? -1) + 1;
      const kept = typed.filter(([name]) => name === control.name)[nth];
      // What is no longer offered stays unchosen.
      if (kept && (!control.options || [...control.options].some(({ value }) => value === kept[1])))
        [, control.value] = kept;
      if (changed(control) && control.closest("details")) control.closest("details").open = true;
    }
  };

  const tell = (form) => {
    const notice = document.createElement("div");
    notice.className = "notice back-again";
    const words = document.createElement("p");
    words.textContent = BACK;
    const drop = document.createElement("button");
    drop.type = "button";
    drop.className = "button quiet-button";
    drop.textContent = "Drop it";
    drop.addEventListener("click", () => {
      forget(form);
      location.replace(location.href);
    });
    notice.append(words, drop);
    // Beside the button that it speaks of, which gets the focus; on a phone they stay in sight together.
    const save = form.querySelector(".save") ?? form.querySelector("[type=submit]");
    (save?.closest(".actions") ?? form).prepend(notice);
    document.getElementById("say").textContent = BACK;
    save?.focus();
  };

  // Before anything else prepares a form: its selects still offer everything.
  document.addEventListener("htmx:load", ({ detail }) => {
    const { elt } = detail;
    for (const form of elt.matches("form") ? [elt] : elt.querySelectorAll("form[method=post]")) {
      const kept = store.getItem(keyOf(form));
      if (!kept) continue;
      fill(form, JSON.parse(kept));
      setTimeout(() => tell(form));
    }
  });
})();
