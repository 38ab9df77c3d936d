// The pool and the purse at a glance, as the server tells them.
import { $, icon, make } from "./dom.js";
import { asPopover } from "./menu.js";
import { list, number, plural, say } from "./words.js";

const order = ["chat", "image", "translate"];

export function showPool(pool) {
  const n = pool.machines || 0;
  $("glance").hidden = false;
  $("glance").classList.toggle("empty", n === 0);
  $("glance-machines").textContent = plural("machines", n);
  $("glance-online").textContent = plural("machines_online", n);
  const words = list("abilities");
  $("glance-abilities").replaceChildren(...order.map((kind) => {
    const a = (pool.abilities || []).find((x) => x.kind === kind);
    const models = a ? [...new Set(a.models)].join(", ") : say("not_now");
    return make("li", { class: a ? "can" : "cannot" }, icon(kind), make("span", {}, make("strong", {}, words[kind]), make("small", { dir: "auto" }, models)));
  }));
}

export function showPurse(purse) {
  const free = purse.daily > 0, all = purse.own + purse.free;
  $("glance").hidden = false;
  $("glance-credits").textContent = plural("credits", Math.floor(all));
  const rows = [[say("purse_own"), number.format(purse.own)]];
  if (free) rows.push([say("purse_free"), say("purse_of", { n: number.format(purse.free), all: number.format(purse.daily) })]);
  $("glance-purse").replaceChildren(...rows.map(([what, much]) => make("div", {}, make("dt", {}, what), make("dd", {}, much))));
}

asPopover($("glance"), $("glance-card"));
