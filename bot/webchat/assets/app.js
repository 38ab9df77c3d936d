// The page of Potluck. Everything that people or models wrote becomes text nodes; nothing is ever parsed as HTML.

const words = {
  en: {
    chats: "Chats", commands: "Commands", send: "Send", cancel: "Cancel", close: "Close", next: "Next picture", previous: "Previous picture",
    viewer: "Picture", original: "Open the original", rename: "Change your name", operator: "Operator", bot: "bot",
    rail_note: "Everyone brings a GPU, everyone eats. Answers here are cooked on machines that members share.",
    hint: "Enter sends, Shift + Enter starts a new line, / lists the commands.",
    name_label: "Your name", name_title: "Pull up a chair", name_hint: "No account needed. Everyone on this page sees your name and what you write.",
    name_save: "Take a seat", rename_title: "Change your name", rename_hint: "New messages carry the new name.", rename_save: "Save",
    welcome_title: "Welcome to {chat}", welcome: "Ask, draw or translate: type a command, and a computer that somebody shares does the work. Try one of these:",
    examples: ["/ask Why does bread rise?", "/imagine a long table under lemon trees at dusk", "/translate to:es Dinner is ready!"],
    message_to: "Message to {chat}", placeholder: "Write to {chat}, or type /", newer: "New messages", reply: "Reply to {name}",
    reply_cancel: "Do not reply", you: "You", only: "Only you can see this", copy: "Copy", copied: "Copied", code: "code", picture: "Picture",
    show_picture: "Show picture", spoiler: "Hidden text, press to show", gone_quote: "a message that is not here", unread: "{n} unread",
    connecting: "Connecting…", live: "Connected", lost: "Reconnecting…", today: "Today",
    error: {},
    network: "That did not get through. Your text is back in the box below.",
  },
  es: {
    chats: "Chats", commands: "Comandos", send: "Enviar", cancel: "Cancelar", close: "Cerrar", next: "Imagen siguiente", previous: "Imagen anterior",
    viewer: "Imagen", original: "Abrir el original", rename: "Cambiar tu nombre", operator: "Operador", bot: "bot",
    rail_note: "Cada quien trae una GPU y todos comen. Las respuestas se cocinan en máquinas que comparten los miembros.",
    hint: "Intro envía, Mayús + Intro hace una línea nueva, / muestra los comandos.",
    name_label: "Tu nombre", name_title: "Siéntate a la mesa", name_hint: "Sin cuenta. Todos en esta página ven tu nombre y lo que escribes.",
    name_save: "Tomar asiento", rename_title: "Cambiar tu nombre", rename_hint: "Los mensajes nuevos llevarán el nombre nuevo.", rename_save: "Guardar",
    welcome_title: "Te damos la bienvenida a {chat}", welcome: "Pregunta, dibuja o traduce: escribe un comando y lo hará un ordenador que alguien comparte. Prueba uno:",
    examples: ["/ask ¿Por qué sube el pan?", "/imagine una mesa larga bajo limoneros al atardecer", "/translate to:en ¡La cena está lista!"],
    message_to: "Mensaje para {chat}", placeholder: "Escribe en {chat}, o teclea /", newer: "Mensajes nuevos", reply: "Responder a {name}",
    reply_cancel: "No responder", you: "Tú", only: "Solo tú puedes ver esto", copy: "Copiar", copied: "Copiado", code: "código", picture: "Imagen",
    show_picture: "Mostrar imagen", spoiler: "Texto oculto, pulsa para verlo", gone_quote: "un mensaje que no está aquí", unread: "{n} sin leer",
    connecting: "Conectando…", live: "Conectado", lost: "Volviendo a conectar…", today: "Hoy",
    error: {
      too_fast: "Eso fue un poco rápido. Espera un momento y prueba otra vez.", too_long: "Es demasiado largo.", bad_name: "Elige un nombre de 1 a 32 caracteres.",
      taken_name: "Con ese nombre te tomarían por el bot, el operador o todo el grupo. Elige otro.", gone: "Ya no está aquí.", starting: "Potluck está arrancando o parando. Prueba en un momento.",
      storage: "El disco de este Potluck está lleno o no admite nada. Prueba más tarde.", busy: "Hay mucho trabajo ahora mismo. Prueba en un momento.", internal: "Algo salió mal aquí. Prueba en un momento.", full: "La mesa está llena. Prueba en un momento.",
      too_many_streams: "Esta página está abierta en demasiadas pestañas. Cierra una.",
    },
    network: "No llegó. Tu texto está de nuevo en la caja.",
  },
  de: {
    chats: "Chats", commands: "Befehle", send: "Senden", cancel: "Abbrechen", close: "Schließen", next: "Nächstes Bild", previous: "Vorheriges Bild",
    viewer: "Bild", original: "Original öffnen", rename: "Namen ändern", operator: "Betreiber", bot: "Bot",
    rail_note: "Alle bringen eine GPU mit, alle werden satt. Gekocht wird auf Rechnern, die Mitglieder teilen.",
    hint: "Eingabe sendet, Umschalt + Eingabe beginnt eine neue Zeile, / zeigt die Befehle.",
    name_label: "Dein Name", name_title: "Setz dich dazu", name_hint: "Ohne Konto. Alle auf dieser Seite sehen deinen Namen und was du schreibst.",
    name_save: "Platz nehmen", rename_title: "Namen ändern", rename_hint: "Neue Nachrichten tragen den neuen Namen.", rename_save: "Speichern",
    welcome_title: "Willkommen in {chat}", welcome: "Fragen, zeichnen, übersetzen: Tippe einen Befehl, und ein geteilter Rechner macht die Arbeit. Zum Beispiel:",
    examples: ["/ask Warum geht Brot auf?", "/imagine eine lange Tafel unter Zitronenbäumen im Abendlicht", "/translate to:en Das Essen ist fertig!"],
    message_to: "Nachricht an {chat}", placeholder: "Schreib an {chat} oder tippe /", newer: "Neue Nachrichten", reply: "{name} antworten",
    reply_cancel: "Nicht antworten", you: "Du", only: "Nur für dich sichtbar", copy: "Kopieren", copied: "Kopiert", code: "Code", picture: "Bild",
    show_picture: "Bild zeigen", spoiler: "Verborgener Text, zum Zeigen drücken", gone_quote: "eine Nachricht, die nicht hier ist", unread: "{n} ungelesen",
    connecting: "Verbinden …", live: "Verbunden", lost: "Verbindung wird wiederhergestellt …", today: "Heute",
    error: {
      too_fast: "Das war etwas schnell. Warte einen Moment.", too_long: "Das ist zu lang.", bad_name: "Wähle einen Namen mit 1 bis 32 Zeichen.",
      taken_name: "Mit diesem Namen hält man dich für den Bot, den Betreiber oder alle. Wähle einen anderen.", gone: "Das gibt es nicht mehr.", starting: "Potluck startet oder stoppt gerade. Versuch es gleich noch einmal.",
      storage: "Der Speicher dieses Potluck ist voll oder nimmt nichts an. Versuch es später noch einmal.", busy: "Gerade ist viel los. Versuch es gleich noch einmal.", internal: "Hier ging etwas schief. Versuch es gleich noch einmal.", full: "Der Tisch ist gerade voll. Versuch es gleich noch einmal.",
      too_many_streams: "Diese Seite ist in zu vielen Tabs offen. Schließe einen.",
    },
    network: "Das kam nicht an. Dein Text steht wieder im Feld.",
  },
  ja: {
    chats: "チャット", commands: "コマンド", send: "送信", cancel: "やめる", close: "閉じる", next: "次の画像", previous: "前の画像",
    viewer: "画像", original: "元の画像を開く", rename: "名前を変える", operator: "運営者", bot: "ボット",
    rail_note: "みんなで GPU を持ち寄り、みんなで味わう。返事はメンバーが貸してくれるパソコンで作られます。",
    hint: "Enter で送信、Shift + Enter で改行、/ でコマンド一覧。",
    name_label: "名前", name_title: "さあ、席へどうぞ", name_hint: "アカウントは不要です。名前と書き込みは、このページの全員に見えます。",
    name_save: "席に着く", rename_title: "名前を変える", rename_hint: "次の書き込みから新しい名前になります。", rename_save: "保存",
    welcome_title: "{chat} へようこそ", welcome: "質問、お絵かき、翻訳。コマンドを書くと、誰かが貸してくれたパソコンが働きます。たとえば:",
    examples: ["/ask パンはなぜ膨らむの?", "/imagine 夕暮れのレモンの木の下の長いテーブル", "/translate to:en ごはんができたよ!"],
    message_to: "{chat} へのメッセージ", placeholder: "{chat} に書く。/ でコマンド", newer: "新しいメッセージ", reply: "{name} に返信",
    reply_cancel: "返信をやめる", you: "あなた", only: "あなただけに見えています", copy: "コピー", copied: "コピーしました", code: "コード", picture: "画像",
    show_picture: "画像を表示", spoiler: "隠れた文字。押すと表示", gone_quote: "ここにないメッセージ", unread: "未読 {n} 件",
    connecting: "接続中…", live: "接続済み", lost: "再接続中…", today: "今日",
    error: {
      too_fast: "少し速すぎます。しばらくしてからもう一度どうぞ。", too_long: "長すぎます。", bad_name: "1〜32 文字の名前にしてください。",
      taken_name: "ボットや運営者、全員への呼びかけと紛らわしい名前です。別の名前にしてください。", gone: "もうありません。", starting: "起動中または停止中です。少し待ってからどうぞ。",
      storage: "この Potluck のディスクに書き込めません。しばらくしてからどうぞ。", busy: "いま混み合っています。少し待ってからどうぞ。", internal: "問題が起きました。少し待ってからどうぞ。", full: "いま満席です。少し待ってからどうぞ。",
      too_many_streams: "このページを開いているタブが多すぎます。一つ閉じてください。",
    },
    network: "届きませんでした。文章は入力欄に戻しました。",
  },
};
const locale = (navigator.languages?.length ? navigator.languages : [navigator.language || "en"]).map((l) => l.slice(0, 2).toLowerCase()).find((l) => words[l]) || "en";
const say = (key, values = {}) => (words[locale][key] ?? words.en[key] ?? key).replace(/\{(\w+)\}/g, (_, k) => values[k] ?? "");
const sentence = (answer) => words[locale].error[answer?.code] || answer?.error || say("network");

