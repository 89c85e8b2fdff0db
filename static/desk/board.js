// The CRE's desk keeps itself up to date; a list that somebody is at is not pulled from under their fingers.
(() => {
  "use strict";

  const RESTING = 3000; // milliseconds after the pointer last moved over the list
  let moved = -RESTING;

  const list = () => document.getElementById("board-list");
  const changed = () => document.getElementById("board-changed");

  document.addEventListener("pointermove", ({ target, timeStamp }) => {
    if (list()?.contains(target)) moved = timeStamp;
  }, { passive: true });

  const inUse = (element) => {
    const selection = getSelection();
    const selected = !selection.isCollapsed && element.contains(selection.anchorNode);
    return selected || element.matches(":focus-within") || performance.now() - moved < RESTING;
  };

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (event.target.id !== "board-list") return;
    const hold = inUse(event.target);
    changed().hidden = !hold;
    if (hold) event.preventDefault();
  });

  // On a phone the tabs may stand side by side: the open one is in sight.
  document.querySelector(".tab[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
})();
