// Talking to the server, and what people see when it does not work.
import { $ } from "./dom.js";
import { say, sentence } from "./words.js";

// door.seat asks for a new seat when the server does not know this visitor any more; app.js fills it in.
export const door = { async seat() {} };

export async function call(path, body) {
  const options = body ? { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
  const response = await fetch("/webchat/" + path, options);
  const answer = await response.json().catch(() => ({}));
  if (response.status === 401) door.seat();
  if (!response.ok) throw Object.assign(new Error(answer.error || response.statusText), { status: response.status, answer });
  return answer;
}

let timer;
export function toast(text) {
  const t = $("toast");
  t.hidden = false;
  t.textContent = text;
  clearTimeout(timer);
  timer = setTimeout(() => { t.hidden = true; }, 6000);
}
export const complain = (error) => toast(error.answer ? sentence(error.answer) : say("network"));
