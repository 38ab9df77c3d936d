// The operator's view: asks the server every two seconds what is there and shows what changed. All text goes in as text, never as HTML.

import { Chart } from "./charts.js";

const words = JSON.parse(document.getElementById("texts").textContent);
const lang = document.documentElement.lang;
const $ = (id) => document.getElementById(id);

// say fills the {places} of a text.
function say(key, values = {}) {
  // Short units end in a full stop in some languages; a sentence has one all the same.
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "…").replace(/([^.])\.\.$/, "$1.");
}

function element(name, className, ...children) {
  const n = document.createElement(name);
  if (className) n.className = className;
  n.append(...children.filter((c) => c !== null && c !== undefined && c !== ""));
  return n;
}

// Numbers, times and sizes, as people of this language write them.
const numbers = new Intl.NumberFormat(lang, { maximumFractionDigits: 1 });
const count = (n) => numbers.format(n);
const percent = new Intl.NumberFormat(lang, { style: "percent", maximumFractionDigits: 0 });
const unit = (name, digits = 1, display = "short") => {
  const f = new Intl.NumberFormat(lang, { style: "unit", unit: name, unitDisplay: display, maximumFractionDigits: digits });
  return (n) => f.format(n);
};
const seconds = unit("second"), hundredths = unit("second", 2), minutes = unit("minute", 0), hours = unit("hour"), days = unit("day"), gigabytes = unit("gigabyte"), megabytes = unit("megabyte", 0), degrees = unit("celsius", 0);
const hour = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "medium" });
const dayHour = new Intl.DateTimeFormat(lang, { weekday: "short", hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(lang, { weekday: "short", day: "numeric" });
const relative = new Intl.RelativeTimeFormat(lang, { numeric: "always", style: "short" });

function duration(s) {
  if (s < 0.1) return hundredths(s);
  if (s < 10) return seconds(s);
  if (s < 60) return seconds(Math.round(s));
  if (s < 5400) return minutes(Math.round(s / 60));
  if (s < 129600) return hours(s / 3600);
  return days(s / 86400);
}

let offset = 0; // of the server's clock against this one, in milliseconds
const now = () => Date.now() + offset;

function ago(ms) {
  const s = Math.max(0, (now() - ms) / 1000);
  if (s < 60) return relative.format(-Math.round(s), "second");
  if (s < 5400) return relative.format(-Math.round(s / 60), "minute");
  if (s < 129600) return relative.format(-Math.round(s / 3600), "hour");
  return relative.format(-Math.round(s / 86400), "day");
}

const memory = (mb) => (mb >= 1024 ? gigabytes(mb / 1024) : megabytes(mb));
const credits = (milli) => count(milli / 1000);
const clock = (ms) => hour.format(ms);

// when is a moment that tells its exact time, and is brought up to date by itself.
function when(ms) {
  const t = element("time", "", ago(ms));
  t.dateTime = new Date(ms).toISOString();
  t.title = exact.format(ms);
  t.dataset.ms = ms;
  return t;
}

setInterval(() => {
  for (const t of document.querySelectorAll("time[data-ms]")) {
    const text = t.dataset.age ? duration((now() - t.dataset.ms) / 1000) : ago(Number(t.dataset.ms));
    if (t.textContent !== text) t.textContent = text;
  }
}, 1000);

// age is how long something has been going on.
function age(ms) {
  const t = when(ms);
  t.dataset.age = "1";
  t.textContent = duration(Math.max(0, now() - ms) / 1000);
  return t;
}

// Asking the server.

const known = new Map(); // address → {tag, body}

async function ask(path) {
  const last = known.get(path);
  const answer = await fetch(`/operator/${path}`, { cache: "no-store", headers: last ? { "If-None-Match": last.tag } : {} });
  const date = Date.parse(answer.headers.get("Date"));
  if (date && Math.abs(date - now()) > 2500) offset = date - Date.now();
  if (answer.status === 304) return last.body;
  if (!answer.ok) throw Object.assign(new Error(path), { status: answer.status, code: (await answer.json().catch(() => ({}))).code });
  const body = await answer.json();
  if (known.size > 40) known.clear();
  known.set(path, { tag: answer.headers.get("ETag"), body });
  return body;
}

async function send(path) {
  const answer = await fetch(`/operator/${path}`, { method: "POST", cache: "no-store", headers: { "Content-Type": "application/json" }, body: "{}" });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(path), { status: answer.status, code: body.code });
  return body;
}

let toastTimer;
function toast(text) {
  clearTimeout(toastTimer);
  $("toast").textContent = text;
  $("toast").hidden = false;
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

function connection(key) {
  const text = words[key];
  if ($("state-words").textContent === text) return;
  $("state-words").textContent = text;
  $("state").classList.toggle("live", key === "live");
}

// keep replaces the rows or cards that changed and leaves the others, with the focus, alone. Every item has an id.
function keep(parent, items, build) {
  const old = new Map([...parent.children].map((n) => [n.dataset.key, n]));
  let at = null;
  for (const item of items) {
    const key = String(item.id), state = JSON.stringify(item);
    let node = old.get(key);
    old.delete(key);
    if (!node || node.state !== state) {
      const fresh = build(item);
      fresh.dataset.key = key;
      fresh.state = state;
      if (node) {
        const focused = node.contains(document.activeElement) ? document.activeElement.dataset.focus : null;
        node.replaceWith(fresh);
        if (focused) fresh.querySelector(`[data-focus="${focused}"]`)?.focus();
      }
      node = fresh;
    }
    const next = at ? at.nextSibling : parent.firstChild;
    if (next !== node) parent.insertBefore(node, next);
    at = node;
  }
  for (const gone of old.values()) gone.remove();
}

function cell(label, className, ...children) {
  const td = element("td", className, ...children);
  if (label) td.dataset.label = label;
  if (td.textContent === "–") td.classList.add("none");
  return td;
}

function head(label, ...children) {
  const th = element("th", "", ...children);
  th.scope = "row";
  if (label) th.dataset.label = label;
  return th;
}

function badge(text, look) { return element("span", `badge ${look}`, text); }

function jobLink(id) {
  const b = element("button", "link", `#${id}`);
  b.type = "button";
  b.dataset.focus = `job-${id}`;
  b.setAttribute("aria-label", say("details", { n: id }));
  b.addEventListener("click", () => openJob(id));
  return b;
}

// At a glance.

function tile(id, label, value, note, warn = false) { return { id, label, value, note, warn }; }

function buildTile(t) {
  const note = element("span", "note", t.note ?? "");
  if (t.since) note.replaceChildren(...say(t.text, { age: "\u0000" }).split("\u0000").flatMap((part, i) => (i ? [age(t.since), part] : [part])));
  return element("div", t.warn ? "tile warn" : "tile", element("span", "label", t.label), element("span", "value", t.value), note);
}

function showOverview(n) {
  const sum = (f) => n.queue.reduce((s, q) => s + f(q), 0);
  const queued = sum((q) => q.queued), running = sum((q) => q.running);
  const oldest = Math.min(...n.queue.filter((q) => q.oldest).map((q) => q.oldest));
  const here = (n.states.online ?? 0) + (n.states.paused ?? 0) + (n.states.draining ?? 0) + (n.states.away ?? 0);
  const linked = n.workers.length + n.more;
  const free = n.workers.filter((w) => w.state === "online").reduce((s, w) => s + w.free, 0);
  const faulty = n.workers.filter((w) => w.faults > 0);
  const busiest = n.queue.filter((q) => q.jobs).sort((a, b) => b.p95 - a.p95)[0];
  const headline = linked === 0 ? "head_unlinked" : here === 0 ? "head_none" : queued > 0 ? "head_waiting" : "head_well";
  const line = $("headline");
  const key = `${headline} ${queued} ${oldest}`;
  if (line.dataset.key !== key) {
    line.dataset.key = key;
    line.replaceChildren(...say(headline, { n: count(queued), age: "\u0000" }).split("\u0000").flatMap((part, i) => (i ? [age(oldest), part] : [part])));
  }
  keep($("tiles"), [
    tile("workers", words.tile_workers, count(here), say("tile_workers_note", { n: count(linked) }), here === 0),
    tile("running", words.tile_running, count(running), say("tile_running_note", { n: count(free) })),
    queued ? { ...tile("waiting", words.tile_waiting, count(queued), ""), since: oldest, text: "tile_waiting_note" } : tile("waiting", words.tile_waiting, "0", words.tile_nobody),
    busiest ? tile("wait", words.tile_wait, duration(busiest.p95), `${words[`kind_${busiest.kind}`]} · ${say("tile_wait_note", { p50: duration(busiest.p50) })}`)
      : tile("wait", words.tile_wait, "–", words.tile_last_hour),
    tile("faults", words.tile_faults, count(faulty.reduce((s, w) => s + w.faults, 0)), faulty.length ? say("tile_faults_note", { n: count(faulty.length) }) : words.tile_no_faults, faulty.length > 0),
  ], buildTile);
  keep($("queue"), n.queue.map((q) => ({ id: q.kind, ...q })), (q) => element("tr", "",
    head("", words[`kind_${q.kind}`]), cell(words.in_line, "num", count(q.queued)), cell(words.at_work, "num", count(q.running)),
    cell(words.oldest, "num", q.oldest ? age(q.oldest) : "–"), cell(words.hour_jobs, "num", count(q.jobs)),
    cell(words.hour_p50, "num", q.jobs ? duration(q.p50) : "–"), cell(words.hour_p95, "num", q.jobs ? duration(q.p95) : "–")));
  $("count-workers").textContent = count(here);
  $("count-jobs").textContent = queued + running ? count(queued + running) : "";
}

// Pictures.

const span = () => document.querySelector("input[name=span]:checked").value;
const axisTime = (ms) => (span() === "week" ? weekday : hour).format(ms);
const stamp = (ms) => (span() === "hour" ? hour : dayHour).format(ms);
const chartOptions = { words, time: axisTime, stamp };
const fine = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 }), tiny = new Intl.NumberFormat(lang, { maximumSignificantDigits: 2 });
const average = (v) => (v < 1 ? tiny : fine).format(v); // of a quiet hour it is some hundredths
const shortDuration = (v) => (v === 0 ? "0" : duration(v));
const charts = {
  waits: new Chart({ ...chartOptions, title: words.chart_waits, text: words.chart_waits_text, form: "line", unit: "seconds", format: shortDuration }),
  depth: new Chart({ ...chartOptions, title: words.chart_depth, text: words.chart_depth_text, form: "line", unit: "count", format: average }),
  done: new Chart({ ...chartOptions, title: words.chart_done, text: words.chart_done_text, form: "bars", unit: "count", whole: true, format: (v) => count(v) }),
  owners: new Chart({ ...chartOptions, title: words.chart_owners, text: words.chart_owners_text, form: "bars", unit: "seconds", format: shortDuration }),
};
$("charts").append(...Object.values(charts).map((c) => c.card));

