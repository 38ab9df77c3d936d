// The chats of the page: their tabs, what stands in each of them, and where its reader is.
import { $, icon, make, remember } from "./dom.js";
import { build, does, fill, requote } from "./message.js";
import { speak } from "./speak.js";
import { day, language, list, say } from "./words.js";

const KEPT = 400; // messages per chat in the page; older ones leave it. The server replays as many
const TOGETHER = 5 * 60000; // ms: messages of one author within it share one head
const NEAR_END = 60; // px: who is that near to the end goes along with it

export const chats = new Map(); // name → chat
export const seat = { chat: null, replayed: false, onOpen() {}, onLeave() {} }; // where this reader is
const title = document.body.dataset.title;

export function buildChats(names) {
  names.forEach((name, i) => {
    const count = make("span", { class: "count", hidden: true });
    const tab = make("button", { class: "tab", type: "button", role: "tab", id: "tab-" + i, "aria-controls": "panel-" + i, "aria-selected": "false", tabindex: "-1", onclick: () => open(name) },
      make("span", { class: "hash", "aria-hidden": "true" }, "#"), make("span", { dir: "auto" }, name), count);
    const table = make("div", { class: "table" });
    const log = make("div", { class: "log", role: "log", tabindex: "0", "aria-live": "off", "aria-labelledby": "tab-" + i }, table);
    const panel = make("section", { role: "tabpanel", id: "panel-" + i, "aria-labelledby": "tab-" + i, hidden: true }, log);
    const chat = { name, tab, count, panel, log, table, messages: new Map(), sending: [], unread: 0, missed: 0, atEnd: true, top: 0, draft: "", reply: null, edit: null };
    log.addEventListener("scroll", () => {
      // Who scrolls up leaves the end. A log that grew is further from its end, too, but its reader did not leave.
      const away = log.scrollHeight - log.scrollTop - log.clientHeight;
      if (away < NEAR_END) chat.atEnd = true; else if (log.scrollTop < chat.top) chat.atEnd = false;
      chat.top = log.scrollTop;
      if (chat === seat.chat) showNewer(chat);
    }, { passive: true });
    table.append(welcome(chat));
    chats.set(name, chat);
    $("tabs").append(tab);
    $("logs").append(panel);
  });
  // A picture that arrives, a keyboard that opens: the end stays in sight.
  const keep = new ResizeObserver(() => { for (const c of chats.values()) if (c.atEnd) toEnd(c); });
  for (const c of chats.values()) { keep.observe(c.table); keep.observe(c.log); }
}

// On a phone the tabs may be wider than it is: they fade at the end where more of them are.
function showEnds() {
  const t = $("tabs");
  t.classList.toggle("before", t.scrollLeft > 1);
  t.classList.toggle("behind", t.scrollLeft + t.clientWidth < t.scrollWidth - 1);
}
$("tabs").addEventListener("scroll", showEnds, { passive: true });
new ResizeObserver(showEnds).observe($("tabs"));

$("tabs").addEventListener("keydown", (e) => {
  const all = [...chats.values()], at = all.indexOf(seat.chat);
  const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[e.key];
  if (to === undefined) return;
  e.preventDefault();
  const chat = all[(to + all.length) % all.length];
  open(chat.name);
  chat.tab.focus();
});

const examples = new Set(); // the lists of examples, one per chat
let possible = null; // what the pool can do: kind → ability; null: nobody has told it yet

// offerExamples has the welcomes propose what the pool can do now.
export function offerExamples(pool) {
  const now = new Map((pool.abilities || []).map((a) => [a.kind, a]));
  if (possible && JSON.stringify([...now]) === JSON.stringify([...possible])) return;
  possible = now;
  for (const place of examples) showExamples(place);
}
function showExamples(place) {
  const kinds = ["chat", "image", "translate"];
  place.replaceChildren(...list("examples").flatMap((text, i) => {
    const example = feasible(kinds[i], text);
    if (!example) return [];
    const [command, ...rest] = example.split(" ");
    return [make("li", {}, make("button", { class: "try", type: "button", onclick: () => does.type(example) },
      icon(kinds[i] || "chat"), make("b", {}, command), make("span", {}, rest.join(" "))))];
  }));
}
// feasible is an example as the pool can do it; "": it cannot. An empty pool still shows what people ask for mostly.
function feasible(kind, example) {
  if (kind !== "translate") return !possible?.size || possible.has(kind) ? example : "";
  const into = possible?.get(kind)?.into?.[language] || [];
  const wanted = /to:(\S+)/.exec(example)?.[1];
  return !into.length ? "" : into.includes(wanted) ? example : example.replace(/to:\S+/, "to:" + into[0]);
}

