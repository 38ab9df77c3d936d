// One message of a chat: built once, filled again whenever it changes.
import { $, copy, icon, make } from "./dom.js";
import { call, complain } from "./net.js";
import { openMenu } from "./menu.js";
import { botAvatar, dressAvatar } from "./people.js";
import { render } from "./rich.js";
import { showPictures } from "./viewer.js";
import { moment, say, time } from "./words.js";

// does is what a message can be asked to do; chats.js fills it in.
export const does = { reply() {}, edit() {}, moderates: () => false };

export function build(chat, m, fresh) {
  const at = new Date(m.at);
  const avatar = make("div", { class: "avatar", "aria-hidden": "true" });
  if (m.bot) botAvatar(avatar); else dressAvatar(avatar, m.author, m.user);
  const e = {
    m: null, at, quote: null, body: make("div", { class: "body", dir: "auto" }), print: make("div", { class: "small-print", dir: "auto", hidden: true }), edited: make("span", { class: "edited", hidden: true }, say("edited")),
    pictures: make("div", { class: "pictures", hidden: true }), buttons: make("div", { class: "buttons", hidden: true }),
  };
  const meta = make("div", { class: "meta" }, make("strong", { dir: "auto" }, m.author), m.bot ? make("span", { class: "badge" }, say("bot")) : null,
    make("time", { datetime: m.at, title: moment.format(at) }, time.format(at)), e.edited);
  const bubble = make("div", { class: "bubble" });
  if (m.reply_to) {
    e.quote = quote(chat, m.reply_to);
    bubble.append(e.quote);
  }
  bubble.append(e.body, e.pictures, e.print, e.buttons);
  const stack = make("div", { class: "stack" }, meta, bubble, m.only ? make("p", { class: "only-note" }, icon("lock"), say("only")) : null);
  const kind = ["msg", m.bot && "bot", m.mine && "mine", m.only && "only", fresh && "fresh", m.sending && "sending"].filter(Boolean).join(" ");
  e.node = make("article", { class: kind, "data-id": m.id, "data-by": m.user || "bot", tabindex: "-1", "aria-label": `${m.author}, ${time.format(at)}` }, avatar, stack, m.sending ? null : tools(chat, e));
  e.node.entry = e;
  fill(chat, e, m);
  return e;
}

function tools(chat, e) {
  const reply = make("button", { class: "icon reply-tool", type: "button", onclick: () => does.reply(e.m) }, icon("reply"));
  const more = make("button", { class: "icon", type: "button", "aria-haspopup": "menu", "aria-expanded": "false", "aria-label": say("more"), title: say("more"), onclick: () => openMenu(more, menuOf(e)) }, icon("more"));
  e.replyTool = reply;
  return make("div", { class: "tools" }, reply, more);
}

function menuOf(e) {
  const m = e.m;
  const items = [{ icon: "reply", words: say("reply"), run: () => does.reply(m) }];
  if (m.text) items.push({ icon: "copy", words: say("copy_text"), run: () => copy(m.text) });
  if (m.mine) items.push({ icon: "edit", words: say("edit"), run: () => does.edit(m) });
  if (m.final && (m.mine || does.moderates())) items.push({ icon: "trash", words: say("delete"), danger: true, run: () => askDelete(m) });
  return items;
}

function askDelete(m) {
  const dialog = $("confirm");
  $("confirm-text").textContent = excerpt(m);
  dialog.returnValue = "";
  dialog.onclose = async () => {
    if (dialog.returnValue !== "yes") return;
    try { await call("messages/delete", { chat: m.chat, message: m.id }); } catch (error) { complain(error); }
  };
  dialog.showModal();
}

export function fill(chat, e, m) {
  const old = e.m;
  e.m = m;
  e.node.classList.toggle("cooking", m.bot && !m.final && !m.asks);
  e.edited.hidden = !m.edited;
  if (e.replyTool) {
    e.replyTool.title = say("reply_to", { name: m.author });
    e.replyTool.setAttribute("aria-label", e.replyTool.title);
  }
  if (old?.text !== m.text || !old?.pictures?.length !== !m.pictures?.length || JSON.stringify([old?.spans, old?.shown]) !== JSON.stringify([m.spans, m.shown])) showBody(e, m);
  e.body.hidden = !m.text && m.final;
  const pictures = m.pictures || [];
  if (JSON.stringify(old?.pictures || []) !== JSON.stringify(pictures) || old?.final !== m.final) showPictures(e.pictures, pictures, !m.final);
  if (JSON.stringify(old?.buttons || []) !== JSON.stringify(m.buttons)) showButtons(e, m);
}

// A bar goes on from where it stood, so that it glides instead of jumping.
function showBody(e, m) {
  const before = e.body.querySelector(".bar-fill")?.style.width;
  e.body.replaceChildren(...render(m.shown?.text ?? m.text, m.shown?.spans ?? m.spans));
  const bar = e.body.querySelector(".bar-fill");
  e.node.classList.toggle("measured", !!bar);
  showPrint(e, m);
  if (!bar || !before) return;
  const now = bar.style.width;
  bar.style.width = before;
  bar.getBoundingClientRect(); // so that the browser sees where it begins
  bar.style.width = now;
}

// Below pictures stands what would otherwise push them down: who drew them, how, and notes in small print.
function showPrint(e, m) {
  const small = m.pictures?.length ? [...e.body.childNodes].filter((n) => n.nodeName === "SMALL") : [];
  e.print.hidden = !small.length;
  e.print.replaceChildren(...small.flatMap((n, i) => (i ? ["\n", ...n.childNodes] : [...n.childNodes])));
  for (const n of small) n.remove();
  e.body.normalize(); // what stood around a note is one text now
  const last = e.body.lastChild;
  if (small.length && last?.nodeType === Node.TEXT_NODE) last.data = last.data.trimEnd();
}

function showButtons(e, m) {
  e.buttons.hidden = !m.buttons.length;
  e.buttons.replaceChildren(...m.buttons.map((b) => {
    const button = make("button", { class: "button " + (["primary", "danger"].includes(b.style) ? b.style : ""), type: "button", onclick: async () => {
      button.disabled = true;
      try { await call("actions", { message: m.id, action: b.id, chat: m.chat }); } catch (error) { complain(error); }
      setTimeout(() => { button.disabled = false; }, 1200);
    } }, b.label);
    return button;
  }));
}

export const excerpt = (m) => m.text.replace(/[▓░]{5,}/g, "").replace(/\s+/g, " ").trim().slice(0, 140) || (m.images?.length ? say("picture") : "…");

function quote(chat, id) {
  const target = chat.messages.get(id);
  if (!target) return make("p", { class: "quote gone" }, icon("reply"), make("span", {}, say("gone_quote")));
  const name = target.m.mine ? say("you") : target.m.author, text = excerpt(target.m);
  return make("button", { class: "quote", type: "button", "data-of": id, onclick: () => jump(chat, id) },
    icon("reply"), make("span", { class: "unseen" }, say("answers") + " "), make("strong", { dir: "auto" }, name), " ", make("span", { dir: "auto" }, text));
}
// requote makes the quote of a message anew, because what it quotes changed or went away.
export function requote(chat, e) {
  const now = quote(chat, e.m.reply_to);
  e.quote.replaceWith(now);
  e.quote = now;
}

function jump(chat, id) {
  const found = chat.messages.get(id)?.node;
  if (!found) return;
  chat.atEnd = false;
  found.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  found.focus({ preventScroll: true });
  found.classList.remove("found");
  requestAnimationFrame(() => found.classList.add("found"));
}
