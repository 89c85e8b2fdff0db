// The page of the desk's performance refreshes itself without disturbing whoever reads it.
(() => {
  "use strict";

  // What somebody has marked to copy stays until the next round.
  const marked = (element) => {
    const selection = getSelection();
    return !selection.isCollapsed && element.contains(selection.anchorNode);
  };

  let opened = [];

  document.addEventListener("htmx:beforeSwap", (event) => {
    const { elt, target } = event.detail;
    if (!elt.hasAttribute("data-poll")) return;
    if (marked(target)) event.detail.shouldSwap = false;
    opened = [...target.querySelectorAll("details[open][id]")].map(({ id }) => id);
  });

  document.addEventListener("htmx:oobBeforeSwap", (event) => {
    if (marked(event.detail.target)) event.preventDefault();
  });

  // What was unfolded stays so; until a part has settled htmx leaves it as it was, and then takes the page's word.
  document.addEventListener("htmx:afterSettle", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    opened = [];
  });
})();