const $ = (id) => document.getElementById(id);
const title = document.body.dataset.title;
const keyboard = matchMedia("(hover: hover)").matches; // on a phone, focus would cover half the page
const KEPT = 400; // messages per chat in the page; older ones leave it

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) {
    if (k === "class") node.className = v;
    else if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
    else if (v !== undefined && v !== false) node.setAttribute(k, v === true ? "" : v);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", "#i-" + name);
  svg.append(use);
  return svg;
}
function storage(key, value) { // private windows may refuse it
  try { return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value); } catch { return null; }
}

document.documentElement.lang = locale;
for (const n of document.querySelectorAll("[data-text]")) n.textContent = say(n.dataset.text);
for (const n of document.querySelectorAll("[data-label]")) { n.setAttribute("aria-label", say(n.dataset.label)); if (n.tagName === "BUTTON") n.title = say(n.dataset.label); }

// ---- Talking to the server

async function call(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  const response = await fetch("/webchat/" + path, options);
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer.error || response.statusText), { status: response.status, answer });
  return answer;
}
let toastTimer;
function toast(text) {
  const t = $("toast");
  t.hidden = false;
  t.textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { t.hidden = true; }, 6000);
}
const complain = (error) => toast(error.answer ? sentence(error.answer) : say("network"));

