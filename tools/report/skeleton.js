// Clips as moving skeletons on canvases. The projection is that of tools/drawing/draw.py.

// Unpack a clip: frames[f][body] is null or a list of joints; each is null or [x, y, z] in metres.
// count: of joints; origin: the joint that lies at zero in each frame, or null.
function unpack(clip, count, origin) {
  const bytes = Uint8Array.from(atob(clip.data), (character) => character.charCodeAt(0));
  const values = new DataView(bytes.buffer);
  const metres = (i) => values.getInt16(2 * i, true) / 1000;
  let at = 0;
  const body = () => {
    const joints = [];
    for (let joint = 0; joint < count; joint++, at += 3) {
      joints.push([metres(at), metres(at + 1), metres(at + 2)]);
    }
    const there = joints.map((p) => p.some((value) => value !== 0));
    if (!there.includes(true)) return null;
    return joints.map((p, joint) => (there[joint] || joint === origin ? p : null));
  };
  const frames = Array.from({ length: clip.frames }, () =>
    Array.from({ length: clip.bodies }, body));
  return { frames, seconds: clip.seconds, bounds: boundsOf(frames) };
}

// A box that holds all frames, seen from any side.
function boundsOf(frames) {
  const points = frames.flat().filter(Boolean).flat().filter(Boolean);
  if (!points.length) return { middle: [0, 0, 0], radius: 1, low: -1, high: 1 };
  const range = (axis) => points.reduce(
    ([low, high], p) => [Math.min(low, p[axis]), Math.max(high, p[axis])], [Infinity, -Infinity]);
  const [x, y, z] = [0, 1, 2].map(range);
  const middle = [(x[0] + x[1]) / 2, (y[0] + y[1]) / 2, (z[0] + z[1]) / 2];
  const radius = Math.max(0.35, ...points.map((p) => Math.hypot(p[0] - middle[0], p[2] - middle[2])));
  return { middle, radius, low: y[0], high: y[1] };
}

// Project a point: metres to the right and up. The view is along +z, with x to the left, then turned
// and raised by the two angles.
function project([x, y, z], [yaw, pitch]) {
  const across = -x * Math.cos(yaw) + z * Math.sin(yaw);
  const away = x * Math.sin(yaw) + z * Math.cos(yaw);
  return [across, y * Math.cos(pitch) + away * Math.sin(pitch)];
}

// A body between two frames. A joint that only one frame has is shown near that frame.
function between(one, two, share) {
  const nearer = share < 0.5 ? one : two;
  if (!one || !two) return nearer;
  return nearer.map((p, joint) => (one[joint] && two[joint]
    ? one[joint].map((value, axis) => value + share * (two[joint][axis] - value))
    : p));
}

// Draw a clip at a moment from 0 (first frame) to 1 (last frame), seen from angles [yaw, pitch].
function drawClip(canvas, clip, moment, angles, parents, colors) {
  const ratio = pixelRatio();
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const { middle, radius, low, high } = clip.bounds;
  const flat = Math.sin(angles[1]);
  const tall = ((high - low) / 2) * Math.cos(angles[1]) + radius * flat;
  const scale = 0.46 * Math.min(width / radius, height / tall);
  const pixel = (p) => {
    const [u, v] = project(p.map((value, axis) => value - middle[axis]), angles);
    return [width / 2 + scale * u, height / 2 - scale * v];
  };
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.lineCap = "round";

  const at = moment * (clip.frames.length - 1);
  const frame = clip.frames[Math.floor(at)], next = clip.frames[Math.ceil(at)];
  frame.forEach((body, which) => {
    const joints = between(body, next[which], at - Math.floor(at));
    if (!joints) return;
    const pixels = joints.map((p) => p && pixel(p));
    context.strokeStyle = context.fillStyle = colors[which % colors.length];
    context.lineWidth = Math.max(1.4, width / 75);
    context.beginPath();
    pixels.forEach((p, joint) => {
      const end = pixels[parents[joint]];
      if (p && end) { context.moveTo(...p); context.lineTo(...end); }
    });
    context.stroke();
    for (const p of pixels.filter(Boolean)) {
      context.beginPath();
      context.arc(...p, Math.max(1.2, width / 90), 0, 2 * Math.PI);
      context.fill();
    }
  });
}