function showCharts(c) {
  const base = { begin: c.begin, width: c.width };
  const total = (values) => values.reduce((a, b) => a + Math.max(0, b), 0);
  charts.waits.show({ ...base, series: [
    { name: words.half, className: "c1", values: c.p50 },
    { name: words.most, className: "c0", dash: true, values: c.p95 },
  ] });
  charts.depth.show({ ...base, series: [{ name: words.in_line, className: "c4", values: c.depth }] });
  charts.done.show({ ...base, series: [
    ...["chat", "image", "translate"].map((k, i) => ({ name: words[`kind_${k}`], className: ["c0", "c4", "c2"][i], values: c.done[k], total: count(total(c.done[k])) })),
    { name: words.failed_jobs, className: "cbad", values: c.failed, total: count(total(c.failed)) },
  ] });
  charts.owners.show({ ...base, series: c.owners.map((o, i) => ({
    name: o.owner ? o.name || `#${o.owner}` : words.others, className: `c${i}`, values: o.seconds, total: duration(total(o.seconds)),
  })) });
  $("reading").textContent = c.complete < 1 ? say("reading", { percent: percent.format(c.complete) }) : "";
}

// Workers.

const stateLook = { online: "good", paused: "wait", draining: "wait", away: "wait", offline: "" };

function meter(share, className, ...label) {
  const fill = element("i", className);
  fill.style.width = `${Math.max(0, Math.min(100, share * 100))}%`;
  const bar = element("div", "meter", fill);
  bar.setAttribute("aria-hidden", "true"); // the words say the same
  return element("div", "meter-row", element("div", "meter-words", ...label), bar);
}