// ---- People

let me = null;
function hue(id) {
  let h = 2166136261;
  for (const c of id) h = Math.imul(h ^ c.codePointAt(0), 16777619);
  return (h >>> 0) % 360;
}
const letters = globalThis.Intl?.Segmenter ? new Intl.Segmenter() : null;
function initial(name) {
  const first = letters ? letters.segment(name)[Symbol.iterator]().next().value?.segment : [...name][0];
  return (first || "?").toLocaleUpperCase();
}
function dressAvatar(node, name, id) {
  node.textContent = initial(name);
  node.style.setProperty("--hue", hue(id || name));
}
function showMe() {
  $("me").hidden = false;
  $("me-name").textContent = me.name;
  $("me-role").textContent = me.operator ? say("operator") : say("rename");
  $("me").setAttribute("aria-label", `${me.name}. ${say("rename")}`);
  dressAvatar($("me").querySelector(".avatar"), me.name, me.user);
}
function askName() {
  const first = !me;
  const dialog = $("name-dialog");
  $("name-title").textContent = say(first ? "name_title" : "rename_title");
  $("name-hint").textContent = say(first ? "name_hint" : "rename_hint");
  $("name-save").textContent = say(first ? "name_save" : "rename_save");
  $("name-cancel").hidden = first;
  $("name-error").textContent = "";
  $("name").value = me?.name || storage("potluck-name") || "";
  return new Promise((resolve) => {
    dialog.oncancel = (e) => { if (first) e.preventDefault(); };
    dialog.onclose = () => { if (first && !me) dialog.showModal(); else resolve(); };
    $("name-cancel").onclick = () => dialog.close();
    $("name").oninput = () => { $("name-error").textContent = ""; };
    $("name-form").onsubmit = async (e) => {
      e.preventDefault();
      $("name-error").textContent = "";
      try {
        me = await call("session", { name: $("name").value });
        storage("potluck-name", me.name);
        showMe();
        dialog.close();
      } catch (error) { $("name-error").textContent = error.answer ? sentence(error.answer) : error.message; }
    };
    dialog.showModal();
    $("name").select();
  });
}

