// The PS's desk asks by itself whether something has changed. This keeps it from doing so under somebody's finger.
(() => {
  "use strict";

  const desk = () => document.getElementById("ps-desk");

  // Somebody is choosing an outcome, typing, or waiting for an answer: what is under their finger stays.
  const inUse = (place) =>
    place.querySelector("details[open], form.htmx-request, input:not([type=hidden]), select, textarea") ||
    (place.contains(document.activeElement) && !document.activeElement.id);

  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.elt.id === "ps-desk" && inUse(event.detail.elt)) event.preventDefault();
  });
  // An answer may come when the finger is already there.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id === "ps-desk" && inUse(event.detail.target)) event.detail.shouldSwap = false;
  });

  const choosing = () => document.querySelector(".ps-quick[open]");

  // A choice that was opened is closed again by Escape, and by going on to something else.
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && choosing();
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });
  document.addEventListener("click", ({ target }) => {
    const open = choosing();
    if (open && !open.closest(".ps-card").contains(target)) open.open = false;
  });

  // Back from the call: what has happened meanwhile.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && desk()) htmx.trigger(desk(), "awake");
  });

  // What was saved is read where the card stood, not under the tabs.
  document.addEventListener("htmx:load", ({ detail }) => {
    if (detail.elt.id !== "ps-desk" && detail.elt.closest("#ps-desk")) detail.elt.scrollIntoView({ block: "nearest" });
  });

  // A lead that arrives on top does not move the one that is being read.
  let reading;
  document.addEventListener("htmx:beforeSwap", ({ detail }) => {
    if (detail.target.id !== "ps-desk" || !detail.shouldSwap || !scrollY) return;
    const card = [...detail.target.querySelectorAll(".ps-card")].find((card) => card.getBoundingClientRect().top >= 0);
    reading = card && { id: card.id, top: card.getBoundingClientRect().top };
  });
  document.addEventListener("htmx:afterSwap", () => {
    const card = reading && document.getElementById(reading.id);
    if (card) scrollBy({ top: card.getBoundingClientRect().top - reading.top, behavior: "instant" });
    reading = undefined;
  });
})();