function offerChip(o) {
  const more = [
    o.quality === "demo" ? words.demo : null,
    o.loaded ? words.loaded : null,
    o.rate > 0 ? say("measured", { rate: count(o.rate) }) : words.unmeasured,
    o.context ? say("context", { n: count(o.context) }) : null,
    o.pixels ? say("pixels", { n: count(o.pixels / 1e6) }) : null,
    o.any_pair ? words.any_pair : o.pairs ? say("pairs", { n: count(o.pairs) }) : null,
  ].filter(Boolean).join(" · ");
  const chip = element("li", "", element("b", "", o.model), ` ${words[`kind_${o.kind}`]}`, element("span", "sub", more));
  chip.title = `${o.engine}: ${o.local}`;
  return chip;
}

function stat(label, value) { return element("div", "", element("dt", "", label), element("dd", "", value)); }

function workerStats(w) {
  return element("dl", "stats", stat(words.done_day, count(w.done)), stat(words.gpu_day, duration(w.seconds)), stat(words.fault_day, count(w.faults)),
    stat(words.paid_day, credits(w.paid)), stat(words.earned_ever, credits(w.earned)));
}

function workerActions(w) {
  const act = (name, look) => {
    const b = element("button", `button ${look}`, words[name]);
    b.type = "button";
    b.dataset.focus = name;
    b.setAttribute("aria-label", `${words[name]}: ${w.name}`);
    b.addEventListener("click", () => actOn(w, name));
    return b;
  };
  const pause = w.pauses ? act(w.halted ? "resume" : "pause", "") : null;
  return element("p", "ways", pause, act("revoke", "danger"));
}

