// The event stream: one for all chats, taken up where it broke off.
import { $ } from "./dom.js";
import { chats, clearChats, offerExamples, seat, take, toEnd } from "./chats.js";
import { call, door } from "./net.js";
import { showPool, showPurse } from "./glance.js";
import { say } from "./words.js";

const SILENCE = 40000; // ms: the server beats every 15 s
let source = null, last = 0, tries = 0, retry, watchdog, wanted = false;

export function state(name) {
  $("state").className = "state " + name;
  $("state-words").textContent = say(name);
  document.documentElement.dataset.state = name;
}
function alive() {
  clearTimeout(watchdog);
  watchdog = setTimeout(lost, SILENCE);
}

export function connect() {
  wanted = true;
  clearTimeout(retry);
  source?.close();
  const query = new URLSearchParams({ brief: "1", after: String(last) });
  for (const name of chats.keys()) query.append("chat", name);
  const s = source = new EventSource("/webchat/events?" + query);
  alive();
  s.onopen = () => { tries = 0; state("live"); alive(); };
  s.onerror = () => { if (s === source) lost(); };
  for (const kind of ["message", "edit", "delete"]) {
    s.addEventListener(kind, (e) => {
      alive();
      const id = Number(e.lastEventId);
      // Shown already. The words of a growing answer carry the id of the event before them.
      if (s !== source || id < last || id === last && kind !== "edit") return;
      last = id;
      try { take(kind, JSON.parse(e.data)); } catch (error) { console.error(error); }
    });
  }
  s.addEventListener("pool", (e) => {
    const pool = JSON.parse(e.data);
    showPool(pool);
    offerExamples(pool);
  });
  // An older backup was restored: what this page shows may never have happened.
  s.addEventListener("anew", () => {
    if (s !== source) return;
    last = 0;
    clearChats();
  });
  s.addEventListener("gone", () => { if (s === source) door.seat(); });
  s.addEventListener("purse", (e) => showPurse(JSON.parse(e.data)));
  s.addEventListener("beat", alive);
  s.addEventListener("ready", (e) => {
    alive();
    last = Math.max(last, Number(e.lastEventId));
    if (seat.replayed) return;
    seat.replayed = true;
    for (const c of chats.values()) toEnd(c);
  });
}

function lost() {
  source?.close();
  source = null;
  clearTimeout(watchdog);
  state("lost");
  tries++;
  clearTimeout(retry);
  retry = setTimeout(async () => {
    try {
      const known = await call("session");
      if (!known.user) return door.seat();
      if (known.name_in_use) dispatchEvent(new Event("potluck-name-in-use"));
    } catch {
      return lost();
    }
    connect();
  }, Math.min(15000, 400 * 2 ** Math.min(tries, 6)) * (0.6 + 0.8 * Math.random()));
}
// disconnect ends the stream until somebody connects anew, who gets everything from the start.
export function disconnect() {
  wanted = false;
  last = 0;
  source?.close();
  source = null;
  clearTimeout(watchdog);
  clearTimeout(retry);
}
function hurry() {
  if (source || !wanted) return;
  tries = 0;
  connect();
}
addEventListener("online", hurry);
addEventListener("pageshow", (e) => { if (e.persisted) hurry(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) hurry(); });
