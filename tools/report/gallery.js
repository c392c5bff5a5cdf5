// ---- the gallery
function retrieval() {
  if (several) { // each run's own report has it
    section("retrieval").remove();
    document.querySelector("nav [href='#retrieval']").remove();
    return;
  }
  if (!report.gallery) return missing("retrieval", report.runs[0], "gallery");
  const { queries, clips, names, parents, origin, yaw, pitch, total, right } = report.gallery;
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const unpacked = new Map(), shown = new Map(); // canvas -> name of its clip, of those in sight
  const state = { playing: false, yaw, moment: 0.4, clock: 0, last: null };
  let colors;
  const classOf = (name) => clips[name].class;
  const draw = (canvas, name) => {
    if (!unpacked.has(name)) unpacked.set(name, unpack(clips[name], parents.length, origin));
    const clip = unpacked.get(name);
    // A short rest on the last frame tells the end from the beginning.
    const moment = state.playing ? Math.min(1, (state.clock % (clip.seconds + 0.5)) / clip.seconds) : state.moment;
    drawClip(canvas, clip, moment, [state.yaw, pitch].map((angle) => (angle * Math.PI) / 180), parents, colors);
  };
  const drawAll = () => shown.forEach((name, canvas) => draw(canvas, name));
  const tick = (now) => {
    if (!state.playing) return;
    state.clock += Math.min(0.1, (now - (state.last ?? now)) / 1000);
    state.last = now;
    drawAll();
    requestAnimationFrame(tick);
  };
  const sight = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => {
    if (isIntersecting) { shown.set(target, target.dataset.clip); draw(target, target.dataset.clip); } else shown.delete(target);
  }), { rootMargin: "100px" });

  const clipFigure = (name, kind, ...caption) => {
    const canvas = make("canvas", { role: "img", "data-clip": name, "aria-label": `${kind}: ${names[classOf(name)]}, ${name}` });
    sight.observe(canvas);
    return make("figure", { class: `clip ${kind}` }, canvas, make("figcaption", {}, ...caption));
  };
  const mark = (isRight) => make("span", { class: "mark" }, isRight ? "✓ " : "✗ ");
  const cards = queries.map(({ name, found }) => {
    const own = classOf(name), verdict = classOf(found[0].name) === own ? "right" : "wrong";
    return make("article", { class: "query", tabindex: 0, "data-class": own, "data-verdict": verdict },
      make("h3", {}, make("span", { class: `mark ${verdict}` }, verdict === "right" ? "✓" : "✗"), names[own], make("small", {}, name)),
      clipFigure(name, "asked", "query"),
      ...found.map((f) => {
        const isRight = classOf(f.name) === own;
        return clipFigure(f.name, isRight ? "right" : "wrong", mark(isRight), names[classOf(f.name)],
          make("br"), make("span", { class: "muted" }, f.similarity.toFixed(3)));
      }));
  });

  // ---- what is shown, and how
  const count = make("output", { "aria-live": "polite", class: "muted" });
  const option = (value, text) => make("option", { value }, text);
  const occurring = [...new Set(queries.map((q) => classOf(q.name)))].sort((a, b) => a - b);
  const byClass = make("select", { id: "by-class", change: () => filter() }, option("", "all classes"),
    ...occurring.map((k) => option(k, names[k])));
  const byVerdict = make("select", { id: "by-verdict", change: () => filter() }, option("", "right and wrong"),
    option("right", "right only"), option("wrong", "wrong only"));
  const filter = () => {
    cards.forEach((card) => {
      card.hidden = (byClass.value !== "" && card.dataset.class !== byClass.value)
        || (byVerdict.value !== "" && card.dataset.verdict !== byVerdict.value);
    });
    const left = cards.filter((card) => !card.hidden).length;
    count.textContent = `${left} of ${cards.length} queries shown`;
  };
  const button = make("button", { type: "button", id: "play", click: () => play(!state.playing) });
  const scrub = make("input", { type: "range", min: 0, max: 100, value: 100 * state.moment, id: "moment",
    input: () => { state.moment = scrub.value / 100; play(false); } });
  const turn = make("input", { type: "range", min: -180, max: 180, value: state.yaw, id: "turn",
    input: () => { state.yaw = Number(turn.value); drawAll(); } });
  const play = (on) => {
    state.playing = on;
    button.textContent = on ? "Pause" : "Play";
    if (!on) return drawAll();
    state.last = null; // the first picture's own time counts: it may lie before this moment
    requestAnimationFrame(tick);
  };
  const gallery = make("div", {
    id: "gallery",
    keydown: (event) => {
      if (!event.target.classList.contains("query")) return;
      const visible = cards.filter((card) => !card.hidden), at = visible.indexOf(event.target);
      const next = { ArrowDown: visible[at + 1], j: visible[at + 1], ArrowUp: visible[at - 1], k: visible[at - 1] }[event.key];
      if (event.key === " ") play(!state.playing); else if (next) next.focus(); else return;
      event.preventDefault();
    },
  }, ...cards);
  // Paper shows all clips at one moment, those out of sight too.
  const repaint = () => {
    colors = ["first", "second", "third"].map(color);
    if (!isPrinting()) return drawAll();
    play(false);
    gallery.querySelectorAll(".query:not([hidden]) canvas").forEach((canvas) => draw(canvas, canvas.dataset.clip));
  };
  section("retrieval").append(
    make("p", {}, `Each row is a test clip and the ${queries[0] ? queries[0].found.length : 0} training clips nearest to it, with their cosine similarity; ✓ has the query's class, ✗ another one. The nearest is right for ${number(right)} of ${number(total)} test clips (${((100 * right) / total).toFixed(2)} %); these ${number(queries.length)} are drawn from all classes, right and wrong ones alike, so wrong ones are more frequent here.`),
    make("div", { class: "controls" }, make("label", {}, "Class ", byClass), make("label", {}, "Show ", byVerdict), count),
    make("div", { class: "controls" }, button, make("label", {}, "Moment ", scrub), make("label", {}, "Turn ", turn),
      make("span", { class: "note" }, "On a row: ↑ ↓ to the next, space to pause.")),
    gallery);
  repaint();
  redraws.push(repaint);
  window.addEventListener("resize", drawAll);
  filter();
  play(!reduced);
}