function buildWorker(w) {
  const trust = [w.operator ? words.operators : null, Object.keys(w.vouched).length ? say("vouched", { n: count(Object.keys(w.vouched).length) }) : null, w.share ? null : words.hidden_owner];
  const offline = w.state === "offline";
  const since = offline && !w.since ? [words.never_seen]
    : say(offline ? "seen" : "since", { ago: "\u0000", time: "\u0000" }).split("\u0000").flatMap((part, i) => (i ? [offline ? when(w.since) : sinceTime(w.since), part] : [part]));
  const card = element("article", offline ? "card worker gone" : "card worker");
  const title = element("h3", "", w.name || `#${w.id}`);
  title.id = `worker-${w.id}`;
  card.setAttribute("aria-labelledby", title.id);
  card.append(element("div", "worker-head",
    element("div", "", title, element("span", "sub", [say("of_owner", { owner: w.owner }), ...trust].filter(Boolean).join(" · ")), element("span", "sub", ...since)),
    badge(words[`state_${w.state}`], stateLook[w.state])));
  if (w.closed) card.append(element("span", "sub", words[`closed_${w.closed}`]));
  else if (w.state === "paused" && w.reason && w.reason !== "paused") card.append(element("span", "sub", say("paused_why", { reason: w.reason })));
  // Not what is missing of the free slots: a paused machine has none free, and a limit of the day takes some away, without any work.
  const busy = Math.min(w.jobs.length, w.slots);
  if (!offline) card.append(meter(w.slots ? busy / w.slots : 0, "c1", say("slots", { n: count(busy), all: count(w.slots) })));
  for (const g of w.gpus) card.append(gpuRow(g));
  card.append(element("span", "sub", [w.gpus.length ? null : words.no_gpu, say("cpu", { cpus: count(w.cpus), ram: memory(w.ram_mb) }), w.os].filter(Boolean).join(" · ")));
  if (w.offers.length) {
    card.append(element("ul", "chips", ...w.offers.map(offerChip), w.more_offers ? element("li", "", say("more", { n: count(w.more_offers) })) : null));
  }
  if (w.jobs.length) card.append(element("p", "on", words.running_jobs, ...w.jobs.slice(0, 12).map(jobLink)));
  card.append(workerStats(w));
  if (w.faults) {
    const parts = say("last_fault", { what: words[`outcome_${w.last}`] ?? w.last, ago: "\u0000" }).split("\u0000");
    card.append(element("span", "sub", parts[0], when(w.last_at), parts[1]));
  }
  card.append(workerActions(w));
  return card;
}

function sinceTime(ms) {
  const t = element("time", "", now() - ms < 86400e3 / 2 ? clock(ms) : dayHour.format(ms));
  t.dateTime = new Date(ms).toISOString();
  t.title = exact.format(ms);
  return t;
}

