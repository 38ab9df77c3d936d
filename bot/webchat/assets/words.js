// The texts of the page in the reader's language, and how that language writes numbers and times.
import { $ } from "./dom.js";

const words = JSON.parse($("words").textContent);
export const language = document.documentElement.lang;
export const pageLanguage = language;

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, k) => values[k] ?? "");
export const say = (key, values = {}) => fill(words[key] ?? key, values);
export const list = (key) => words[key] ?? [];

const rules = new Intl.PluralRules(language);
// plural says a text that depends on a number.
export function plural(key, n) {
  const forms = words[key] ?? {};
  return fill((n === 0 && forms.zero) || forms[rules.select(n)] || forms.other || key, { n: number.format(n) });
}
export const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

// sentence is what people read when the server refuses something.
export const sentence = (answer) => words.error[answer?.code] || answer?.error || say("network");

// Clocks follow the browser: it knows whether its reader uses 12 or 24 hours.
const region = (navigator.languages || []).find((l) => l.startsWith(language)) || language;
export const time = new Intl.DateTimeFormat(region, { hour: "numeric", minute: "2-digit" });
const full = new Intl.DateTimeFormat(region, { weekday: "long", day: "numeric", month: "long" });
export const moment = new Intl.DateTimeFormat(region, { dateStyle: "long", timeStyle: "short" });

export function day(at) {
  const now = new Date(), before = new Date(now);
  before.setDate(now.getDate() - 1);
  if (at.toDateString() === now.toDateString()) return say("today");
  return at.toDateString() === before.toDateString() ? say("yesterday") : full.format(at);
}
