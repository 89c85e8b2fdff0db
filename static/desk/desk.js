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
    // Nor does it make this page somebody else's: the desk refuses what a page asks in another person's name.
    const { person } = document.body.dataset;
    if (person) detail.headers["X-Page-Of"] = person;
  });

  // --- When the desk cannot be reached, or refuses ----------------------------------------------------------------

  const UNREACHED = "The desk could not be reached. Nothing you typed is lost: try again when the connection is back.";
  const BROKEN = "The desk could not do this. Nothing you typed is lost: try again.";
  const UNCHECKED = "The number could not be checked just now. You can save all the same.";

  const wordsOf = (xhr) => {
    const page = new DOMParser().parseFromString(xhr.responseText, "text/html");
    return page.querySelector("[data-trouble]")?.textContent.trim() || BROKEN;
  };

  const OUT = 401; // the HTTP status of who is not signed in
  const ELSEWHERE = "You were signed out. Sign in in the new tab, come back to this one and try again.";
  let signedOut = false;

  const made = (name, className, words) => {
    const element = document.createElement(name);
    element.className = className;
    element.textContent = words;
    return element;
  };

  // The way back in leads to this page again, with its forms as they were (kept.js), or beside it.
  const signIn = () => {
    const link = made("a", "button", "Sign in");
    link.href = `${document.body.dataset.login}?next=${encodeURIComponent(location.pathname + location.search)}`;
    link.dataset.signIn = "";
    if (!document.documentElement.classList.contains("keeps-forms")) link.target = "_blank";
    return link;
  };

  const show = (place, words, { again = false, status = 0 } = {}) => {
    const ways = [];
    const link = status === OUT && signIn();
    if (link) ways.push(link);
    if (again) {
      ways.push(made("button", "button quiet-button", "Try again"));
      ways.at(-1).type = "submit";
    }
    place.replaceChildren(made("p", "", link?.target ? ELSEWHERE : words));
    if (ways.length) {
      place.append(made("div", "actions", ""));
      place.lastChild.append(...ways);
    }
    place.hidden = false;
    // Nobody is torn away from a field because something else on the page was refused.
    if (again) ways[0].focus();
  };

  const trouble = (source, words, status) => {
    const place = source.closest("form")?.querySelector(".form-trouble");
    if (source.id === "known" && status !== OUT) {
      show(source, UNCHECKED);
    } else if (source.matches("form") && place) {
      show(place, words, { again: true, status });
    } else if (status !== OUT || !signedOut || byId("trouble").hidden) {
      show(byId("trouble"), words, { status });
    }
    signedOut = status === OUT;
  };

  const calm = () => {
    signedOut = false;
    for (const place of document.querySelectorAll(".form-trouble, #trouble")) place.hidden = true;
  };

  document.addEventListener("htmx:sendError", ({ detail }) => trouble(detail.elt, UNREACHED, 0));
  document.addEventListener("htmx:timeout", ({ detail }) => trouble(detail.elt, UNREACHED, 0));
  document.addEventListener("htmx:responseError", ({ detail }) =>
    trouble(detail.elt, wordsOf(detail.xhr), detail.xhr.status));
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    // What a page asks by itself does not wipe away what was said to its reader.
    if (!detail.requestConfig.elt.hasAttribute("data-poll")) calm();
  });

  // A page that nobody looks at, or nobody is signed in to, does not ask whether something has changed.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const { elt } = event.detail;
    if (elt.hasAttribute("data-poll") && (document.hidden || signedOut)) event.preventDefault();
    else if (elt.matches("form")) for (const place of elt.querySelectorAll(".form-trouble")) place.hidden = true;
  });

  // Perhaps they have signed in beside it.
  document.addEventListener("visibilitychange", () => { signedOut = false; });

  // --- While a page is on its way ---------------------------------------------------------------------------------

  const PATIENCE = 10_000; // milliseconds, for what turns out to be a file and leaves the page where it is
  let arriving;

  const arrived = () => {
    clearTimeout(arriving);
    byId("busy")?.classList.remove("leaving");
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of document.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
  };
  const leave = () => {
    byId("busy")?.classList.add("leaving");
    clearTimeout(arriving);
    arriving = setTimeout(arrived, PATIENCE);
  };
  // Also when the browser brings a page back as it was left.
  addEventListener("pageshow", arrived);

  // What htmx does not send: a second press sends nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.getAttribute("method") === "dialog") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-busy", "true");
    leave();
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const elsewhere = link.target || link.hasAttribute("download") || link.origin !== location.origin;
    const here = link.hash && link.pathname === location.pathname && link.search === location.search;
    if (!elsewhere && !here) leave();
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

  const followOutcome = (outcome, field, rules) => {
    const input = field.querySelector("input");
    const note = field.querySelector(".field-note");
    const unruled = note.textContent;
    let suggested = "";
    const apply = (typed) => {
      const rule = rules[outcome.value];
      field.hidden = rule?.follow_up === "none";
      note.textContent = rule?.follow_up === "required" ? "required" : unruled;
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

  const saveByKey = (form) => (form.closest(".work") ?? form).addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.requestSubmit();
    }
  });

  const prepare = (form) => {
    const fields = form.elements;
    follow(fields.source, fields.subsource, { only: true });
    follow(fields.branch, fields.ps_name, { none: "Nobody takes new leads here" });
    const rules = JSON.parse(byId("outcome-rules").textContent);
    followOutcome(fields.lead_status, form.querySelector("[data-field=follow_up_date]"), rules);
    lookUp(form);
    saveByKey(form);
  };

  // --- Updating a lead --------------------------------------------------------------------------------------------

  // Why it was lost is asked where it was lost; who takes it over, where the outcome hands it over.
  const followLoss = (outcome, field, rules) => {
    const label = field.querySelector("label");
    const plain = label.innerHTML;
    const apply = () => {
      const rule = rules[outcome.value];
      field.hidden = !rule?.lost;
      label.innerHTML = plain;
      if (rule?.asks) label.textContent = rule.asks;
    };
    outcome.addEventListener("change", apply);
    apply();
  };

  const followHandOver = (outcome, form, rules) => {
    const names = ["lead_category", "model_interested", "branch", "ps_name"];
    const fields = names.map((name) => form.elements[name]).filter(Boolean);
    const apply = () => {
      for (const field of fields) field.required = Boolean(rules[outcome.value]?.hands_over);
    };
    outcome.addEventListener("change", apply);
    apply();
  };

  const prepareWork = (form) => {
    const fields = form.elements;
    // What was carried here has come by a form of another page: loaded again, this is the lead's own form.
    const { here } = form.parentElement.dataset;
    if (here) history.replaceState(null, "", here);
    if (fields.branch) follow(fields.branch, fields.ps_name, { none: "Nobody takes new leads here" });
    saveByKey(form);
    if (!fields.lead_status) return;
    const rules = JSON.parse(form.querySelector("script[type='application/json']").textContent);
    const part = (name) => form.querySelector(`[data-field=${name}]`);
    followOutcome(fields.lead_status, part("follow_up_date"), rules);
    followLoss(fields.lead_status, part("lost_reason"), rules);
    followHandOver(fields.lead_status, form, rules);
  };

  // A known customer: what was typed for a new lead goes along to the form of the lead that is there.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-carry]");
    if (!button) return;
    event.preventDefault();
    button.form.action = button.dataset.carry;
    button.form.submit();
  });

  document.addEventListener("htmx:load", ({ detail }) => {
    const form = detail.elt.querySelector("#lead-form");
    if (form) prepare(form);
    const works = [...detail.elt.querySelectorAll("[data-work]")];
    if (detail.elt.matches("[data-work]")) works.push(detail.elt);
    works.forEach(prepareWork);
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