// ---- Text with spans

const encoder = new TextEncoder(), decoder = new TextDecoder();
const webAddress = (s) => { try { const u = new URL(s); return /^https?:$/.test(u.protocol) && !u.username ? u : null; } catch { return null; } };
function anchor(address, ...children) {
  return make("a", { href: address.href, target: "_blank", rel: "noopener noreferrer nofollow", dir: "auto" }, ...children);
}
// Bare addresses become links; what stands around them stays text.
function linked(text) {
  const nodes = [];
  let at = 0;
  for (const m of text.matchAll(/https?:\/\/[^\s<>"'`]+/g)) {
    const found = m[0].replace(/[.,;:!?)\]}»。、]+$/, "");
    const address = webAddress(found);
    if (!address) continue;
    nodes.push(text.slice(at, m.index), anchor(address, found));
    at = m.index + found.length;
  }
  nodes.push(text.slice(at));
  return nodes.filter((n) => n !== "");
}
function render(text, spans) {
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
      if (s) nodes.push(...(plain ? [s] : linked(s)));
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
function dress(span, inside, text) {
  const simple = { bold: "strong", italic: "em", underline: "u", strike: "s", code: "code", small: "small", quote: "blockquote" }[span.kind];
  if (simple) return [make(simple, {}, ...inside)];
  switch (span.kind) {
    case "heading": return [make("strong", { class: "heading" }, ...inside)];
    case "mention": return [make("span", { class: "mention" }, ...inside)];
    case "pre": return [codeBlock(text, span.value)];
    case "link": {
      const address = webAddress(span.value);
      if (!address) return inside;
      const link = anchor(address, ...inside);
      if (text === span.value || text === address.href || webAddress(text)?.href === address.href) return [link];
      const shown = span.value.length > 80 ? address.origin + "/…" : span.value;
      return [link, make("bdi", { class: "address" }, " (" + shown + ")")];
    }
    case "spoiler": {
      const open = (e) => {
        if (e.type === "keydown" && e.key !== "Enter" && e.key !== " ") return;
        if (cover.classList.contains("open")) return;
        e.preventDefault();
        cover.classList.add("open");
        for (const a of ["role", "tabindex", "aria-label"]) cover.removeAttribute(a);
      };
      const cover = make("span", { class: "spoiler", role: "button", tabindex: "0", "aria-label": say("spoiler"), onclick: open, onkeydown: open }, ...inside);
      return [cover];
    }
    case "timestamp": {
      const at = new Date(Number(span.value) * 1000);
      return isNaN(at) ? inside : [make("time", { datetime: at.toISOString(), title: at.toLocaleString() }, ...inside)];
    }
  }
  return inside;
}
function codeBlock(text, language) {
  text = text.replace(/\n$/, "");
  const button = make("button", { class: "copy", type: "button", onclick: async () => {
    try { await navigator.clipboard.writeText(text); } catch { // no clipboard without TLS
      const box = make("textarea", { class: "unseen" }, text);
      document.body.append(box);
      box.select();
      document.execCommand("copy");
      box.remove();
    }
    button.textContent = say("copied");
    setTimeout(() => { button.textContent = say("copy"); }, 1600);
  } }, say("copy"));
  return make("div", { class: "block" },
    make("div", { class: "block-head" }, make("span", {}, language || say("code")), button),
    make("pre", { tabindex: "0", dir: "ltr" }, make("code", {}, text)));
}

// ---- Chats

const chats = new Map(); // name → {tab, panel, log, table, messages: Map id → entry, unread, atEnd}
let current = null;
const time = new Intl.DateTimeFormat(navigator.language, { hour: "numeric", minute: "2-digit" });
const day = new Intl.DateTimeFormat(navigator.language, { weekday: "long", day: "numeric", month: "long" });

function buildChats(names) {
  names.forEach((name, i) => {
    const count = make("span", { class: "count", hidden: true });
    const tab = make("button", { class: "tab", type: "button", role: "tab", id: "tab-" + i, "aria-controls": "panel-" + i, "aria-selected": "false", tabindex: "-1", onclick: () => open(name) },
      make("span", { dir: "auto" }, name), count);
    const table = make("div", { class: "table" });
    const log = make("div", { class: "log", role: "log", tabindex: "0", "aria-live": "off", "aria-labelledby": "tab-" + i }, table);
    const panel = make("section", { role: "tabpanel", id: "panel-" + i, "aria-labelledby": "tab-" + i, hidden: true }, log);
    const chat = { name, tab, count, panel, log, table, messages: new Map(), unread: 0, atEnd: true, draft: "", reply: null };
    log.addEventListener("scroll", () => {
      chat.atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
      if (chat.atEnd && chat === current) $("newer").hidden = true;
    }, { passive: true });
    table.append(welcome(chat));
    chats.set(name, chat);
    $("tabs").append(tab);
    $("logs").append(panel);
  });
  $("tabs").addEventListener("keydown", (e) => {
    const list = [...chats.values()], at = list.indexOf(current);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: list.length - 1 }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    const chat = list[(to + list.length) % list.length];
    open(chat.name);
    chat.tab.focus();
  });
  // A picture that arrives, a keyboard that opens: the end stays in sight.
  const keep = new ResizeObserver(() => { for (const c of chats.values()) if (c.atEnd) toEnd(c); });
  for (const c of chats.values()) { keep.observe(c.table); keep.observe(c.log); }
}
function welcome(chat) {
  return make("section", { class: "welcome" },
    make("h3", {}, icon("pot"), say("welcome_title", { chat: chat.name })),
    make("p", {}, say("welcome")),
    make("ul", {}, ...words[locale].examples.map((example) => {
      const [command, ...rest] = example.split(" ");
      return make("li", {}, make("button", { class: "try", type: "button", onclick: () => { setText(example); $("text").focus(); } },
        make("b", {}, command), make("span", {}, rest.join(" "))));
    })));
}
function open(name) {
  if (current) {
    current.draft = $("text").value;
    current.panel.hidden = true;
    current.tab.setAttribute("aria-selected", "false");
    current.tab.tabIndex = -1;
    current.log.setAttribute("aria-live", "off");
  }
  const chat = current = chats.get(name);
  chat.panel.hidden = false;
  chat.tab.setAttribute("aria-selected", "true");
  chat.tab.tabIndex = 0;
  chat.tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  if (replayed) chat.log.setAttribute("aria-live", "polite");
  chat.unread = 0;
  showUnread(chat);
  $("room-name").textContent = name;
  $("text").setAttribute("aria-label", say("message_to", { chat: name }));
  $("text").placeholder = say("placeholder", { chat: name });
  setText(chat.draft);
  reply(chat.reply);
  $("newer").hidden = true;
  if (chat.atEnd) toEnd(chat);
  storage("potluck-chat", name);
}
function toEnd(chat) { chat.log.scrollTop = chat.log.scrollHeight; }
function showUnread(chat) {
  chat.count.hidden = !chat.unread;
  chat.count.textContent = chat.unread > 99 ? "99+" : chat.unread;
  chat.count.setAttribute("aria-label", say("unread", { n: chat.unread }));
  const all = [...chats.values()].reduce((n, c) => n + c.unread, 0);
  document.title = (all ? `(${all}) ` : "") + title;
}
$("newer").addEventListener("click", () => { current.atEnd = true; toEnd(current); $("newer").hidden = true; $("text").focus(); });
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !current) return;
  current.unread = 0;
  showUnread(current);
});