function gpuRow(g) {
  const name = `${g.name} · ${memory(g.vram_mb)}`;
  if (!g.load) return element("span", "sub", name);
  const load = say("gpu_load", { busy: percent.format(g.load.busy / 100), temperature: g.load.temperature ? degrees(g.load.temperature) : "" }).replace(/[,、\s]+$/, "");
  const used = g.load.vram_used_mb ? ` · ${say("gpu_vram", { used: memory(g.load.vram_used_mb), all: memory(g.vram_mb) })}` : "";
  return meter(g.load.busy / 100, "c0", element("span", "", g.name), element("span", "soft", load + used));
}

function showWorkers(n) {
  const all = n.workers.map((w) => ({ ...w, pauses: n.pauses }));
  keep($("worker-cards"), all.filter((w) => w.state !== "offline"), buildWorker);
  keep($("gone-cards"), all.filter((w) => w.state === "offline"), buildWorker);
  $("more-workers").textContent = n.more ? say("more_workers", { n: count(n.more) }) : all.length ? "" : words.no_workers;
}

async function confirmed(title, text, yes) {
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  const dialog = $("confirm");
  dialog.returnValue = "";
  dialog.showModal();
  $("confirm-no").focus();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return dialog.returnValue === "yes";
}
$("confirm-yes").addEventListener("click", () => $("confirm").close("yes"));
$("confirm-no").addEventListener("click", () => $("confirm").close(""));

async function actOn(w, act) {
  if (act !== "resume" && !await confirmed(say(`${act}_title`, { name: w.name }), words[`${act}_text`], words[act])) return;
  try {
    await send(`workers/${w.id}/${act}`);
    toast(say(`act_done_${act}`, { name: w.name }));
  } catch (e) {
    toast(words[e.code] ?? words.failed);
  }
  refresh();
}

// Jobs.

const jobLook = { queued: "wait", leased: "good", done: "", failed: "bad", cancelled: "" };

function failure(code) { return words[`failure_${code}`] ?? say("failure_other", { code }); }

function worker(id, name) { return id ? name || `#${id}` : ""; }

// why says in a sentence why a job is not done yet.
function why(y) {
  if (!y) return "";
  let key = `why_${y.obstacle}`;
  if (y.obstacle === "busy" && !y.eta) key = "why_busy_unknown";
  if (y.obstacle === "class") key = `why_class_${y.class}`;
  return say(key, {
    position: count(y.position), eta: duration(y.eta), time: clock(y.until), from: y.from, to: y.to, model: y.model || words.any_model, worker: worker(y.workers[0]?.worker, y.workers[0]?.name),
  });
}

function jobReason(j) {
  if (j.why && j.why.obstacle !== "over") return why(j.why);
  if (j.failure) return failure(j.failure);
  return worker(j.worker, j.worker_name);
}

const waitedFor = (j) => (j.started ? duration((j.started - j.created) / 1000) : j.state === "queued" ? age(j.created) : "–");
const tookFor = (j) => (j.started && j.ended ? duration((j.ended - j.started) / 1000) : j.state === "leased" && j.started ? age(j.started) : "–");

function buildJob(j) {
  const asked = element("span", "", when(j.created), element("span", "sub", j.asker));
  return element("tr", "",
    head(words.job_word, jobLink(j.id)), cell(words.kind, "", element("span", "", words[`one_${j.kind}`], element("span", "sub", j.model))),
    cell(words.state, "", badge(words[`job_state_${j.state}`], jobLook[j.state])), cell(words.asked, "", asked),
    cell(words.waited, "num", waitedFor(j)), cell(words.took, "num", tookFor(j)), cell(words.reason, "wide", jobReason(j)));
}

let page = ""; // where the list of jobs begins; empty: with the newest

async function showJobs() {
  const query = new URLSearchParams({ state: $("filter-state").value, kind: $("filter-kind").value, from: page });
  const list = await ask(`jobs?${query}`);
  keep($("job-rows"), list.jobs, buildJob);
  $("no-jobs").hidden = list.jobs.length > 0;
  $("older").hidden = !list.next;
  $("older").textContent = list.jobs.length ? words.older : words.look_further;
  $("older").dataset.next = list.next;
  $("newest").hidden = !page;
}

function turn(to) {
  page = to;
  showJobs().catch(lost);
}
$("older").addEventListener("click", () => { turn($("older").dataset.next); $("jobs").scrollIntoView(); });
$("newest").addEventListener("click", () => { turn(""); $("filter-state").focus(); });
for (const id of ["filter-state", "filter-kind"]) $(id).addEventListener("change", () => turn(""));

