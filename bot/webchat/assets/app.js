// The page of Potluck: who is here, which chats there are, then the stream that fills them.
import { $, forgetAll, hasHover, remember } from "./dom.js";
import { buildChats, chats, clearChats, open } from "./chats.js";
import { readCommands } from "./completion.js";
import { restoreDrafts, writeAs } from "./composer.js";
import { does } from "./message.js";
import { call, door } from "./net.js";
import { askName, showMe } from "./settings.js";
import { connect, disconnect, state } from "./stream.js";
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
    try {
      const known = await call("session");
      return known.user ? known : askName(null);
    } catch {
      state("lost");
      await new Promise((r) => setTimeout(r, wait));
    }
  }
}

// Whose session is gone, after /forgetme say, is asked for a name as if for the first time, and this browser forgets what it knew.
let sitting = null;
door.seat = () => {
  if (!me) return Promise.resolve(sitting); // the first name is being asked for
  sitting ??= sitAnew().finally(() => { sitting = null; });
  return sitting;
};
async function sitAnew() {
  disconnect();
  forgetAll();
  clearChats();
  $("settings").hidePopover();
  $("me").hidden = true;
  become(await askName(null));
  connect();
  call("commands").then(readCommands).catch(() => {});
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
