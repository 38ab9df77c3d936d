// Pictures of a message: the grid below its text, and the viewer over the whole page.
import { $, make } from "./dom.js";
import { say } from "./words.js";

const revealed = new Set(); // addresses of covered pictures that this person chose to see

export function showPictures(place, pictures, unfinished) {
  place.hidden = !pictures.length;
  place.classList.toggle("many", pictures.length > 1);
  place.classList.toggle("unfinished", unfinished);
  place.replaceChildren(...pictures.map((p) => tile(p, pictures, place)));
  if ($("viewer").open && viewedPlace === place) follow(pictures);
}

function tile(p, pictures, place) {
  const own = p.url.startsWith("/webchat/pictures/") ? p.url : "";
  const image = make("img", { src: own, alt: p.alt || say("picture"), width: p.width || undefined, height: p.height || undefined, decoding: "async" });
  const covered = p.spoiler && !revealed.has(p.url);
  const button = make("button", { class: "picture" + (covered ? " spoilered" : ""), type: "button", onclick: () => {
    if (button.classList.contains("spoilered")) {
      button.classList.remove("spoilered");
      button.querySelector(".cover").remove();
      revealed.add(p.url);
      return;
    }
    const open = uncovered(pictures);
    view(open, open.indexOf(p), button, place);
  } }, image, covered ? make("span", { class: "cover" }, say("show_picture")) : null);
  return button;
}

const uncovered = (pictures) => pictures.filter((p) => !p.spoiler || revealed.has(p.url));

let viewed = [], at = 0, from = null, viewedPlace = null;
function view(pictures, first, button, place) {
  viewed = pictures;
  from = button;
  viewedPlace = place;
  turn(first);
  $("viewer").showModal();
}
// follow shows what the viewed message shows now: the next preview, at last the picture itself.
function follow(pictures) {
  viewed = uncovered(pictures);
  from = viewedPlace.children[at] || viewedPlace.firstElementChild;
  if (viewed.length) turn(Math.min(at, viewed.length - 1)); else $("viewer").close();
}
function turn(to) {
  at = (to + viewed.length) % viewed.length;
  const p = viewed[at];
  $("viewer-image").src = p.url;
  $("viewer").classList.toggle("unfinished", viewedPlace.classList.contains("unfinished"));
  $("viewer-image").alt = p.alt || say("picture");
  $("viewer-alt").textContent = p.alt || "";
  $("viewer-save").href = p.url;
  $("viewer-save").setAttribute("download", fileName(p));
  $("viewer-count").textContent = viewed.length > 1 ? say("picture_of", { n: at + 1, all: viewed.length }) : "";
  $("viewer-left").hidden = $("viewer-right").hidden = viewed.length < 2;
}
// fileName is what a saved picture is called: the words of its description, without what a file system or a shell could misread.
function fileName(p) {
  const words = (p.alt || "").replace(/^[^:]*:\s*/, "").normalize("NFKC").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "").slice(0, 60).replace(/-+$/, "");
  return (words || "potluck") + (p.url.endsWith(".png") ? ".png" : ".jpg");
}

$("viewer-close").addEventListener("click", () => $("viewer").close());
$("viewer-left").addEventListener("click", () => turn(at - 1));
$("viewer-right").addEventListener("click", () => turn(at + 1));
$("viewer").addEventListener("click", (e) => { if (e.target === $("viewer") || e.target.tagName === "FIGURE") $("viewer").close(); });
$("viewer").addEventListener("keydown", (e) => {
  if (e.key === "ArrowLeft") turn(at - 1);
  if (e.key === "ArrowRight") turn(at + 1);
});
$("viewer").addEventListener("close", () => from?.focus());
let touched = null;
$("viewer").addEventListener("touchstart", (e) => { touched = e.touches.length === 1 ? e.touches[0].clientX : null; }, { passive: true });
$("viewer").addEventListener("touchend", (e) => {
  const moved = touched === null ? 0 : e.changedTouches[0].clientX - touched;
  if (Math.abs(moved) > 50 && viewed.length > 1) turn(at + (moved < 0 ? 1 : -1));
}, { passive: true });
