// The box in which people write: new messages, replies, changes of what they wrote before.
import { $, hasHover, icon } from "./dom.js";
import { arrived, chats, known, lastOwn, seat, sending } from "./chats.js";
import { completionKey, complete, hideCompletion } from "./completion.js";
import { does, excerpt } from "./message.js";
import { call, complain, door } from "./net.js";
import { say } from "./words.js";

const text = $("text");
const narrow = matchMedia("(max-width: 359px)").matches; // a longer placeholder would be cut
let me = null;
export function writeAs(person) { me = person; }

function grow() {
  text.style.height = "auto";
  text.style.height = text.scrollHeight + "px";
  $("composer").classList.toggle("filled", text.value !== "");
}
export function setText(value) {
  text.value = value;
  grow();
  text.setSelectionRange(value.length, value.length);
  complete();
}

// ---- What the text is: a reply, a change, or neither

function context() {
  const chat = seat.chat, m = chat.edit || chat.reply;
  $("context").hidden = !m;
  const editing = Boolean(chat.edit);
  for (const [id, words] of [["send", editing ? "save" : "send"], ["context-cancel", editing ? "edit_cancel" : "reply_cancel"]]) {
    $(id).setAttribute("aria-label", say(words));
    $(id).title = say(words);
  }
  $("send").replaceChildren(icon(editing ? "check" : "send"));
  if (!m) return;
  $("context-icon").replaceChildren(icon(editing ? "edit" : "reply"));
  $("context-title").textContent = editing ? say("editing") : m.mine ? say("you") : m.author;
  $("context-text").textContent = excerpt(m);
}
does.reply = (m) => {
  if (seat.chat.edit) stopEdit();
  seat.chat.reply = m;
  context();
  text.focus();
};
does.edit = (m) => {
  const chat = seat.chat;
  if (!chat.edit) chat.beforeEdit = text.value;
  chat.edit = m;
  chat.reply = null;
  setText(m.text);
  context();
  text.focus();
};
does.type = (value) => { setText(value); text.focus(); };
addEventListener("potluck-type", (e) => does.type(e.detail));
does.forget = (chat) => {
  if (chat === seat.chat && chat.edit) stopEdit();
  chat.reply = chat.edit = null;
  if (chat === seat.chat) context();
};
function stopEdit() {
  const chat = seat.chat;
  chat.edit = null;
  setText(chat.beforeEdit || "");
  chat.beforeEdit = "";
  context();
}
function cancel() {
  if (seat.chat.edit) stopEdit(); else { seat.chat.reply = null; context(); }
}
$("context-cancel").addEventListener("click", () => { cancel(); text.focus(); });

seat.onLeave = (chat) => { chat.draft = text.value; };
seat.onOpen = (chat) => {
  text.setAttribute("aria-label", say("message_to", { chat: chat.name }));
  text.placeholder = say(narrow ? "message_to" : "placeholder", { chat: chat.name });
  setText(chat.draft);
  context();
};

// What is half written survives a page that loads anew, because of another language say.
addEventListener("pagehide", () => {
  if (!seat.chat) return;
  seat.onLeave(seat.chat);
  const drafts = [...chats.values()].map((c) => [c.name, c.edit ? c.beforeEdit : c.draft]).filter(([, draft]) => draft);
  try { sessionStorage.setItem("potluck-drafts", JSON.stringify(drafts)); } catch { /* a private window keeps nothing */ }
});
export function restoreDrafts() {
  try {
    for (const [name, draft] of JSON.parse(sessionStorage.getItem("potluck-drafts") || "[]")) if (chats.has(name)) chats.get(name).draft = draft;
    sessionStorage.removeItem("potluck-drafts");
  } catch { /* then there are none */ }
}

// ---- Sending

let outbox = Promise.resolve(); // one message after the other, in the order of typing
const nonce = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");

function send() {
  const value = text.value.trim(), chat = seat.chat;
  if (!value || !chat || !me) return;
  if (chat.edit) return save(chat, value);
  const answered = chat.reply;
  chat.reply = null;
  setText("");
  context();
  post(chat, value, answered);
}

function post(chat, value, answered) {
  const body = { chat: chat.name, text: value, nonce: nonce() };
  if (answered) body.reply_to = answered.id;
  const stand = sending(chat, me, value, body.reply_to);
  outbox = outbox.then(() => deliver("messages", body)).then((a) => known(chat, stand, a.id)).catch((error) => {
    arrived(chat, stand);
    giveBack(chat, value, answered);
    complain(error);
  });
}

// giveBack: nothing that somebody wrote is lost.
function giveBack(chat, value, answered) {
  if (chat === seat.chat && !chat.edit) {
    setText(value + (text.value ? "\n" + text.value : ""));
    if (answered) does.reply(answered);
  } else chat.draft = value + (chat.draft ? "\n" + chat.draft : "");
}

function save(chat, value) {
  const m = chat.edit;
  stopEdit();
  if (value === m.text) return;
  outbox = outbox.then(() => deliver("messages/edit", { chat: chat.name, message: m.id, text: value })).catch((error) => {
    if (chat === seat.chat) { does.edit(m); setText(value); }
    complain(error);
  });
}

async function deliver(path, body) {
  let moved = false;
  for (let tries = 1; ; tries++) {
    try { return await call(path, body); } catch (error) {
      if (error.status === 401) { // forgotten meanwhile: it is sent from the new seat
        await door.seat();
        moved = true;
        continue;
      }
      if (moved && body.reply_to && error.answer?.code === "gone") { // what it answered was forgotten, too
        delete body.reply_to;
        continue;
      }
      if (error.answer?.code === "name_in_use") dispatchEvent(new Event("potluck-name-in-use"));
      // The nonce makes a second try safe: the server knows whether the first one arrived.
      if (tries === 4 || (error.status && error.status < 500)) throw error;
      await new Promise((r) => setTimeout(r, 400 * 2 ** tries));
    }
  }
}

// ---- Keys

$("composer").addEventListener("submit", (e) => { e.preventDefault(); send(); text.focus(); });
text.addEventListener("input", () => { grow(); complete(); });
text.addEventListener("click", complete);
text.addEventListener("blur", () => setTimeout(() => { if (document.activeElement !== text && document.activeElement !== $("completion")) hideCompletion(); }, 150));
text.addEventListener("keydown", (e) => {
  // An input method that is composing takes Enter, arrows and Escape for itself; Safari tells so by keyCode only.
  if (e.isComposing || e.keyCode === 229) return;
  if (completionKey(e)) return e.preventDefault();
  if (e.key === "Escape" && (seat.chat?.reply || seat.chat?.edit)) return cancel();
  if (e.key === "ArrowUp" && !text.value && seat.chat && lastOwn(seat.chat)) {
    e.preventDefault();
    return does.edit(lastOwn(seat.chat));
  }
  if (e.key === "Enter" && !e.shiftKey && !e.altKey) {
    e.preventDefault();
    send();
  }
});
text.addEventListener("keyup", (e) => { if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(e.key)) complete(); });
$("slash").addEventListener("click", () => {
  if (!text.value.startsWith("/")) setText("/" + text.value);
  text.focus();
  complete();
});
// Buttons elsewhere on the page that say a command for whoever presses them, whatever is half written in the box.
for (const b of document.querySelectorAll("[data-say]")) {
  b.addEventListener("click", () => {
    b.closest("[popover]")?.hidePopover();
    if (seat.chat && me) post(seat.chat, b.dataset.say, null);
    if (hasHover) text.focus();
  });
}
