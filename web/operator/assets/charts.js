// Pictures of numbers over time, drawn as SVG. Each is also a table, and can be walked through with the arrow keys.

const NS = "http://www.w3.org/2000/svg";

function shape(name, attributes, ...children) {
  const n = document.createElementNS(NS, name);
  for (const [k, v] of Object.entries(attributes)) n.setAttribute(k, v);
  n.append(...children);
  return n;
}

function element(name, className, ...children) {
  const n = document.createElement(name);
  if (className) n.className = className;
  n.append(...children);
  return n;
}

// niceTop divides an axis up to max into at most four steps of 1, 2, 2.5 or 5 × 10ⁿ. It ends at 1 at least: nobody can picture 0.0008 of a job.
function niceTop(max, whole) {
  const raw = Math.max(max, 1) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  if (whole) step = Math.max(1, Math.ceil(step));
  return { top: roomAbove(Math.max(max, 1), step), step };
}

// roomAbove ends an axis at the next step, or a little above the highest value when that step is far.
function roomAbove(max, step) { return Math.min(Math.ceil(max / step - 1e-9) * step, Math.max(max * 1.08, step)); }

// niceSeconds does the same for times: people count them by 60.
function niceSeconds(max) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400];
  const step = steps.find((s) => s * 4 >= max) ?? niceTop(max).step;
  return { top: roomAbove(max, step), step };
}

// roundTimes lists at most that many moments that people call round, in this machine's time zone.
function roundTimes(from, to, most) {
  const minute = 60e3, shift = new Date(from).getTimezoneOffset() * minute;
  const step = [5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1440, 2880].map((m) => m * minute).find((m) => (to - from) / m <= most) ?? 5760 * minute;
  const times = [];
  for (let t = Math.ceil((from - shift) / step) * step + shift; t < to; t += step) times.push(t);
  return times;
}

let serial = 0;

/**
 * Chart draws one picture into a card and keeps it up to date.
 * options: title, text, words (the page's texts), form: "line" or "bars", unit: "seconds" or "count", whole, format(value), time(ms), stamp(ms).
 */
export class Chart {
  constructor(options) {
    this.o = options;
    this.id = `chart-${++serial}`;
    this.at = -1;
    this.svg = shape("svg", { role: "img", tabindex: "0", "aria-labelledby": `${this.id}-t ${this.id}-d` });
    this.tip = element("div", "tip");
    this.tip.hidden = true;
    this.tip.setAttribute("aria-hidden", "true");
    this.spoken = element("p", "unseen");
    this.spoken.setAttribute("aria-live", "polite");
    this.empty = element("p", "empty", "…"); // until the first numbers come
    this.legend = element("ul", "legend");
    this.table = element("div", "scroll");
    this.table.tabIndex = 0;
    this.table.setAttribute("role", "region");
    this.table.setAttribute("aria-label", options.title);
    this.details = element("details", "", element("summary", "", options.words.as_table), this.table);
    const heading = element("h3", "", options.title);
    this.card = element("div", "card chart", heading, element("p", "", options.text), this.svg, this.empty, this.tip, this.spoken, this.legend, this.details);
    this.svg.style.display = "none";
    this.details.hidden = true;
    this.svg.addEventListener("pointermove", (e) => this.point(e));
    this.svg.addEventListener("pointerdown", (e) => this.point(e));
    this.svg.addEventListener("pointerleave", () => this.hover(-1));
    this.svg.addEventListener("blur", () => this.hover(-1));
    this.svg.addEventListener("keydown", (e) => this.key(e));
    this.details.addEventListener("toggle", () => this.tabulate());
    new ResizeObserver(() => this.draw()).observe(this.card);
  }

  // show takes {begin, width} in milliseconds and series [{name, className, dash, values, total}]. A negative value is "nothing there".
  show(data) {
    const key = JSON.stringify(data);
    if (key === this.shown) return;
    this.shown = key;
    this.data = data;
    this.draw();
    this.tabulate();
  }

