// Completion of commands: their names, then their options, then the values of an option.
import { $, make } from "./dom.js";
import { call } from "./net.js";
import { speak } from "./speak.js";
import { number, say } from "./words.js";

const text = $("text"), box = $("completion"), usage = $("usage");
const hint = usage.textContent;
let commands = [];
let shown = []; // {insert, from, name, about, hint}: what stands in the list
let chosen = -1; // -1: none, so that Enter sends
let dismissed = null; // what was typed when Escape closed the list

// readCommands takes the server's list: {name, description, usage, options: [{name, description, kind, required, rest, min, max, choices, suggests}]}.
export function readCommands(all) {
  commands = (Array.isArray(all) ? all : []).filter((c) => typeof c?.name === "string").map((c) => ({
    name: "/" + c.name, key: c.name, about: String(c.description ?? ""), usage: String(c.usage ?? ""), options: Array.isArray(c.options) ? c.options : [],
  }));
}

// Japanese keyboards type full-width signs.
const folded = (s) => s.replace(/[／：]/g, (c) => (c === "／" ? "/" : ":"));

// complete looks at what is typed up to the caret and shows what may follow.
export function complete() {
  const caret = text.selectionStart ?? text.value.length;
  const typed = folded(text.value.slice(0, caret));
  const command = commandOf(folded(text.value));
  usage.textContent = command?.usage || hint;
  usage.classList.toggle("usage", Boolean(command?.usage));
  if (text.selectionEnd !== caret || typed === dismissed || !typed.startsWith("/")) return hideCompletion();
  dismissed = null;
  if (!command || typed.length <= command.name.length) return names(typed);
  return options(command, typed);
}

// commandOf is the command that a text begins with, the longest one where "worker" and "worker link" both fit.
function commandOf(typed) {
  const low = typed.toLowerCase();
  return commands.filter((c) => low === c.name || low.startsWith(c.name) && /\s/.test(low[c.name.length])).sort((a, b) => b.name.length - a.name.length)[0];
}

function names(typed) {
  const low = typed.toLowerCase();
  if (/\n/.test(low) || low.length > 60) return hideCompletion();
  const found = commands.filter((c) => c.name.startsWith(low));
  show(found.map((c) => ({ insert: c.name + " ", from: 0, name: c.name, about: c.about })), low === "/" ? -1 : 0); // a lone slash sent is a question, too
}

