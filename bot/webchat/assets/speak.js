// What a screen reader is told: messages of others and finished answers, a few words at a time. Whatever else changes on the page is silent.
import { $ } from "./dom.js";
import { say } from "./words.js";

const GATHER = 1000; // ms: what comes within it is told together
let waiting = [], timer;

export function speak(text) {
  waiting.push(text);
  if (timer) return;
  timer = setTimeout(() => {
    timer = null;
    const all = waiting;
    waiting = [];
    $("spoken").textContent = all.length > 3 ? say("many_new", { n: all.length }) : all.join("\n");
  }, GATHER);
}