  draw() {
    const d = this.data;
    if (!d) return;
    const n = d.series[0]?.values.length ?? 0;
    const some = d.series.some((s) => s.values.some((v) => v > 0));
    this.svg.style.display = some ? "" : "none";
    this.empty.textContent = this.o.words.chart_empty;
    this.empty.hidden = some;
    this.legend.replaceChildren(...d.series.map((s) => {
      const mark = element("i", s.className + (s.dash ? " dash" : ""));
      mark.setAttribute("aria-hidden", "true");
      return element("li", "", mark, s.name, ...(s.total === undefined ? [] : [element("b", "", s.total)]));
    }));
    this.details.hidden = !some;
    if (!some) return this.hover(-1);

    const width = Math.max(260, this.svg.clientWidth || this.card.clientWidth - 40), height = 210;
    const stacked = this.o.form === "bars";
    const column = (i) => d.series.reduce((sum, s) => sum + Math.max(0, s.values[i]), 0);
    let max = 0;
    for (let i = 0; i < n; i++) max = Math.max(max, stacked ? column(i) : Math.max(...d.series.map((s) => s.values[i])));
    const { top, step } = this.o.unit === "seconds" ? niceSeconds(max) : niceTop(max, this.o.whole);
    const labels = [];
    for (let v = 0; v <= top + step / 1000; v += step) labels.push(v);
    const left = 14 + Math.max(...labels.map((v) => this.o.format(v, true).length)) * 6.6, right = 6, up = 12, down = 26;
    const x = (i) => left + (width - left - right) * i / n, y = (v) => height - down - (height - up - down) * v / top;
    this.place = { left, right, width, n, x, y, height, down, up };

    const children = [shape("title", { id: `${this.id}-t` }, this.o.title), shape("desc", { id: `${this.id}-d` }, this.describe(d, n))];
    // Failures differ by their pattern too, not by colour alone.
    children.push(shape("defs", {}, shape("pattern", { id: `${this.id}-hatch`, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
      shape("rect", { width: 2.5, height: 5, class: "bar cbad" }))));
    for (const v of labels) {
      children.push(shape("line", { class: v === 0 ? "axis" : "grid", x1: left, x2: width - right, y1: y(v), y2: y(v) }));
      children.push(shape("text", { x: left - 8, y: y(v) + 4, "text-anchor": "end" }, this.o.format(v, true)));
    }
    const across = (ms) => left + (width - left - right) * (ms - d.begin) / (n * d.width);
    for (const ms of roundTimes(d.begin, d.begin + n * d.width, Math.max(2, Math.min(7, Math.floor((width - left) / 62))))) {
      if (across(ms) < left + 12 || across(ms) > width - 24) continue; // half of it would be cut off
      children.push(shape("line", { class: "grid", x1: across(ms), x2: across(ms), y1: height - down, y2: height - down + 4 }));
      children.push(shape("text", { x: across(ms), y: height - 8, "text-anchor": "middle" }, this.o.time(ms)));
    }
    children.push(...(stacked ? this.bars(d, n, x, y) : this.lines(d, n, x, y)));
    this.cursor = shape("g", {});
    children.push(this.cursor);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren(...children);
    this.hover(this.at);
  }

  bars(d, n, x, y) {
    const out = [];
    const gap = x(1) - x(0) > 6 ? 1.5 : 0.5;
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (const s of d.series) {
        const v = Math.max(0, s.values[i]);
        if (v <= 0) continue;
        const low = y(sum), high = y(sum + v);
        const look = s.className === "cbad" ? { fill: `url(#${this.id}-hatch)` } : { class: `bar ${s.className}` };
        out.push(shape("rect", { ...look, x: x(i) + gap / 2, width: Math.max(0.5, x(i + 1) - x(i) - gap), y: high, height: Math.max(0.75, low - high) }));
        sum += v;
      }
    }
    return out;
  }