function options(command, typed) {
  const behind = typed.slice(command.name.length);
  const value = /(?:^|\s)(?:--)?([\p{L}\d_-]+):("[^"\n]*|[^\s"]*)$/u.exec(behind);
  const named = value && command.options.find((o) => o.name === value[1].toLowerCase());
  if (named) return values(command, named, value[2], typed.length - value[2].length);
  const only = command.options.length === 1 && command.options[0];
  if (only && (only.suggests || only.choices) && /^\s+\S*$/.test(behind)) return values(command, only, behind.trim(), typed.length - behind.trim().length, behind.trim() || only.required ? 0 : -1);
  const word = /(?:^|\s)(?:--)?([\p{L}\d_-]*)$/u.exec(behind);
  const given = new Set([...behind.matchAll(/(?:^|\s)(?:--)?([\p{L}\d_-]+):/gu)].map((m) => m[1].toLowerCase()));
  if (!word) return hideCompletion();
  const low = word[1].toLowerCase();
  // In the middle of a sentence, only what looks like the beginning of an option brings the list back.
  const atStart = behind.trim() === low || behind.trim() === "--" + low || /:("[^"]*"|\S+)\s+\S*$/.test(behind) && !low;
  if (!atStart && low.length < 3) return hideCompletion();
  const found = command.options.filter((o) => !o.rest && !given.has(o.name) && o.name.startsWith(low));
  const from = typed.length - word[1].length;
  show(found.map((o) => ({ insert: o.name + ":", from, name: o.name + ":", about: o.description || "", hint: hintOf(o) })), -1);
}

function hintOf(o) {
  const parts = [];
  if (o.required) parts.push(say("required"));
  if (o.kind === "integer") parts.push(o.min || o.max ? say("range", { min: number.format(o.min ?? 0), max: number.format(o.max ?? 0) }) : say("number"));
  if (o.kind === "bool") parts.push(say("yes_no"));
  if (o.kind === "choice" && o.choices) parts.push(o.choices.slice(0, 4).join(" · ") + (o.choices.length > 4 ? " …" : ""));
  return parts.join(" · ");
}

let asked = 0, timer;
const known = new Map(); // answers of the server, by question
// values completes the value of an option. First is the row that Enter takes; -1: none, because the command is whole without it.
function values(command, option, typed, from, first = 0) {
  const bare = typed.replace(/^"/, "").toLowerCase();
  const list = (all) => {
    const fits = all.filter((v) => v.toLowerCase().startsWith(bare)).concat(all.filter((v) => !v.toLowerCase().startsWith(bare) && v.toLowerCase().includes(bare)));
    show(fits.slice(0, 25).map((v) => ({ insert: (/\s/.test(v) ? `"${v}"` : v) + " ", from, name: v, about: "" })), first, option);
  };
  clearTimeout(timer);
  if (option.kind === "choice" && option.choices) return list(option.choices);
  if (option.kind === "bool") return list(["yes", "no"]);
  if (!option.suggests) return show([], -1, option);
  const question = new URLSearchParams({ command: command.key, option: option.name, typed: bare }).toString();
  if (known.has(question)) return show(known.get(question).map((v) => ({ insert: (/\s/.test(v) ? `"${v}"` : v) + " ", from, name: v, about: "" })), first, option);
  const mine = ++asked;
  show([], -1, option);
  timer = setTimeout(async () => {
    try {
      const answer = await call("suggest?" + question);
      known.set(question, answer);
      setTimeout(() => known.delete(question), 20000); // machines come and go
      if (mine === asked && document.activeElement === text) complete();
    } catch { /* typing goes on without suggestions */ }
  }, 100);
}

function show(list, first, option) {
  shown = list;
  const rows = list.map((c, i) => make("div", { class: "row", role: "option", id: "option-" + i, "aria-selected": "false", onmousedown: (e) => { e.preventDefault(); pick(i); }, onmousemove: () => choose(i, true) },
    make("b", {}, c.name), make("span", { class: "about", dir: "auto" }, c.about), c.hint ? make("span", { class: "row-hint" }, c.hint) : null));
  if (option) rows.unshift(make("div", { class: "row-head", role: "presentation" }, make("b", {}, option.name), make("span", {}, option.description || ""), make("span", { class: "row-hint" }, hintOf({ ...option, choices: null }))));
  if (!rows.length) return hideCompletion();
  const before = box.hidden ? 0 : box.querySelectorAll(".row").length;
  box.replaceChildren(...rows);
  box.setAttribute("role", list.length ? "listbox" : "note");
  box.hidden = false;
  box.scrollTop = 0;
  if (list.length && list.length !== before) speak(say("suggestions", { n: list.length }));
  choose(list.length ? first : -1);
}

function choose(to, quiet) {
  const rows = [...box.querySelectorAll(".row")];
  chosen = to < 0 || !rows.length ? -1 : to % rows.length;
  rows.forEach((o, i) => o.setAttribute("aria-selected", String(i === chosen)));
  if (chosen < 0) return text.removeAttribute("aria-activedescendant");
  if (!quiet) rows[chosen].scrollIntoView({ block: "nearest" });
  text.setAttribute("aria-activedescendant", "option-" + chosen);
}

function pick(i) {
  const c = shown[i], caret = text.selectionStart;
  const rest = text.value.slice(caret).replace(/^\s+/, "");
  const head = text.value.slice(0, c.from) + c.insert;
  text.value = head + rest;
  text.setSelectionRange(head.length, head.length);
  text.focus();
  text.dispatchEvent(new Event("input"));
}

// The list scrolls under a mouse or a finger, but the keys stay with the text.
box.addEventListener("mousedown", (e) => e.preventDefault());

export function hideCompletion() {
  box.hidden = true;
  shown = [];
  chosen = -1;
  text.removeAttribute("aria-activedescendant");
}

// completionKey takes the keys that are the list's while it is open; false: the key is the text box's.
export function completionKey(e) {
  if (box.hidden) return false;
  if (e.key === "Escape") {
    dismissed = folded(text.value.slice(0, text.selectionStart));
    hideCompletion();
    return true;
  }
  if (!shown.length) return false;
  const n = shown.length;
  if (e.key === "ArrowDown") choose(chosen + 1);
  else if (e.key === "ArrowUp") choose(chosen <= 0 ? n - 1 : chosen - 1);
  else if (e.key === "Tab" && !e.shiftKey) pick(Math.max(0, chosen));
  else if (e.key === "Enter" && !e.shiftKey && chosen >= 0 && !written(shown[chosen])) pick(chosen);
  else return false;
  return true;
}
// written: it stands there already, so Enter means the whole text.
const written = (c) => text.value.slice(c.from, text.selectionStart).trim().toLowerCase() === c.insert.trim().toLowerCase();
