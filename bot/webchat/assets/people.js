// Who is who: avatars are made from ids, so that nobody has to upload anything and two people of one name differ.
import { icon } from "./dom.js";

function hash(id) {
  let h = 2166136261;
  for (const c of id) h = Math.imul(h ^ c.codePointAt(0), 16777619);
  return h >>> 0;
}
const letters = globalThis.Intl?.Segmenter ? new Intl.Segmenter() : null;
function initial(name) {
  const first = letters ? letters.segment(name)[Symbol.iterator]().next().value?.segment : [...name][0];
  return (first || "?").toLocaleUpperCase();
}

export function dressAvatar(node, name, id) {
  const h = hash(id || name);
  node.textContent = initial(name);
  node.style.setProperty("--hue", h % 360);
  node.style.setProperty("--turn", `${(h >>> 9) % 360}deg`);
}
export function botAvatar(node) { node.replaceChildren(icon("pot")); }
