// One menu for all messages, opened at the button that asked for it. The browser closes it by Escape or a press elsewhere.
import { $, icon, make } from "./dom.js";

// place puts an open popover beside its button, inside the window.
export function place(popover, button) {
  const b = button.getBoundingClientRect(), p = popover.getBoundingClientRect(), gap = 6;
  const left = Math.min(Math.max(8, b.right - p.width), innerWidth - p.width - 8);
  const below = b.bottom + gap + p.height <= innerHeight - 8;
  const top = below ? b.bottom + gap : Math.max(8, b.top - gap - p.height);
  popover.style.left = left + "px";
  popover.style.top = top + "px";
}

let owner = null;
// openMenu shows items ({icon, words, danger, run}) at a button.
export function openMenu(button, items) {
  const menu = $("menu");
  owner = button;
  menu.replaceChildren(...items.map((i) => make("button", { class: "menu-item" + (i.danger ? " danger" : ""), type: "button", role: "menuitem", tabindex: "-1", onclick: () => {
    menu.hidePopover();
    i.run();
  } }, icon(i.icon), make("span", {}, i.words))));
  menu.showPopover();
  place(menu, button);
  menu.firstElementChild.focus();
}

$("menu").addEventListener("keydown", (e) => {
  const items = [...$("menu").children], at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[e.key];
  if (to !== undefined) {
    e.preventDefault();
    items[(to + items.length) % items.length].focus();
  } else if (e.key === "Tab") $("menu").hidePopover();
});
$("menu").addEventListener("toggle", (e) => {
  owner?.setAttribute("aria-expanded", String(e.newState === "open"));
  if (e.newState === "closed" && (document.activeElement === document.body || $("menu").contains(document.activeElement))) owner?.focus();
});

// asPopover opens a card at its button, and closes it there again. The focus goes along: into the card, and back to the button. The cards stand
// far from their buttons in the page; as its source, the button tells the browser where they come in the order of Tab.
export function asPopover(button, card, before) {
  let openAtPress = false;
  button.addEventListener("pointerdown", () => { openAtPress = card.matches(":popover-open"); });
  button.addEventListener("click", () => {
    if (openAtPress) { openAtPress = false; return; } // the press has closed it
    before?.();
    card.showPopover({ source: button });
    place(card, button);
    card.focus({ preventScroll: true });
  });
  card.addEventListener("toggle", (e) => {
    button.setAttribute("aria-expanded", String(e.newState === "open"));
    if (e.newState === "closed" && (document.activeElement === document.body || card.contains(document.activeElement))) button.focus();
  });
}
