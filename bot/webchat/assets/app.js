// The page of Potluck: who is here, which chats there are, then the stream that fills them.
import { $, hasHover, remember } from "./dom.js";
import { buildChats, chats, open } from "./chats.js";
import { readCommands } from "./completion.js";
import { restoreDrafts, writeAs } from "./composer.js";
import { does } from "./message.js";
import { call } from "./net.js";
import { askName, showMe } from "./settings.js";
import { connect, state } from "./stream.js";
import { sentence } from "./words.js";

let me = null;
function become(person) {
  me = person;
  showMe(me);
  writeAs(me);
}
does.moderates = () => Boolean(me?.operator);

let asking = false;
async function rename(why) {
  if (asking) return;
  asking = true;
  become(await askName(me, why));
  asking = false;
}
addEventListener("potluck-name-in-use", () => rename(sentence({ code: "name_in_use" })));
$("rename").addEventListener("click", async () => {
  $("settings").hidePopover();
  await rename();
  $("me").focus();
});

async function whoAmI() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 8000)) {
    try { return await call("session"); } catch (error) {
      if (error.status === 401) return askName(null);
      state("lost");
      await new Promise((r) => setTimeout(r, wait));
    }
  }
}

async function start() {
  become(await whoAmI());
  buildChats(me.chats);
  restoreDrafts();
  const before = remember("potluck-chat");
  open(chats.has(before) ? before : me.chats[0]);
  connect();
  if (hasHover) $("text").focus();
  call("commands").then(readCommands).catch(() => {});
  if (me.name_in_use) rename(sentence({ code: "name_in_use" }));
}
start();