// ---- Messages

function take(kind, m) {
  const chat = chats.get(m.chat);
  if (!chat) return;
  const entry = chat.messages.get(m.id);
  if (kind === "delete") return entry && remove(chat, entry);
  if (entry) return update(chat, entry, m);
  if (kind === "edit" && chat.messages.size >= KEPT) return; // it left the page long ago
  const e = build(chat, m);
  chat.messages.set(m.id, e);
  placeDay(chat, e);
  chat.table.append(e.node);
  group(e.node);
  if (chat.messages.size > KEPT) remove(chat, chat.messages.values().next().value);
  settle(chat, e, true);
}
function build(chat, m) {
  const at = new Date(m.at);
  const avatar = make("div", { class: "avatar", "aria-hidden": "true" });
  if (m.bot) avatar.append(icon("pot")); else dressAvatar(avatar, m.author, m.user);
  const meta = make("div", { class: "meta" }, make("strong", { dir: "auto" }, m.author), m.bot ? make("span", { class: "badge" }, say("bot")) : null,
    make("time", { datetime: m.at, title: at.toLocaleString() }, time.format(at)));
  const e = { m: null, at, quote: null, body: make("div", { class: "body", dir: "auto" }), pictures: make("div", { class: "pictures", hidden: true }), buttons: make("div", { class: "buttons", hidden: true }) };
  const bubble = make("div", { class: "bubble" });
  if (m.reply_to) { e.quote = quote(chat, m.reply_to); bubble.append(e.quote); }
  bubble.append(e.body, e.pictures, e.buttons);
  const stack = make("div", { class: "stack" }, meta, bubble, m.only ? make("p", { class: "only-note" }, icon("lock"), say("only")) : null);
  const label = say("reply", { name: m.author });
  const tools = make("div", { class: "tools" }, make("button", { class: "icon", type: "button", "aria-label": label, title: label, onclick: () => { reply(e.m); $("text").focus(); } }, icon("reply")));
  e.node = make("article", { class: "msg" + (m.bot ? " bot" : "") + (m.mine ? " mine" : "") + (m.only ? " only" : "") + (replayed ? " fresh" : ""), "data-id": m.id, "data-by": m.user || "bot" }, avatar, stack, tools);
  e.node.entry = e;
  fill(chat, e, m);
  return e;
}
function update(chat, e, m) {
  const wasFinal = e.m.final;
  fill(chat, e, m);
  settle(chat, e, false, !wasFinal && m.final);
}
function fill(chat, e, m) {
  const old = e.m;
  e.m = m;
  e.node.classList.toggle("cooking", m.bot && !m.final);
  if (m.bot && !m.final) e.node.setAttribute("aria-live", "off"); else e.node.removeAttribute("aria-live");
  if (old?.text !== m.text || JSON.stringify(old?.spans) !== JSON.stringify(m.spans)) e.body.replaceChildren(...render(m.text, m.spans));
  e.body.hidden = !m.text && m.final;
  const pictures = m.pictures || m.images.map((url) => ({ url, alt: "" }));
  if (JSON.stringify(old?.pictures || []) !== JSON.stringify(pictures)) showPictures(e, pictures);
  if (JSON.stringify(old?.buttons || []) !== JSON.stringify(m.buttons)) showButtons(e, m);
}
// After a message came or changed: keep the end in sight, or tell that there is something new.
function settle(chat, e, isNew, finished) {
  if (!replayed) return;
  if (chat.atEnd || (isNew && e.m.mine)) { chat.atEnd = true; toEnd(chat); } else if (isNew && chat === current) $("newer").hidden = false;
  if (isNew && !e.m.mine && (chat !== current || document.hidden)) { chat.unread++; showUnread(chat); }
  if (finished && chat === current) $("spoken").textContent = `${e.m.author}: ${e.m.text.slice(0, 600)}`;
}
function remove(chat, e) {
  const next = e.node.nextElementSibling;
  if (e.node.previousElementSibling?.matches(".day") && !next?.matches?.(".msg")) e.node.previousElementSibling.remove();
  e.node.remove();
  chat.messages.delete(e.m.id);
  if (next?.matches(".msg")) group(next);
  if (chat.reply?.id === e.m.id) { chat.reply = null; if (chat === current) reply(null); }
}
// Messages of one author that follow each other closely share one head.
function group(node) {
  const e = node.entry, before = node.previousElementSibling?.entry;
  node.classList.toggle("follow", !!before && before.node.dataset.by === node.dataset.by && e.at - before.at < 300000 && !e.m.reply_to && before.m.only === e.m.only && before.m.author === e.m.author);
}
function placeDay(chat, e) {
  const key = e.at.toDateString();
  if (chat.lastDay === key) return;
  chat.lastDay = key;
  chat.table.append(make("div", { class: "day", role: "separator" }, make("span", {}, key === new Date().toDateString() ? say("today") : day.format(e.at))));
}
const excerpt = (m) => m.text.replace(/\s+/g, " ").slice(0, 140) || (m.images.length ? say("picture") : "…");
function quote(chat, id) {
  const target = chat.messages.get(id);
  if (!target) return make("p", { class: "quote" }, make("span", {}, say("gone_quote")));
  return make("button", { class: "quote", type: "button", onclick: () => {
    const found = chat.messages.get(id)?.node;
    if (!found) return;
    chat.atEnd = false;
    found.scrollIntoView({ block: "center", behavior: "smooth" });
    found.classList.remove("found");
    requestAnimationFrame(() => found.classList.add("found"));
  } }, make("strong", { dir: "auto" }, target.m.mine ? say("you") : target.m.author), make("span", { dir: "auto" }, excerpt(target.m)));
}
function reply(m) {
  if (current) current.reply = m;
  $("replying").hidden = !m;
  if (!m) return;
  $("replying-author").textContent = m.mine ? say("you") : m.author;
  $("replying-text").textContent = excerpt(m);
}
$("reply-cancel").addEventListener("click", () => { reply(null); $("text").focus(); });

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
const revealed = new Set(); // addresses of spoilered pictures that this person chose to see
function showPictures(e, pictures) {
  e.pictures.hidden = !pictures.length;
  e.pictures.classList.toggle("many", pictures.length > 1);
  e.pictures.replaceChildren(...pictures.map((p) => {
    const own = p.url.startsWith("/webchat/pictures/") ? p.url : "";
    const image = make("img", { src: own, alt: p.alt || say("picture"), width: p.width || undefined, height: p.height || undefined, decoding: "async" });
    const tile = make("button", { class: "picture" + (p.spoiler && !revealed.has(p.url) ? " spoilered" : ""), type: "button", onclick: () => {
      if (tile.classList.contains("spoilered")) {
        tile.classList.remove("spoilered");
        tile.querySelector(".cover").remove();
        revealed.add(p.url);
      } else {
        const open = pictures.filter((o) => !o.spoiler || revealed.has(o.url));
        view(open, open.indexOf(p), tile);
      }
    } }, image, p.spoiler && !revealed.has(p.url) ? make("span", { class: "cover" }, say("show_picture")) : null);
    return tile;
  }));
}