  lines(d, n, x, y) {
    const out = [];
    for (const s of d.series) {
      let run = [];
      const flush = () => {
        if (run.length === 1) out.push(shape("circle", { class: `spot ${s.className}`, cx: run[0][0], cy: run[0][1], r: 2.5 }));
        if (run.length > 1) {
          const path = run.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
          if (!s.dash) out.push(shape("path", { class: `area ${s.className}`, d: `${path}L${run.at(-1)[0].toFixed(1)} ${y(0)}L${run[0][0].toFixed(1)} ${y(0)}Z` }));
          out.push(shape("path", { class: `line ${s.className}${s.dash ? " dash" : ""}`, d: path }));
        }
        run = [];
      };
      for (let i = 0; i < n; i++) {
        if (s.values[i] < 0) flush();
        else run.push([x(i + 0.5), y(s.values[i])]);
      }
      flush();
    }
    return out;
  }

  // describe says in a sentence what the picture shows, for those who do not see it.
  describe(d, n) {
    const from = this.o.stamp(d.begin), to = this.o.stamp(d.begin + n * d.width);
    const parts = d.series.map((s) => {
      const known = s.values.filter((v) => v >= 0);
      return `${s.name}: ${s.total ?? `${this.o.format(Math.min(...known))} – ${this.o.format(Math.max(...known))}`}`;
    });
    return `${this.o.text} ${from} – ${to}. ${parts.join("; ")}.`;
  }

  point(e) {
    const p = this.place;
    if (!p) return;
    const box = this.svg.getBoundingClientRect();
    const at = Math.floor(((e.clientX - box.left) * p.width / box.width - p.left) / (p.width - p.left - p.right) * p.n);
    this.hover(at >= 0 && at < p.n ? at : -1);
  }

  key(e) {
    const n = this.place?.n ?? 0;
    const to = { ArrowLeft: Math.max(0, (this.at < 0 ? n : this.at) - 1), ArrowRight: Math.min(n - 1, this.at + 1), Home: 0, End: n - 1, Escape: -1 }[e.key];
    if (to === undefined || !n) return;
    e.preventDefault();
    this.hover(to);
    if (to >= 0) this.spoken.textContent = [this.o.stamp(this.data.begin + to * this.data.width), ...this.rows(to).map(([s, v]) => `${s.name} ${v}`)].join(", ");
  }

  rows(i) { return this.data.series.map((s) => [s, s.values[i] < 0 ? "–" : this.o.format(s.values[i])]); }

  hover(i) {
    this.at = i;
    const p = this.place;
    this.tip.hidden = i < 0 || !p || i >= p.n;
    if (!this.cursor) return;
    this.cursor.replaceChildren();
    if (this.tip.hidden) return;
    const x = p.x(i + 0.5);
    this.cursor.append(shape("line", { class: "cursor", x1: x, x2: x, y1: p.up, y2: p.height - p.down }));
    this.tip.replaceChildren(element("strong", "", this.o.stamp(this.data.begin + i * this.data.width)),
      ...this.rows(i).map(([s, v]) => element("div", "", element("span", "", s.name), element("span", "", v))));
    const scale = this.svg.clientWidth / p.width, half = this.tip.offsetWidth / 2;
    const middle = this.svg.offsetLeft || this.svg.getBoundingClientRect().left - this.card.getBoundingClientRect().left;
    const wanted = middle + x * scale - half;
    this.tip.style.left = `${Math.max(6, Math.min(wanted, this.card.clientWidth - this.tip.offsetWidth - 6))}px`;
    this.tip.style.top = `${this.svg.getBoundingClientRect().top - this.card.getBoundingClientRect().top - this.tip.offsetHeight + 4}px`;
  }

  tabulate() {
    if (!this.details.open || !this.data) return;
    const d = this.data;
    const head = element("tr", "", element("th", "", this.o.words.time), ...d.series.map((s) => element("th", "num", s.name)));
    for (const th of head.children) th.scope = "col";
    const body = element("tbody");
    for (let i = d.series[0].values.length - 1; i >= 0; i--) {
      const time = element("th", "", this.o.stamp(d.begin + i * d.width));
      time.scope = "row";
      body.append(element("tr", "", time, ...this.rows(i).map(([, v]) => element("td", "num", v))));
    }
    const scrolled = this.table.scrollTop;
    this.table.replaceChildren(element("table", "", element("caption", "unseen", this.o.title), element("thead", "", head), body));
    this.table.scrollTop = scrolled;
  }
}
