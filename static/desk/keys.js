// Single keys. Whatever has a data-key is a shortcut of its page: the key presses a link or button, and goes to a field.
// The list behind “?” tells them all, and turns them off.
(() => {
  "use strict";

  const list = document.getElementById("keys");
  if (!list) return;
  const OFF = "desk-keys-off";
  const FIELDS = "input:not([type=button], [type=submit], [type=checkbox], [type=radio]), select, textarea";
  const PRESSED = "a, button, summary, [type=checkbox], [type=radio], [type=submit], [type=button]";
  const ROWS = "[data-row-link], .list .customer";

  // --- On or off --------------------------------------------------------------------------------------------------

  let off = false;
  try {
    off = localStorage.getItem(OFF) === "1";
  } catch {
    // Nothing can be kept in this browser: the choice lasts as long as the page.
  }
  const choice = list.querySelector("[name=single-keys]");
  choice.checked = !off;
  choice.addEventListener("change", () => {
    off = !choice.checked;
    tellKeys();
    try {
      if (off) localStorage.setItem(OFF, "1");
      else localStorage.removeItem(OFF);
    } catch {
      // As above.
    }
  });

  // --- What there is on this page ---------------------------------------------------------------------------------

  const shown = (element) => list.contains(element) || element.getClientRects().length > 0;
  const usable = (element) => !element.matches(":disabled") && shown(element);

  // A page's own meaning of a key goes before the one it has everywhere.
  const all = () => [...document.querySelectorAll("[data-key]")]
    .sort((one, other) => list.contains(one) - list.contains(other));
  const bearer = (key) => all().find((element) => element.dataset.key === key && usable(element));

  const tellKeys = () => {
    for (const element of all()) {
      if (off) element.removeAttribute("aria-keyshortcuts");
      else element.setAttribute("aria-keyshortcuts", element.dataset.key);
    }
  };

  const fillList = () => {
    const own = list.querySelector("[data-own-keys]");
    const seen = new Set();
    const rows = [];
    for (const element of all()) {
      const { key, keySays } = element.dataset;
      if (list.contains(element) || seen.has(key) || !keySays || !usable(element)) continue;
      seen.add(key);
      const row = document.createElement("li");
      const cap = document.createElement("kbd");
      cap.textContent = key;
      row.append(cap, ` ${keySays}`);
      rows.push(row);
    }
    own.replaceChildren(...rows);
    own.parentElement.hidden = rows.length === 0;
    for (const element of list.querySelectorAll("[data-key]"))
      element.closest("li").hidden = seen.has(element.dataset.key);
    list.querySelector("[data-row-keys]").hidden = links().length === 0;
  };

  const open = () => {
    fillList();
    list.showModal();
  };
  for (const button of document.querySelectorAll("[data-open-keys]")) button.addEventListener("click", open);

  // --- Rows -------------------------------------------------------------------------------------------------------

  const links = () => [...document.querySelectorAll(ROWS)].filter(shown);

  const walk = (step) => {
    const rows = links();
    const here = rows.findIndex((link) => link === document.activeElement || rowOf(link)?.contains(document.activeElement));
    const next = rows[here < 0 ? (step > 0 ? 0 : rows.length - 1) : here + step];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  const rowOf = (link) => link.closest("tr, li, article, [data-row]");
  const inRow = () => links().some((link) => rowOf(link)?.contains(document.activeElement));

  // --- The keys ---------------------------------------------------------------------------------------------------

  const press = (element) => {
    // Unlike a press, a focus leaves the key to be typed.
    element.focus();
    if (element.matches(PRESSED)) element.click();
    if (element.matches("input")) element.select();
  };

  document.addEventListener("keydown", (event) => {
    if (off || event.defaultPrevented || event.repeat || event.isComposing) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.(FIELDS) || event.target.isContentEditable || document.querySelector("dialog[open]")) return;
    const { key } = event;
    const found = bearer(key);
    if (key === "?") open();
    else if (found) press(found);
    else if (key === "/") press(document.getElementById("search"));
    else if (key === "j" || (key === "ArrowDown" && inRow())) walk(1);
    else if (key === "k" || (key === "ArrowUp" && inRow())) walk(-1);
    else return;
    event.preventDefault();
  });

  tellKeys();
  document.addEventListener("htmx:load", tellKeys);
})();
