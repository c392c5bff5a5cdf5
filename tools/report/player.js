"use strict";
// Plays the clips of the gallery on its canvases.
const { clips, parents } = JSON.parse(document.getElementById("clips").textContent);
const [play, time, byClass, byVerdict] = ["play", "time", "class", "verdict"].map((id) => document.getElementById(id));
const unpacked = {}, visible = new Set();
let playing, clock = 0, last = null; // seconds; milliseconds of the last animation frame

// frames[t][body][joint] = [x, y] in the unit square, or null where a joint is absent
function unpack({ data, bodies }) {
  const values = new Uint16Array(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer);
  const point = (i) => (values[i] === 65535 ? null : [values[i] / 60000, 1 - values[i + 1] / 60000]);
  const size = 2 * parents.length;
  const body = (at) => parents.map((_, joint) => point(at + 2 * joint));
  return Array.from({ length: values.length / size / bodies }, (_, t) =>
    Array.from({ length: bodies }, (_, b) => body(size * (bodies * t + b))));
}

function draw(canvas) {
  const name = canvas.dataset.clip, { seconds } = clips[name];
  const frames = (unpacked[name] ??= unpack(clips[name]));
  const size = (canvas.width = canvas.height = canvas.clientWidth * devicePixelRatio); // clears it
  // A pause of half a second on the last frame shows where the clip ends.
  const share = playing ? Math.min(1, (clock % (seconds + 0.5)) / seconds) : Number(time.value);
  const at = share * (frames.length - 1), t = Math.floor(at);
  const context = canvas.getContext("2d");
  Object.assign(context, { lineCap: "round", lineWidth: size / 75 });
  frames[t].forEach((body, b) => {
    const joints = body.map((p, joint) => {
      const q = frames[Math.ceil(at)][b][joint];
      return p && q ? p.map((value, axis) => size * (value + (at - t) * (q[axis] - value))) : null;
    });
    context.strokeStyle = getComputedStyle(canvas).getPropertyValue(`--run${b + 1}`);
    context.beginPath();
    joints.forEach((p, joint) => {
      const parent = joints[parents[joint]];
      if (p && parent) { context.moveTo(...p); context.lineTo(...parent); }
    });
    context.stroke();
  });
}

const drawVisible = () => visible.forEach(draw);
function tick(now) {
  if (!playing) return;
  clock += Math.max(0, Math.min(100, now - (last ?? now))) / 1000;
  last = now;
  drawVisible();
  requestAnimationFrame(tick);
}
function setPlaying(on) {
  [playing, last, play.textContent] = [on, null, on ? "Pause" : "Play"];
  if (on) requestAnimationFrame(tick); else drawVisible();
}
function filter() {
  for (const row of document.querySelectorAll("article")) {
    row.hidden = [[byClass, row.dataset.class], [byVerdict, row.dataset.verdict]].some(([{ value }, own]) => value && value !== own);
  }
}

const observer = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
  visible[isIntersecting ? "add" : "delete"](target);
  if (isIntersecting) draw(target);
}));
document.querySelectorAll("canvas").forEach((canvas) => observer.observe(canvas));
play.addEventListener("click", () => setPlaying(!playing));
time.addEventListener("input", () => setPlaying(false));
for (const select of [byClass, byVerdict]) select.addEventListener("change", filter);
for (const event of ["resize", "beforeprint"]) addEventListener(event, () => document.querySelectorAll("canvas").forEach(draw));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawVisible);
setPlaying(!matchMedia("(prefers-reduced-motion: reduce)").matches);
