// The gallery: queries and the training clips that were found for them, as moving skeletons.

// Draws the clips on all canvases that are in sight, at one moment or moving.
function moviePlayer({ clips, parents, origin, yaw, pitch }) {
  const unpacked = new Map(), shown = new Map(); // canvas in sight -> name of its clip
  const state = { playing: false, yaw, moment: 0.4 }; // moment: from 0, the first frame, to 1
  let colors, clock = 0, last = null;
  const draw = (canvas) => {
    const name = canvas.dataset.clip;
    if (!unpacked.has(name)) unpacked.set(name, unpack(clips[name], parents.length, origin));
    const clip = unpacked.get(name);
    // A short pause on the last frame shows where the clip ends.
    const moment = state.playing ? Math.min(1, (clock % (clip.seconds + 0.5)) / clip.seconds) : state.moment;
    drawClip(canvas, clip, moment, [state.yaw, pitch].map((angle) => (angle * Math.PI) / 180), parents, colors);
  };
  const drawAll = () => shown.forEach((_, canvas) => draw(canvas));
  const tick = (now) => {
    if (!state.playing) return;
    clock += Math.min(0.1, (now - (last ?? now)) / 1000);
    last = now;
    drawAll();
    requestAnimationFrame(tick);
  };
  const sight = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
    if (isIntersecting) { shown.set(target, true); draw(target); } else shown.delete(target);
  }), { rootMargin: "100px" });
  const play = (on) => {
    state.playing = on;
    if (!on) return drawAll();
    last = null; // the first picture sets the time, which may lie before this moment
    requestAnimationFrame(tick);
  };
  const paint = () => { colors = ["first", "second", "third"].map(color); drawAll(); };
  paint();
  return { state, play, draw, drawAll, paint, watch: (canvas) => sight.observe(canvas) };
}

// A query and the clips that were found for it, nearest first.
function queryCard({ name, found }, { clips, names }, player) {
  const classOf = (clip) => clips[clip].class;
  const figure = (clip, kind, ...caption) => {
    const canvas = make("canvas", { role: "img", "data-clip": clip, "aria-label": `${kind}: ${names[classOf(clip)]}, ${clip}` });
    player.watch(canvas);
    return make("figure", { class: `clip ${kind}` }, canvas, make("figcaption", {}, ...caption));
  };
  const kindOf = (clip) => (classOf(clip) === classOf(name) ? "right" : "wrong");
  const mark = (kind) => (kind === "right" ? "✓" : "✗");
  const verdict = kindOf(found[0].name);
  return make("article", { class: "query", tabindex: 0, "data-class": classOf(name), "data-verdict": verdict },
    make("h3", {}, make("span", { class: `mark ${verdict}` }, mark(verdict)), names[classOf(name)], make("small", {}, name)),
    figure(name, "asked", "query"),
    ...found.map((f) => figure(f.name, kindOf(f.name), make("span", { class: "mark" }, `${mark(kindOf(f.name))} `),
      names[classOf(f.name)], make("br"), make("span", { class: "muted" }, f.similarity.toFixed(3)))));
}

// The controls that choose which queries are shown: by class, and right or wrong.
function cardFilter(cards, names) {
  const count = make("output", { "aria-live": "polite", class: "muted" });
  const option = (value, text) => make("option", { value }, text);
  const occurring = [...new Set(cards.map((card) => Number(card.dataset.class)))].sort((a, b) => a - b);
  const filter = () => {
    cards.forEach((card) => {
      card.hidden = (byClass.value !== "" && card.dataset.class !== byClass.value)
        || (byVerdict.value !== "" && card.dataset.verdict !== byVerdict.value);
    });
    count.textContent = `${cards.filter((card) => !card.hidden).length} of ${cards.length} queries shown`;
  };
  const byClass = make("select", { id: "by-class", change: filter }, option("", "all classes"),
    ...occurring.map((k) => option(k, names[k])));
  const byVerdict = make("select", { id: "by-verdict", change: filter }, option("", "right and wrong"),
    option("right", "right only"), option("wrong", "wrong only"));
  filter();
  return make("div", { class: "controls" }, make("label", {}, "Class ", byClass), make("label", {}, "Show ", byVerdict), count);
}

// The controls that start, stop and turn the clips.
function playerControls(player) {
  const { state } = player;
  const play = (on) => { player.play(on); button.textContent = on ? "Pause" : "Play"; };
  const button = make("button", { type: "button", id: "play", click: () => play(!state.playing) });
  const scrub = make("input", { type: "range", min: 0, max: 100, value: 100 * state.moment, id: "moment",
    input: () => { state.moment = scrub.value / 100; play(false); } });
  const turn = make("input", { type: "range", min: -180, max: 180, value: state.yaw, id: "turn",
    input: () => { state.yaw = Number(turn.value); player.drawAll(); } });
  const bar = make("div", { class: "controls" }, button, make("label", {}, "Moment ", scrub), make("label", {}, "Turn ", turn),
    make("span", { class: "note" }, "On a row: ↑ ↓ to the next, space to pause."));
  return { bar, play };
}

function retrieval() {
  if (several) { // only the report of a single run has a gallery
    section("retrieval").remove();
    document.querySelector("nav [href='#retrieval']").remove();
    return;
  }
  if (!report.gallery) return missing("retrieval", report.runs[0], "gallery");
  const { queries, total, right, names } = report.gallery;
  const player = moviePlayer(report.gallery), { bar, play } = playerControls(player);
  const cards = queries.map((query) => queryCard(query, report.gallery, player));
  const gallery = make("div", {
    id: "gallery",
    keydown: (event) => {
      if (!event.target.classList.contains("query")) return;
      const visible = cards.filter((card) => !card.hidden), at = visible.indexOf(event.target);
      const next = { ArrowDown: visible[at + 1], j: visible[at + 1], ArrowUp: visible[at - 1], k: visible[at - 1] }[event.key];
      if (event.key === " ") play(!player.state.playing); else if (next) next.focus(); else return;
      event.preventDefault();
    },
  }, ...cards);
  section("retrieval").append(
    make("p", {}, `Each row is a test clip and the ${queries[0] ? queries[0].found.length : 0} training clips nearest to it, with their cosine similarity; ✓ has the query's class, ✗ another one. The nearest is right for ${number(right)} of ${number(total)} test clips (${((100 * right) / total).toFixed(2)} %); these ${number(queries.length)} are drawn from all classes, right and wrong ones alike, so wrong ones are more frequent here.`),
    cardFilter(cards, names), bar, gallery);
  redraws.push(() => {
    if (isPrinting()) play(false);
    player.paint();
    // On paper all clips are drawn at one moment, also clips that are out of sight.
    if (isPrinting()) gallery.querySelectorAll(".query:not([hidden]) canvas").forEach(player.draw);
  });
  window.addEventListener("resize", player.drawAll);
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
}