// ---- Picture viewer

let viewed = [], viewedAt = 0, viewedFrom = null;
function view(pictures, at, from) {
  viewed = pictures;
  viewedFrom = from;
  turn(at);
  $("viewer").showModal();
}
function turn(to) {
  viewedAt = (to + viewed.length) % viewed.length;
  const p = viewed[viewedAt];
  $("viewer-image").src = p.url;
  $("viewer-image").alt = p.alt || say("picture");
  $("viewer-alt").textContent = p.alt || "";
  $("viewer-open").href = p.url;
  $("viewer-left").hidden = $("viewer-right").hidden = viewed.length < 2;
}
$("viewer-close").addEventListener("click", () => $("viewer").close());
$("viewer-left").addEventListener("click", () => turn(viewedAt - 1));
$("viewer-right").addEventListener("click", () => turn(viewedAt + 1));
$("viewer").addEventListener("click", (e) => { if (e.target === $("viewer") || e.target.tagName === "FIGURE") $("viewer").close(); });
$("viewer").addEventListener("keydown", (e) => { if (e.key === "ArrowLeft") turn(viewedAt - 1); if (e.key === "ArrowRight") turn(viewedAt + 1); });
$("viewer").addEventListener("close", () => viewedFrom?.focus());

// ---- Composer

