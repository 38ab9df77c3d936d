// Who somebody is on this page: name, language, light or dark.
import { $, remember } from "./dom.js";
import { asPopover } from "./menu.js";
import { call, complain } from "./net.js";
import { dressAvatar } from "./people.js";
import { pageLanguage, say, sentence } from "./words.js";

export function showMe(me) {
  $("me").hidden = false;
  $("operator-view").hidden = !me.operator;
  $("me-name").textContent = me.name;
  $("me-role").textContent = (me.operator ? say("operator") + " · " : "") + say("settings");
  dressAvatar($("me").querySelector(".avatar"), me.name, me.user);
}

// askName resolves with who the visitor is now; me is null for somebody new. Why: a text that says why the name has to change.
export function askName(me, why = "") {
  const dialog = $("name-dialog"), first = !me || Boolean(why);
  $("name-title").textContent = say(me ? "rename_title" : "name_title");
  $("name-hint").textContent = say(me ? "rename_hint" : "name_hint");
  $("name-save").textContent = say(me ? "rename_save" : "name_save");
  $("name-cancel").hidden = first;
  $("name-error").textContent = why;
  $("name").value = me?.name || remember("potluck-name") || "";
  return new Promise((resolve) => {
    let now = null;
    dialog.oncancel = (e) => { if (first) e.preventDefault(); };
    dialog.onclose = () => { if (first && !now) dialog.showModal(); else resolve(now || me); };
    $("name-cancel").onclick = () => dialog.close();
    $("name").oninput = () => { $("name-error").textContent = ""; };
    $("name-form").onsubmit = async (e) => {
      e.preventDefault();
      $("name-error").textContent = "";
      try {
        const answer = await call("session", { name: $("name").value });
        if (answer.name_in_use) throw Object.assign(new Error(), { answer: { code: "name_in_use" } });
        now = answer;
        remember("potluck-name", now.name);
        showMe(now);
        dialog.close();
      } catch (error) { $("name-error").textContent = sentence(error.answer); }
    };
    if (!dialog.open) dialog.showModal();
    $("name").select();
  });
}

$("language").addEventListener("change", async () => {
  try { await call("language", { language: $("language").value }); } catch (error) { // then nothing changes, neither here nor there
    $("language").value = pageLanguage;
    return complain(error);
  }
  document.cookie = `potluck_language=${$("language").value}; path=/; max-age=31536000; samesite=lax`;
  location.reload();
});

const theme = remember("potluck-theme") || "";
for (const choice of document.querySelectorAll("[name=theme]")) {
  choice.checked = choice.value === theme;
  choice.addEventListener("change", () => {
    if (choice.value) document.documentElement.dataset.theme = choice.value; else delete document.documentElement.dataset.theme;
    remember("potluck-theme", choice.value || null);
  });
}
asPopover($("me"), $("settings"));
