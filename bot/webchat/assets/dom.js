// Small tools for making and finding elements. Text only ever becomes text nodes; nothing is parsed as HTML.

export const $ = (id) => document.getElementById(id);

export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k === "class") node.className = v;
    else if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
    else if (v !== undefined && v !== false) node.setAttribute(k, v === true ? "" : v);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#i-" + name);
  svg.append(use);
  return svg;
}

// remember keeps a word in this browser; private windows may refuse it.
export function remember(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    if (value === null) localStorage.removeItem(key); else localStorage.setItem(key, value);
  } catch { /* then it is asked again next time */ }
  return null;
}

// forgetAll takes away everything that this browser keeps for the page.
export function forgetAll() {
  try { localStorage.clear(); sessionStorage.clear(); } catch { /* then nothing was kept */ }
}

export async function copy(text) {
  try { await navigator.clipboard.writeText(text); } catch { // no clipboard without TLS
    const box = make("textarea", { class: "unseen", "aria-hidden": "true" }, text);
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}

// hasHover: a mouse, so that focus may go to the text box by itself; on a phone that would cover half the page with a keyboard.
export const hasHover = matchMedia("(hover: hover)").matches;