const text = $("text");
function grow() { text.style.height = "auto"; text.style.height = text.scrollHeight + "px"; }
function setText(value) { text.value = value; grow(); text.setSelectionRange(value.length, value.length); complete(); }
let outbox = Promise.resolve(); // one message after the other, in the order of typing
function send() {
  const value = text.value.trim(), chat = current;
  if (!value || !chat || !me) return;
  const body = { chat: chat.name, text: value, nonce: Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("") };
  const answered = chat.reply;
  if (answered) body.reply_to = answered.id;
  setText("");
  reply(null);
  chat.atEnd = true;
  toEnd(chat);
  outbox = outbox.then(() => deliver(body)).catch((error) => {
    // Nothing that somebody wrote is lost.
    if (chat === current) { setText(value + (text.value ? "\n" + text.value : "")); if (answered) reply(answered); } else chat.draft = value + (chat.draft ? "\n" + chat.draft : "");
    complain(error);
  });
}
async function deliver(body) {
  for (let tries = 1; ; tries++) {
    try { return await call("messages", body); } catch (error) {
      if (error.status === 401) location.reload();
      // The nonce makes a second try safe: the server knows whether the first one arrived.
      if (tries === 4 || (error.status && error.status < 500)) throw error;
      await new Promise((r) => setTimeout(r, 400 * 2 ** tries));
    }
  }
}
$("composer").addEventListener("submit", (e) => { e.preventDefault(); send(); text.focus(); });
text.addEventListener("input", () => { grow(); complete(); });
text.addEventListener("blur", () => setTimeout(() => { if (document.activeElement !== text) hideCompletion(); }, 150));
text.addEventListener("keydown", (e) => {
  // An input method that is composing takes Enter, arrows and Escape for itself; Safari tells so by keyCode only.
  if (e.isComposing || e.keyCode === 229) return;
  if (!$("completion").hidden) {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") { e.preventDefault(); choose(chosen + (e.key === "ArrowDown" ? 1 : -1)); return; }
    if (e.key === "Escape") { e.preventDefault(); hideCompletion(); return; }
    if (e.key === "Tab" && !e.shiftKey) { e.preventDefault(); pick(chosen); return; }
    if (e.key === "Enter" && !e.shiftKey && shown[chosen] && text.value.trim() !== shown[chosen].name) { e.preventDefault(); pick(chosen); return; }
  } else if (e.key === "Escape" && current?.reply) { reply(null); return; }
  if (e.key === "Enter" && !e.shiftKey && !e.altKey) { e.preventDefault(); send(); }
});
$("slash").addEventListener("click", () => { if (!text.value.startsWith("/")) setText("/" + text.value); text.focus(); complete(); });