function welcome(chat) {
  const place = make("ul");
  examples.add(place);
  showExamples(place);
  return make("section", { class: "welcome", "aria-label": say("welcome_title", { chat: chat.name }) },
    make("h2", {}, say("welcome_title", { chat: chat.name })),
    make("p", {}, say("welcome")),
    place);
}

export function open(name) {
  if (seat.chat) {
    seat.onLeave(seat.chat);
    seat.chat.panel.hidden = true;
    seat.chat.tab.setAttribute("aria-selected", "false");
    seat.chat.tab.tabIndex = -1;
  }
  const chat = seat.chat = chats.get(name);
  chat.panel.hidden = false;
  chat.tab.setAttribute("aria-selected", "true");
  chat.tab.tabIndex = 0;
  chat.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  chat.unread = 0;
  showUnread(chat);
  $("room-name").textContent = name;
  if (chat.atEnd) toEnd(chat);
  showNewer(chat);
  remember("potluck-chat", name);
  seat.onOpen(chat);
}

export function toEnd(chat) { chat.log.scrollTop = chat.log.scrollHeight; }

// showNewer offers the way to the end to who is far from it, and tells when something new is there.
function showNewer(chat) {
  if (chat.atEnd) chat.missed = 0;
  const far = chat.log.scrollHeight - chat.log.scrollTop - chat.log.clientHeight > chat.log.clientHeight;
  $("newer").hidden = chat.atEnd || !(far || chat.missed);
  $("newer").classList.toggle("news", chat.missed > 0);
  $("newer-words").textContent = say(chat.missed ? "newer" : "to_end");
}
$("newer").addEventListener("click", () => {
  seat.chat.atEnd = true;
  toEnd(seat.chat);
  showNewer(seat.chat);
  $("text").focus();
});

function showUnread(chat) {
  chat.count.hidden = !chat.unread;
  chat.count.textContent = chat.unread > 99 ? "99+" : chat.unread;
  chat.tab.setAttribute("aria-label", chat.unread ? `${chat.name}, ${say("unread", { n: chat.unread })}` : chat.name);
  showEnds(); // the tab may be wider now
  const all = [...chats.values()].reduce((n, c) => n + c.unread, 0);
  document.title = (all ? `(${all}) ` : "") + title;
}
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !seat.chat) return;
  seat.chat.unread = 0;
  showUnread(seat.chat);
});

// ---- What comes in

// take shows an event of the stream: a message, an edit or a delete.
export function take(kind, m) {
  const chat = chats.get(m.chat);
  if (!chat) return;
  const entry = chat.messages.get(m.id);
  if (kind === "delete") {
    if (entry) remove(chat, entry);
    return;
  }
  if (entry) return change(chat, entry, m);
  if (kind === "edit" && chat.messages.size >= KEPT) return; // it left the page long ago
  const sent = m.mine && chat.sending.find((s) => s.id === m.id || s.m.text === m.text);
  if (sent) arrived(chat, sent);
  const e = build(chat, m, seat.replayed && !sent);
  chat.messages.set(m.id, e);
  put(chat, e);
  if (chat.messages.size > KEPT) remove(chat, chat.messages.values().next().value);
  settle(chat, e);
}

// put places a message behind those that are there, in front of those that are still on their way to the server.
function put(chat, e) {
  const before = chat.sending[0]?.entry.node || null;
  const key = e.at.toDateString();
  if (chat.lastDay !== key) {
    chat.lastDay = key;
    chat.table.insertBefore(make("div", { class: "day", role: "separator", "aria-label": day(e.at) }, make("span", { "aria-hidden": "true" }, day(e.at))), before);
  }
  chat.table.insertBefore(e.node, before);
  group(chat, e.node);
}

