// Text with spans (bold, code, links …) as nodes.
import { copy, make } from "./dom.js";
import { moment, say } from "./words.js";

const encoder = new TextEncoder(), decoder = new TextDecoder();
const webAddress = (s) => { try { const u = new URL(s); return /^https?:$/.test(u.protocol) && !u.username ? u : null; } catch { return null; } };
function anchor(address, ...children) {
  return make("a", { href: address.href, target: "_blank", rel: "noopener noreferrer nofollow", dir: "auto" }, ...children);
}

// Bare addresses become links and drawn bars become bars; what stands around them stays text.
function alive(text) {
  const nodes = [];
  let at = 0;
  for (const m of text.matchAll(/https?:\/\/[^\s<>"'`]+|[▓░]{5,}/g)) {
    let found = m[0], node;
    if (found[0] === "h") {
      found = found.replace(/[.,;:!?)\]}»。、]+$/, "");
      const address = webAddress(found);
      if (!address) continue;
      node = anchor(address, found);
    } else node = bar(found, text.slice(m.index + found.length));
    nodes.push(text.slice(at, m.index).replace(found[0] === "h" ? "" : /\n$/, ""), node);
    at = m.index + found.length;
    if (found[0] !== "h" && text[at] === " ") at++; // a bar stands on a line of its own
  }
  nodes.push(text.slice(at));
  return nodes.filter((n) => n !== "");
}

// bar shows ▓▓▓░░ as a bar. The number behind it, if there is one, is more exact than the signs.
function bar(drawn, behind) {
  const said = /^\s*(\d{1,3})(?:[.,]\d+)?\s?%/.exec(behind);
  const percent = Math.min(100, said ? Number(said[1]) : Math.round(100 * drawn.split("▓").length / (drawn.length + 1)));
  const fill = make("span", { class: "bar-fill" });
  fill.style.width = percent + "%";
  return make("span", { class: "bar", role: "progressbar", "aria-label": say("progress"), "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": String(percent) }, fill);
}

// render turns a text and its spans (UTF-8 byte offsets) into nodes.
export function render(text, spans) {
  const bytes = encoder.encode(text);
  const cut = (a, b) => decoder.decode(bytes.subarray(a, b));
  const sorted = spans.filter((s) => s.start >= 0 && s.end <= bytes.length && s.start < s.end).sort((a, b) => a.start - b.start || b.end - a.end);
  let next = 0;
  const level = (from, to, plain, depth) => {
    const nodes = [];
    let at = from, afterBlock = false;
    const put = (end, beforeBlock) => {
      let s = cut(at, end);
      if (afterBlock) s = s.replace(/^\n+/, "");
      if (beforeBlock) s = s.replace(/\n+$/, "");
      if (s) nodes.push(...(plain ? [s] : alive(s)));
    };
    while (next < sorted.length && sorted[next].start < to) {
      const s = sorted[next++];
      if (s.start < at || s.end > to || depth > 12) continue;
      const block = ["pre", "quote", "heading"].includes(s.kind);
      put(s.start, block);
      const flat = plain || s.kind === "code" || s.kind === "pre" || s.kind === "link";
      const inside = level(s.start, s.end, flat, depth + 1);
      nodes.push(...dress(s, inside, cut(s.start, s.end)));
      at = s.end;
      afterBlock = block;
    }
    put(to, false);
    return nodes;
  };
  return level(0, bytes.length, false, 0);
}

const simple = { bold: "strong", italic: "em", underline: "u", strike: "s", code: "code", small: "small", quote: "blockquote" };
function dress(span, inside, text) {
  if (simple[span.kind]) return [make(simple[span.kind], {}, ...inside)];
  switch (span.kind) {
    case "heading": return [make("strong", { class: "heading" }, ...inside)];
    case "mention": return [make("span", { class: "mention" }, ...inside)];
    case "pre": return [codeBlock(text, span.value)];
    case "link": return link(span.value, inside, text);
    case "spoiler": return [spoiler(inside)];
    case "timestamp": {
      const at = new Date(Number(span.value) * 1000);
      return isNaN(at) ? inside : [make("time", { datetime: at.toISOString(), title: moment.format(at) }, ...inside)];
    }
  }
  return inside;
}

// A link whose words are not its address says where it leads.
function link(value, inside, text) {
  const address = webAddress(value);
  if (!address) return inside;
  const node = anchor(address, ...inside);
  if (text === value || text === address.href || webAddress(text)?.href === address.href) return [node];
  const shown = value.length > 80 ? address.origin + "/…" : value;
  return [node, make("bdi", { class: "address" }, " (" + shown + ")")];
}

function spoiler(inside) {
  const hidden = make("span", { "aria-hidden": "true" }, ...inside);
  const open = (e) => {
    if (e.type === "keydown" && e.key !== "Enter" && e.key !== " ") return;
    if (cover.classList.contains("open")) return;
    e.preventDefault();
    cover.classList.add("open");
    hidden.removeAttribute("aria-hidden");
    for (const a of ["role", "tabindex", "aria-label"]) cover.removeAttribute(a);
  };
  const cover = make("span", { class: "spoiler", role: "button", tabindex: "0", "aria-label": say("spoiler"), onclick: open, onkeydown: open }, hidden);
  return cover;
}

function codeBlock(text, language) {
  text = text.replace(/\n$/, "");
  const button = make("button", { class: "copy", type: "button", onclick: async () => {
    await copy(text);
    button.textContent = say("copied");
    setTimeout(() => { button.textContent = say("copy"); }, 1600);
  } }, say("copy"));
  // A command is for the box: to be changed, and sent from there.
  const take = /^\/[a-z]/.test(text) && !text.includes("\n") && make("button", { class: "copy", type: "button", onclick: () => dispatchEvent(new CustomEvent("potluck-type", { detail: text })) }, say("take"));
  return make("div", { class: "block" },
    make("div", { class: "block-head" }, make("span", {}, language || say("code")), ...(take ? [take] : []), button),
    make("pre", { tabindex: "0", dir: "ltr" }, make("code", {}, text)));
}
