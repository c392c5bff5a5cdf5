"use strict";
// Plays the clips of the gallery on its canvases.
const { clips, parents, colors, side } = JSON.parse(document.getElementById("clips").textContent);
const play = document.getElementById("play");
const canvases = [...document.querySelectorAll("canvas")];
let playing = false, clock = 0, last = 0; // seconds; milliseconds of the last animation frame

function draw(canvas) {
  const { seconds, frames } = clips[canvas.dataset.clip], size = canvas.width;
  // A pause of half a second on the last frame shows where the clip ends.
  const at = Math.min(1, (clock % (seconds + 0.5)) / seconds) * (frames.length - 1);
  const t = Math.floor(at), next = frames[Math.ceil(at)];
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, size, size);
  Object.assign(context, { lineCap: "round", lineWidth: size / 75 });
  frames[t].forEach((body, b) => {
    const joints = body.map(([x, y], joint) => {
      const [nextX, nextY] = next[b][joint];
      if (x < 0 || nextX < 0) return null; // absent
      return [x + (at - t) * (nextX - x), side - y - (at - t) * (nextY - y)].map((v) => v * size / side);
    });
    context.strokeStyle = colors[b % colors.length];
    context.beginPath();
    joints.forEach((p, joint) => {
      const parent = joints[parents[joint]];
      if (p && parent) { context.moveTo(...p); context.lineTo(...parent); }
    });
    context.stroke();
  });
}

function tick(now) {
  if (!playing) return;
  clock += Math.max(0, Math.min(100, now - last)) / 1000;
  last = now;
  for (const canvas of canvases) {
    const { top, bottom } = canvas.getBoundingClientRect();
    if (bottom > 0 && top < innerHeight) draw(canvas);
  }
  requestAnimationFrame(tick);
}

function setPlaying(on) {
  [playing, last, play.textContent] = [on, performance.now(), on ? "Pause" : "Play"];
  if (on) requestAnimationFrame(tick);
}

play.addEventListener("click", () => setPlaying(!playing));
canvases.forEach(draw);
setPlaying(!matchMedia("(prefers-reduced-motion: reduce)").matches);