function change(chat, e, m) {
  const finished = !e.m.final && m.final, text = e.m.text, asks = m.asks && text !== m.text;
  fill(chat, e, m);
  if (text !== m.text) requoteAll(chat, m.id);
  if (!seat.replayed) return;
  if (chat.atEnd) toEnd(chat);
  if ((finished || asks) && chat === seat.chat) speak(`${m.author}: ${m.text.slice(0, 400)}`);
}

// After a message came: keep the end in sight, or tell that there is something new.
function settle(chat, e) {
  if (!seat.replayed) return;
  if (chat.atEnd || e.m.mine) {
    chat.atEnd = true;
    toEnd(chat);
  } else if (chat === seat.chat) {
    chat.missed++;
    showNewer(chat);
  }
  if (e.m.mine) return;
  if (chat !== seat.chat || document.hidden) {
    chat.unread++;
    showUnread(chat);
  }
  if (chat === seat.chat && (e.m.final || e.m.asks)) speak(`${e.m.author}: ${e.m.text.slice(0, 400)}`);
}

function remove(chat, e) {
  const next = e.node.nextElementSibling;
  if (e.node.previousElementSibling?.matches(".day") && !next?.matches(".msg")) {
    e.node.previousElementSibling.remove();
    if (!next) chat.lastDay = null;
  }
  if (e.node.contains(document.activeElement)) chat.log.focus({ preventScroll: true });
  e.node.remove();
  chat.messages.delete(e.m.id);
  requoteAll(chat, e.m.id);
  if (next?.matches(".msg")) group(chat, next);
  if (chat.reply?.id === e.m.id || chat.edit?.id === e.m.id) does.forget(chat);
}

// clearChats empties all chats but for what is on its way to the server: somebody else is about to read here, or an older history.
export function clearChats() {
  seat.replayed = false;
  for (const chat of chats.values()) {
    for (const node of [...chat.table.children]) if (node.matches(".day") || node.matches(".msg:not(.sending)")) node.remove();
    chat.messages.clear();
    Object.assign(chat, { lastDay: null, missed: 0, unread: 0, atEnd: true });
    does.forget(chat);
    showUnread(chat);
  }
}

function requoteAll(chat, id) {
  for (const e of chat.messages.values()) if (e.quote && e.m.reply_to === id) requote(chat, e);
}

// Messages of one author that follow each other closely share one head; an answer right below its question needs no quote of it.
function group(chat, node) {
  const e = node.entry, before = node.previousElementSibling?.entry;
  node.classList.toggle("follow", !!before && before.node.dataset.by === node.dataset.by && e.at - before.at < TOGETHER && (!e.m.reply_to || !e.m.bot) && before.m.only === e.m.only && before.m.author === e.m.author);
  node.classList.toggle("answers-above", !!e.m.reply_to && before?.m.id === e.m.reply_to);
}

// ---- What goes out: a message stands in the chat before the server has it

export function sending(chat, me, text, replyTo) {
  const m = { id: "sending", chat: chat.name, author: me.name, user: me.user, mine: true, sending: true, text, spans: [], pictures: [], buttons: [], final: true, at: new Date().toISOString(), reply_to: replyTo };
  const s = { m, id: null, entry: build(chat, m, true) };
  chat.sending.push(s);
  chat.table.append(s.entry.node);
  group(chat, s.entry.node);
  chat.atEnd = true;
  toEnd(chat);
  return s;
}
// arrived takes the stand-in away: the message itself is there, or will never be.
export function arrived(chat, s) {
  const at = chat.sending.indexOf(s);
  if (at < 0) return;
  chat.sending.splice(at, 1);
  s.entry.node.remove();
}
// known tells the id of a message that the server has taken.
export function known(chat, s, id) {
  s.id = id;
  if (chat.messages.has(id)) arrived(chat, s);
}

export function lastOwn(chat) {
  return [...chat.messages.values()].reverse().find((e) => e.m.mine)?.m;
}