let opened = 0; // the job whose details are shown

function fact(label, ...value) { return element("div", "", element("dt", "", label), element("dd", "", ...value)); }

function attemptRow(a) {
  const ended = a.outcome || "running";
  return element("tr", "",
    head(words.number, count(a.number)), cell(words.worker, "", worker(a.worker, a.name)), cell(words.model, "", element("span", "", a.model, element("span", "sub", a.engine))),
    cell(words.began, "", when(a.started)), cell(words.took, "num", a.ended ? duration((a.ended - a.started) / 1000) : age(a.started)),
    cell(words.outcome, "", element("span", "", words[`outcome_${ended}`] ?? ended, a.counts ? element("span", "sub", words.counts) : null)),
    cell(words.blame, "", a.blame ? words[`blame_${a.blame}`] : "–"));
}

function table(caption, columns, rows) {
  const header = element("tr", "", ...columns.map(([name, className]) => element("th", className ?? "", name)));
  for (const th of header.children) th.scope = "col";
  return element("table", "list", element("caption", "unseen", caption), element("thead", "", header), element("tbody", "", ...rows));
}

function hinderedRow(h) {
  const text = say(`keeps_${h.obstacle}`, { time: clock(h.until) });
  return element("tr", "", head(words.worker, h.name || `#${h.worker}`), cell(words.reason, "", h.reason && h.reason !== "paused" ? `${text} (${h.reason})` : text));
}

async function showJob() {
  if (!opened) return;
  const { job: j, attempts } = await ask(`jobs/${opened}`);
  const body = $("job-body"), state = JSON.stringify([j, attempts]);
  if (body.state === state) return;
  body.state = state;
  const parts = [];
  const reason = jobReason(j);
  if (j.state === "queued" || j.state === "leased" || j.failure) parts.push(element("p", j.state === "leased" ? "why good" : "why", reason));
  parts.push(element("dl", "facts",
    fact(words.state, badge(words[`job_state_${j.state}`], jobLook[j.state])), fact(words.kind, words[`one_${j.kind}`]), fact(words.model, j.model || words.any_model),
    fact(words.class, words[`class_${j.class}`]), fact(words.asked, when(j.created)), fact(words.asked_by, j.asker || "–"), fact(words.community, j.community || "–"),
    fact(words.waited, waitedFor(j)), fact(words.took, tookFor(j)), fact(words.held, credits(j.held)), fact(words.paid, credits(j.paid)), fact(words.reference, count(j.seconds))));
  parts.push(element("h3", "", words.attempts), attempts.length
    ? table(words.attempts, [[words.number], [words.worker], [words.model], [words.began], [words.took, "num"], [words.outcome], [words.blame]], attempts.map(attemptRow))
    : element("p", "soft", words.no_attempts));
  if (j.state === "queued" && j.why?.workers.length) {
    parts.push(element("h3", "", words.each_worker), table(words.each_worker, [[words.worker], [words.reason]], j.why.workers.map(hinderedRow)));
    if (j.why.more) parts.push(element("p", "soft", say("more", { n: count(j.why.more) })));
  }
  body.replaceChildren(...parts);
}

function openJob(id) {
  opened = id;
  $("job-title").textContent = say("job", { n: id });
  $("job-body").replaceChildren();
  $("job-body").state = "";
  if (!$("job-dialog").open) $("job-dialog").showModal();
  showJob().catch((e) => { $("job-body").replaceChildren(element("p", "soft", words[e.code] ?? words.failed)); });
}
$("job-close").addEventListener("click", () => $("job-dialog").close());
$("job-dialog").addEventListener("close", () => { opened = 0; });
for (const d of document.querySelectorAll("dialog")) d.addEventListener("click", (e) => { if (e.target === d) d.close(""); });

// Ledger, faults, settings.

function showLedger(n) {
  keep($("ledger-tiles"), ["minted", "burned", "held", "spend", "escrow", "earned"].map((k) => tile(k, words[k === "held" ? "held_now" : k], credits(n.ledger[k] ?? 0), words[`${k}_note`])), buildTile);
  keep($("account-rows"), n.accounts.map((a) => ({ id: a.kind, ...a })), (a) => element("tr", "",
    head("", words[`account_${a.kind}`] ?? a.kind), cell("", "num", count(a.accounts)), cell("", "num", credits(a.balance))));
}

