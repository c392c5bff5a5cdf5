// Charts: curves and clusters, drawn from the data that Python put into the page.

const SVG = "http://www.w3.org/2000/svg";

// Make an element with attributes and children; an attribute that is a function becomes a listener.
function make(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "circle", "text"].includes(name);
  const element = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value !== null && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const isPrinting = () => document.documentElement.classList.contains("printing");
const pixelRatio = () => Math.max(window.devicePixelRatio || 1, isPrinting() ? 2.5 : 1);

// Format a number so that it is short: 1,234 or 12.35 or 0.0005 or 2.1e-7.
function short(value) {
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en");
  if (size !== 0 && size < 1e-4) return value.toExponential(1);
  return String(Number(value.toPrecision(size >= 100 ? 4 : 3)));
}

function table(heads, rows, className = "") {
  const cell = (tag, value, [title, numeric]) => make(tag,
    { class: numeric ? "number" : null, scope: tag === "th" ? "row" : null, "data-head": title },
    value === null ? "–" : value);
  const head = make("tr", {}, ...heads.map(([title, numeric]) =>
    make("th", { scope: "col", class: numeric ? "number" : null }, title)));
  const body = rows.map((row) => make("tr", {}, ...row.map((value, column) =>
    cell(column ? "td" : "th", value, heads[column]))));
  return make("div", { class: `scroll ${className}`, tabindex: className.includes("tall") ? 0 : null },
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...body)));
}

// The color of a run's lines, bars and name; from the seventh run on lines are dashed, too.
const runColor = (i) => `var(--run${(i % 6) + 1})`;
const swatch = (i) => make("span", { class: "dot", style: `background: ${runColor(i)}` });

// ---- curves of several runs: lines [{name, run, points: [[step, value], …]}]
function curveChart({ title, unit, lines }) {
  const width = 300, height = 130, left = 50, right = 8, top = 8, bottom = 20;
  const points = lines.flatMap((line) => line.points);
  const steps = points.map((p) => p[0]), values = points.map((p) => p[1]);
  const first = Math.min(...steps), last = Math.max(...steps);
  let low = Math.min(...values), high = Math.max(...values);
  if (high - low < 1e-12) { const pad = Math.abs(high) * 0.1 || 1; low -= pad; high += pad; }
  const x = (step) => left + (width - left - right) * (last > first ? (step - first) / (last - first) : 0.5);
  const y = (value) => top + (height - top - bottom) * (1 - (value - low) / (high - low));
  const says = (value) => `${short(value)}${unit && ` ${unit}`}`;
  const nearest = (line, step) => line.points.reduce((best, p) => (Math.abs(p[0] - step) < Math.abs(best[0] - step) ? p : best));
  const ends = lines.map((line) => line.points.at(-1));
  const output = make("output", {});
  const dots = lines.map((line) => make("circle", { r: 3, fill: runColor(line.run) }));
  const longest = lines.reduce((a, b) => (b.points.length > a.points.length ? b : a)).points;
  let at = longest.length - 1;
  const read = (i) => {
    at = Math.max(0, Math.min(longest.length - 1, i));
    const end = at === longest.length - 1;
    const shown = end ? ends : lines.map((line) => nearest(line, longest[at][0]));
    dots.forEach((dot, k) => { dot.setAttribute("cx", x(shown[k][0])); dot.setAttribute("cy", y(shown[k][1])); });
    const parts = shown.map((p, k) => make("span", { style: lines.length > 1 ? `color: ${runColor(lines[k].run)}` : null }, says(p[1])));
    output.replaceChildren(...(end ? [] : [`step ${longest[at][0].toLocaleString("en")}: `]), ...parts);
  };
  const svg = make("svg", {
    viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0,
    "aria-label": `${title}: ${lines.map((line) => `${line.name} from ${says(line.points[0][1])} to ${says(line.points.at(-1)[1])}`).join("; ")}; arrow keys read the curve`,
    pointermove: (event) => {
      const box = svg.getBoundingClientRect();
      const step = first + (last - first) * (((event.clientX - box.left) / box.width) * width - left) / (width - left - right);
      read(longest.reduce((best, p, i) => (Math.abs(p[0] - step) < Math.abs(longest[best][0] - step) ? i : best), 0));
    },
    pointerleave: () => read(longest.length - 1),
    keydown: (event) => {
      const move = { ArrowLeft: -1, ArrowRight: 1, Home: -longest.length, End: longest.length }[event.key];
      if (move) { read(at + move); event.preventDefault(); }
    },
  });
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(make("line", { class: "axis", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      make("text", { x: left - 5, y: y(value) + 3.5, "text-anchor": "end" }, short(value)));
  }
  const path = (line) => make("path", { class: "curve", stroke: runColor(line.run), "stroke-dasharray": line.run >= 6 ? "4 3" : null,
    d: line.points.map((p, i) => `${i ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join("") });
  svg.append(make("text", { x: left, y: height - 6 }, `step ${first.toLocaleString("en")}`),
    make("text", { x: width - right, y: height - 6, "text-anchor": "end" }, last.toLocaleString("en")), ...lines.map(path), ...dots);
  read(longest.length - 1);
  return make("figure", { class: "chart" }, make("figcaption", {}, make("span", {}, title), output), svg);
}

// ---- clusters: panels of points; a class has the same color in all panels and in tsne.png
function clusterChart({ classes, colors, labels, panels }) {
  const groups = classes.map(() => []), size = 400, pad = 14;
  const figures = panels.map(({ title, knn, silhouette, points }) => {
    const low = [0, 1].map((axis) => Math.min(...points.map((p) => p[axis])));
    const high = [0, 1].map((axis) => Math.max(...points.map((p) => p[axis])));
    const scale = (size - 2 * pad) / Math.max(high[0] - low[0], high[1] - low[1], 1e-9);
    const place = (p, axis) => (size / 2 + scale * (p[axis] - (low[axis] + high[axis]) / 2) * (axis ? -1 : 1)).toFixed(1);
    const figures = `1-NN ${knn.toFixed(1)} %, silhouette ${silhouette.toFixed(2)}`;
    const svg = make("svg", { viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": `t-SNE: ${title}, ${figures}` });
    classes.forEach((name, k) => {
      const group = make("g", { fill: colors[k] });
      points.forEach((p, i) => labels[i] === k && group.append(make("circle", { r: 3.6, cx: place(p, 0), cy: place(p, 1), opacity: 0.85 })));
      groups[k].push(group);
      svg.append(group);
    });
    return make("figure", {}, make("figcaption", {}, make("strong", {}, title), make("br"), figures), svg);
  });
  let chosen = null;
  const buttons = classes.map((name, k) => make("button", {
    type: "button", "aria-pressed": "false",
    click: () => {
      chosen = chosen === k ? null : k;
      buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(chosen === i)));
      groups.forEach((parts, i) => parts.forEach((part) => part.classList.toggle("faint", chosen !== null && chosen !== i)));
    },
  }, make("span", { class: "dot", style: `background: ${colors[k]}` }), name));
  return make("div", {}, make("div", { class: "panels" }, ...figures),
    make("ul", { class: "legend", "aria-label": "Classes; press one to single it out" }, ...buttons.map((b) => make("li", {}, b))));
}
