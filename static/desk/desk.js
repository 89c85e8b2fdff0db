// What the pages do beyond plain links and forms: selects that follow one another, the look-up of a number, and words
// for when the desk cannot be reached. Everything that is saved can also be saved without this file.
(() => {
  "use strict";

  const byId = (id) => document.getElementById(id);
  document.documentElement.classList.add("has-script");

  // --- The token --------------------------------------------------------------------------------------------------

  // A sign-in in another tab changes the token: the cookie has the one of now, the form the one of then.
  document.addEventListener("htmx:configRequest", ({ detail }) => {
    const token = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    if (token) {
      delete detail.parameters.csrfmiddlewaretoken;
      detail.headers["X-CSRFToken"] = token[1];
    }
  });

  // --- When the desk cannot be reached, or refuses ----------------------------------------------------------------

  const UNREACHED = "The desk could not be reached. Nothing you typed is lost: try again when the connection is back.";
  const BROKEN = "The desk could not do this. Nothing you typed is lost: try again.";
  const UNCHECKED = "The number could not be checked just now. You can save all the same.";

  const wordsOf = (xhr) => {
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    return page.querySelector("[data-trouble]")?.textContent.trim() || BROKEN;
  };

  const show = (place, words, again) => {
    const text = document.createElement("p");
    text.textContent = words;
    place.replaceChildren(text);
    if (again) {
      const button = document.createElement("button");
      button.type = "submit";
      button.className = "button quiet-button";
      button.textContent = "Try again";
      place.append(button);
    }
    place.hidden = false;
    place.querySelector("button")?.focus();
  };

  const trouble = (source, words, status) => {
    if (source.id === "known" && status !== 401) {
      show(source, UNCHECKED, false);
    } else if (source.id === "lead-form") {
      show(byId("form-trouble"), words, true);
    } else {
      show(byId("trouble"), words, false);
    }
  };

  const calm = () => {
    for (const place of [byId("form-trouble"), byId("trouble")]) if (place) place.hidden = true;
  };

  document.addEventListener("htmx:sendError", ({ detail }) => trouble(detail.elt, UNREACHED, 0));
  document.addEventListener("htmx:timeout", ({ detail }) => trouble(detail.elt, UNREACHED, 0));
  document.addEventListener("htmx:responseError", ({ detail }) =>
    trouble(detail.elt, wordsOf(detail.xhr), detail.xhr.status));
  document.addEventListener("htmx:beforeSwap", calm);

  // A page that nobody looks at does not ask whether something has changed.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.hasAttribute("data-poll") && document.hidden) event.preventDefault();
    else if (event.detail.elt.id === "lead-form") byId("form-trouble").hidden = true;
  });

  // --- Selects that follow one another ----------------------------------------------------------------------------

  // `child` offers only the group named like the choice in `parent`; a choice in `child` alone settles `parent` too.
  const follow = (parent, child, { only = false, none = "" } = {}) => {
    const groups = [...child.querySelectorAll("optgroup")];
    const blank = child.options[0];
    const unchosen = blank.textContent;
    const narrow = () => {
      const kept = child.value;
      const wanted = parent.value && parent.selectedOptions[0].text;
      const left = groups.filter((group) => !wanted || group.label === wanted);
      child.replaceChildren(blank, ...left);
      child.value = kept;
      if (!child.value) child.selectedIndex = only && child.options.length === 2 ? 1 : 0;
      blank.textContent = none && wanted && !left.length ? none : unchosen;
    };
    parent.addEventListener("change", narrow);
    child.addEventListener("change", () => {
      const group = child.selectedOptions[0].parentElement.label;
      if (!group || parent.value) return;
      parent.value = [...parent.options].find((option) => option.text === group)?.value ?? "";
      narrow();
    });
    narrow();
  };

  // --- The follow-up that an outcome asks for ---------------------------------------------------------------------

  const MINUTE = 60_000, DAY = 1440;
  const INDIA = 330; // minutes ahead of UTC, the year round
  const OPENS = 570, CLOSES = 1170; // 9:30 and 19:30, in minutes of the day

  // Minutes since 1970 on the dealer's clock, and as a datetime-local field writes them.
  const now = () => Math.floor(Date.now() / MINUTE) + INDIA;
  const written = (minutes) => new Date(minutes * MINUTE).toISOString().slice(0, 16);

  const suggestion = (days) => {
    const at = Math.ceil((now() + (days ? days * DAY : 60)) / 15) * 15;
    const day = Math.floor(at / DAY) * DAY;
    if (at - day > CLOSES) return written(days ? day + CLOSES : day + DAY + OPENS);
    return written(Math.max(at, day + OPENS));
  };

  const followOutcome = (outcome, field) => {
    const rules = JSON.parse(byId("outcome-rules").textContent);
    const input = field.querySelector("input");
    const note = field.querySelector(".field-note");
    let suggested = "";
    const apply = (typed) => {
      const rule = rules[outcome.value];
      field.hidden = rule?.follow_up === "none";
      note.textContent = rule?.follow_up === "required" ? "required" : "if one is agreed";
      input.required = rule?.follow_up === "required";
      input.min = written(now());
      if (!typed || (input.value && input.value !== suggested)) return;
      suggested = rule && rule.days !== null ? suggestion(rule.days) : "";
      input.value = suggested;
    };
    outcome.addEventListener("change", () => apply(true));
    apply(false);
  };

  // --- Whether the number is known --------------------------------------------------------------------------------

  const TYPING = 250; // milliseconds of rest before we ask

  const lookUp = (form) => {
    const phone = form.elements.customer_mobile_number;
    const known = byId("known");
    const empty = known.innerHTML;
    let timer, asked = "";
    const look = (complete) => {
      clearTimeout(timer);
      const typed = phone.value.trim();
      const question = JSON.stringify([typed, form.elements.source.value, form.elements.subsource.value]);
      if (!typed) {
        htmx.trigger(known, "htmx:abort");
        known.innerHTML = empty;
        asked = "";
      } else if (complete && question !== asked) {
        asked = question;
        htmx.trigger(known, "look");
      }
    };
    const digits = () => phone.value.replace(/\D/g, "").length;
    phone.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => look(digits() >= 10), TYPING);
    });
    phone.addEventListener("change", () => look(true));
    for (const select of [form.elements.source, form.elements.subsource])
      select.addEventListener("change", () => setTimeout(() => look(true)));
    // Nothing was answered: the same question may be asked again.
    for (const failed of ["htmx:sendError", "htmx:timeout", "htmx:responseError"])
      known.addEventListener(failed, () => { asked = ""; });
    if (!byId("result")) look(digits() >= 10);
  };

  // --- Each new piece of a page -----------------------------------------------------------------------------------

  const prepare = (form) => {
    const fields = form.elements;
    follow(fields.source, fields.subsource, { only: true });
    follow(fields.branch, fields.ps_name, { none: "Nobody takes new leads here" });
    followOutcome(fields.lead_status, form.querySelector("[data-field=follow_up_date]"));
    lookUp(form);
    form.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
  };

  document.addEventListener("htmx:load", ({ detail }) => {
    const form = detail.elt.querySelector("#lead-form");
    if (form) prepare(form);
    const said = detail.elt.matches("[data-say]") ? detail.elt : detail.elt.querySelector("[data-say]");
    if (said) byId("say").textContent = said.dataset.say;
    const first = detail.elt.querySelector("[aria-invalid=true]:not([type=hidden]), [data-focus]");
    first?.focus();
  });

  // What is being put right is no longer shown as wrong; the server says at the next save whether it is right.
  document.addEventListener("input", ({ target }) => {
    const field = target.closest(".field.wrong");
    if (!field) return;
    field.classList.remove("wrong");
    field.querySelector(".field-error").hidden = true;
    target.removeAttribute("aria-invalid");
    target.removeAttribute("aria-describedby");
  });

  // --- The menu ---------------------------------------------------------------------------------------------------

  const closeMenus = (inside) => {
    for (const menu of document.querySelectorAll("details.menu[open]"))
      if (!menu.contains(inside)) menu.open = false;
  };
  document.addEventListener("click", (event) => closeMenus(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    document.querySelector("details.menu[open] summary")?.focus();
    closeMenus(null);
  });
})();