$("audit").addEventListener("click", async () => {
  const result = $("audit-result"), begun = performance.now();
  $("audit").disabled = true;
  result.replaceChildren(element("p", "soft", words.auditing));
  try {
    const a = await send("audit");
    result.replaceChildren(a.breaches.length
      ? element("div", "", element("p", "", badge(say("audit_breaches", { n: count(a.breaches.length) }), "bad")), element("ul", "", ...a.breaches.map((b) => element("li", "mono", b))))
      : element("p", "", say("audit_sound", { postings: count(a.postings), jobs: count(a.jobs), time: duration((performance.now() - begun) / 1000) })));
  } catch (e) {
    result.replaceChildren(element("p", "", e.code === "auditing" ? words.audit_busy : words.failed));
  }
  $("audit").disabled = false;
});

function showFaults(n) {
  $("no-faults").hidden = n.faults.length > 0;
  $("fault-table").hidden = n.faults.length === 0;
  keep($("fault-rows"), n.faults.map((f) => ({ id: `${f.at}-${f.job}-${f.outcome}${f.failure}`, ...f })), (f) => element("tr", "",
    cell(words.when, "", when(f.at)), cell(words.what, "", f.outcome ? words[`outcome_${f.outcome}`] ?? f.outcome : failure(f.failure)),
    cell(words.worker, "", worker(f.worker, f.name)), cell(words.model, "", f.model), cell(words.job_word, "", jobLink(f.job)), cell(words.blame, "", f.blame ? words[`blame_${f.blame}`] : "")));
}

async function showSettings() {
  const s = await ask("settings");
  $("version").textContent = say("version", { version: s.version });
  keep($("setting-rows"), s.settings.map((x) => ({ id: x.key, ...x })), (x) => element("tr", "",
    head(words.setting, element("code", "", x.key)),
    cell(words.value, "", element("span", "", x.secret ? words[x.set ? "secret_set" : "secret_unset"] : x.value || "–", x.set && !x.secret ? " " : "", x.set && !x.secret ? badge(words[x.chat ? "changed_chat" : "changed"], "wait") : "")),
    cell(words.default, "soft", x.secret ? "–" : x.default || "–")));
}

// The beat: everything live each two seconds, the pictures each ten (and at once while the past is still being read).

function lost(e) {
  connection(e.status === 403 ? "signed_out" : "lost");
  return e.status === 403;
}

let chartsAt = 0;

async function refreshPictures() {
  if (Date.now() - chartsAt <= 10000) return;
  const wanted = span();
  const c = await ask(`history?span=${wanted}`);
  if (wanted !== span()) return;
  showCharts(c);
  chartsAt = c.complete < 1 ? 0 : Date.now();
}

async function refreshNow() {
  const n = await ask("now");
  showOverview(n);
  showWorkers(n);
  showLedger(n);
  showFaults(n);
}

async function refresh() {
  await Promise.all([refreshNow(), showJobs(), showJob(), refreshPictures()]);
  connection("live");
}

for (const input of document.querySelectorAll("input[name=span]")) {
  input.addEventListener("change", () => { chartsAt = 0; refreshPictures().catch(lost); });
}

let timer, busy = false;
async function beat() {
  clearTimeout(timer);
  let over = false;
  if (!busy) {
    busy = true;
    try {
      await refresh();
    } catch (e) {
      over = lost(e);
    }
    busy = false;
  }
  // A window that nobody sees asks for nothing.
  if (!over && !document.hidden) timer = setTimeout(beat, chartsAt === 0 ? 300 : 2000);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) beat(); });

// The section that is in view is the current one.
const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
const inView = new Set();
const watch = new IntersectionObserver((entries) => {
  for (const e of entries) inView[e.isIntersecting ? "add" : "delete"](e.target.id);
  const current = [...links.keys()].find((id) => inView.has(id));
  for (const [id, a] of links) {
    if (id === current) a.setAttribute("aria-current", "true");
    else a.removeAttribute("aria-current");
  }
}, { rootMargin: "-80px 0px -45% 0px" });
for (const id of links.keys()) watch.observe($(id));

showSettings().catch(lost);
beat();
