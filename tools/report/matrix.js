// The confusion matrix on a canvas; a pointer or the arrow keys choose a cell.

const SUMMARY = "Rows: true class; columns: predicted class; percent of the clips of the true class.";
const HINT = "Point at a cell, or move with the arrow keys.";

// The layout of a canvas of some width: room for names, height of numbers, size of a cell.
function matrixLayout(width, count) {
  const room = Math.min(210, 0.42 * width);
  const named = (width - room) / count >= 8, numbered = count <= 24; // only where the text can be read
  const left = named ? room : 0, top = numbered && named ? 20 : 0;
  const size = Math.min((width - left - 1) / count, 40);
  return { left, top, size, numbered, height: top + size * count + 1 };
}

// Write the names and numbers of the classes at the left, and the numbers above.
function paintNames(context, names, { left, top, size, numbered }, cursor) {
  const font = `${Math.max(6, Math.min(12.5, size * 0.85))}px system-ui, sans-serif`;
  const ink = color("ink"), muted = color("muted");
  names.forEach((name, i) => {
    context.font = font;
    context.fillStyle = cursor && cursor[0] === i ? ink : muted;
    context.textAlign = "right";
    const ending = numbered ? `  ${i + 1}` : "";
    if (left) context.fillText(fitted(context, name + ending, left - 8, ending), left - 6, top + size * (i + 0.5));
    context.textAlign = "center";
    context.fillStyle = cursor && cursor[1] === i ? ink : muted;
    if (top) context.fillText(i + 1, left + size * (i + 0.5), 10);
  });
}

// Fill the cells: the greater the share of the true class, the darker. Write the share where it fits.
function paintCells(context, share, count, { left, top, size, numbered }) {
  const wash = color("wash"), paper = color("paper");
  context.textAlign = "center";
  context.font = `${Math.min(12, size * 0.42)}px system-ui, sans-serif`;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < count; j++) {
      const part = share(i, j) / 100;
      // The square root makes rare confusions visible.
      context.fillStyle = `rgba(${wash}, ${part ? 0.06 + 0.94 * Math.sqrt(part) : 0.035})`;
      context.fillRect(left + size * j + 0.5, top + size * i + 0.5, size - 1, size - 1);
      if (numbered && size >= 20 && part) {
        context.fillStyle = isDark(context.fillStyle, paper) ? "#fff" : "#000";
        context.fillText(Math.round(100 * part), left + size * (j + 0.5), top + size * (i + 0.5));
      }
    }
  }
}

function matrixChart({ names, matrix }) {
  const count = names.length, totals = matrix.map((row) => row.reduce((a, b) => a + b, 0));
  const share = (i, j) => (totals[i] ? (100 * matrix[i][j]) / totals[i] : 0);
  const output = make("output", {}, HINT);
  let cursor = null, layout = null;
  const canvas = make("canvas", {
    role: "img", tabindex: 0, "aria-label": `Confusion matrix of ${count} classes; ${HINT}`,
    pointermove: (event) => {
      const box = canvas.getBoundingClientRect(), { left, top, size } = layout;
      const cell = [event.clientY - box.top - top, event.clientX - box.left - left].map((at) => Math.floor(at / size));
      point(cell.every((at) => at >= 0 && at < count) ? cell : null);
    },
    pointerleave: () => point(null),
    keydown: (event) => {
      const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!move) return;
      event.preventDefault();
      point((cursor || [0, 0]).map((at, i) => (cursor ? Math.max(0, Math.min(count - 1, at + move[i])) : at)));
    },
  });
  const point = (cell) => {
    cursor = cell;
    output.textContent = cell === null ? HINT
      : `${names[cell[0]]} predicted as ${names[cell[1]]}: ${matrix[cell[0]][cell[1]]} of ${totals[cell[0]]} clips (${share(...cell).toFixed(1)} %)`;
    draw();
  };
  const draw = () => {
    const width = canvas.clientWidth, ratio = pixelRatio();
    if (!width) return;
    layout = matrixLayout(width, count);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(layout.height * ratio);
    canvas.style.height = `${layout.height}px`;
    const context = canvas.getContext("2d"), { left, top, size } = layout;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.textBaseline = "middle";
    paintNames(context, names, layout, cursor);
    paintCells(context, share, count, layout);
    if (!cursor) return;
    context.strokeStyle = color("ink");
    context.strokeRect(left + size * cursor[1] + 0.5, top + size * cursor[0] + 0.5, size - 1, size - 1);
  };
  new ResizeObserver(draw).observe(canvas.parentNode || canvas);
  return { figure: make("figure", { class: "matrix" }, canvas, make("figcaption", { class: "note" }, SUMMARY), output), draw };
}

// Whether white text has more contrast than black text on a half-transparent color over another one.
// The better of the two always has a contrast of at least 4.5 (WCAG 2; both are equal at 0.179).
function isDark(color, below) {
  const numbers = (text) => (text.startsWith("#") ? text.slice(1).match(/../g).map((pair) => parseInt(pair, 16)) : text.match(/[\d.]+/g).map(Number));
  const [over, under] = [color, below].map(numbers), opacity = over[3] ?? 1;
  const [r, g, b] = [0, 1, 2].map((i) => {
    const value = (opacity * over[i] + (1 - opacity) * under[i]) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.179;
}

// Shorten a text so that it fits; its ending stays.
function fitted(context, text, width, ending) {
  if (context.measureText(text).width <= width) return text;
  let cut = text.slice(0, text.length - ending.length);
  while (cut && context.measureText(`${cut}…${ending}`).width > width) cut = cut.slice(0, -1);
  return `${cut}…${ending}`;
}