// ---- Completion of commands

let commands = [], shown = [], chosen = 0;
function readCommands(list) {
  if (!Array.isArray(list)) list = list?.commands || [];
  commands = list.map((c) => (typeof c === "string" ? { name: c } : c)).filter((c) => c && typeof c.name === "string").map((c) => ({
    name: "/" + c.name.replace(/^\//, ""), about: String(c.description ?? c.help ?? c.usage ?? ""), options: Array.isArray(c.options) ? c.options : [],
  }));
}
function complete() {
  const typed = text.value.replace(/^／/, "/").toLowerCase();
  shown = /^\/[^\n]{0,60}$/.test(typed) ? commands.filter((c) => c.name.startsWith(typed)) : [];
  if (!shown.length) return hideCompletion();
  $("completion").replaceChildren(...shown.map((c, i) => make("li", { role: "option", id: "option-" + i, onmousedown: (e) => { e.preventDefault(); pick(i); }, onmousemove: () => choose(i, true) },
    make("b", {}, c.name), make("span", { dir: "auto" }, c.about))));
  $("completion").hidden = false;
  choose(0);
}
function choose(to, quiet) {
  const options = [...$("completion").children];
  chosen = (to + options.length) % options.length;
  options.forEach((o, i) => o.setAttribute("aria-selected", String(i === chosen)));
  if (!quiet) options[chosen].scrollIntoView({ block: "nearest" });
  text.setAttribute("aria-activedescendant", "option-" + chosen);
}
function pick(i) { setText(shown[i].name + " "); hideCompletion(); text.focus(); }
function hideCompletion() { $("completion").hidden = true; text.removeAttribute("aria-activedescendant"); shown = []; }

// ---- The event stream: one for all chats, taken up where it broke off

let source = null, last = 0, replayed = false, tries = 0, retry, watchdog;
function state(name) {
  $("state").className = "state " + name;
  $("state-words").textContent = say(name);
}
function alive() {
  clearTimeout(watchdog);
  watchdog = setTimeout(lost, 40000); // the server beats every 15 s
}
function connect() {
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
      if (s !== source || id <= last) return; // shown already
      last = id;
      try { take(kind, JSON.parse(e.data)); } catch (error) { console.error(error); }
    });
  }
  s.addEventListener("beat", alive);
  s.addEventListener("ready", (e) => {
    alive();
    last = Math.max(last, Number(e.lastEventId));
    if (replayed) return;
    replayed = true;
    current.log.setAttribute("aria-live", "polite");
    for (const c of chats.values()) toEnd(c);
  });
}
async function lost() {
  source?.close();
  source = null;
  clearTimeout(watchdog);
  state("lost");
  tries++;
  clearTimeout(retry);
  retry = setTimeout(async () => {
    try { await call("session"); } catch (error) {
      if (error.status === 401) return location.reload(); // the page was set up anew
      return lost();
    }
    connect();
  }, Math.min(15000, 400 * 2 ** Math.min(tries, 6)) * (0.6 + 0.8 * Math.random()));
}
function hurry() { if (!source && me) { tries = 0; connect(); } }
addEventListener("online", hurry);
addEventListener("pageshow", (e) => { if (e.persisted) hurry(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) hurry(); });

// ---- Start

state("connecting");
$("me").addEventListener("click", async () => { await askName(); $("me").focus(); });
async function start() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try { me = await call("session"); break; } catch (error) {
      if (error.status === 401) { await askName(); break; }
      state("lost");
      await new Promise((r) => setTimeout(r, wait));
    }
  }
  showMe();
  buildChats(me.chats);
  const before = storage("potluck-chat");
  open(chats.has(before) ? before : me.chats[0]);
  connect();
  if (keyboard) text.focus();
  call("commands").then(readCommands).catch(() => {});
}
start();
