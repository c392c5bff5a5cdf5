// The page: sections filled from the data that Python put into it.

const report = JSON.parse(document.getElementById("data").textContent);
const redraws = []; // what has to be drawn anew in other colours

const section = (id) => document.getElementById(id);
const percent = (value) => (typeof value === "number" ? value.toFixed(2) : null);
const says = (text) => make("p", { class: "missing" }, ...text.split(/(`[^`]*`)/).map((part) =>
  (part.startsWith("`") ? make("code", {}, part.slice(1, -1)) : part)));
const missing = (id, what) => section(id).append(
  says(`Not there: ${report.missing[what].replace(/^run (.*)$/s, "make it with `$1`")}.`));
const number = (value) => value.toLocaleString("en");

function heading() {
  document.title = `${report.name} – UmURL report`;
  section("name").textContent = report.name;
  section("made").textContent = `Made on ${report.made} by tools.report. Everything is in this file; it opens without a network.`;
  if (!report.run) return;
  const { method, settings, data, epoch } = report.run;
  const clips = data["training clips"] ? `, ${number(data["training clips"])} training clips` : "";
  section("about").textContent = `${method}, ${settings.pre_dataset} ${String(settings.protocol).replace("_", " ")}${clips}, ${epoch} of ${settings.epochs} epochs`;
}

// ---- results
const isPlain = (result) => result.file === `${result.task}.json`;
const describes = (result) => {
  const parts = [(result.modalities || ["joint", "bone", "motion"]).join(" + ")];
  if (result.late_fusion) parts.push("fused late");
  if (result.finetune) parts.push("fine-tuned");
  if (result.label_fraction) parts.push(`${100 * result.label_fraction} % of the labels`);
  if (result.labels_per_class) parts.push(`${result.labels_per_class} labels a class`);
  return parts.join(", ");
};
const spread = (value, deviation) => (typeof deviation === "number" ? `${percent(value)} ± ${percent(deviation)}` : percent(value));
const paperCell = (result) => result.paper === null ? null
  : make("span", { class: "paper" }, result.paper.toFixed(1));

function results() {
  const place = section("results");
  for (const task of ["recognition", "retrieval"]) {
    const found = report.results.filter((result) => result.task === task);
    place.append(make("h3", {}, task === "recognition" ? "Recognition, top-1 and top-5 in percent" : "Retrieval, in percent"));
    if (!found.length) { missing("results", `${task} result`); continue; }
    const first = (result) => [describes(result), result.encoder === "random" ? "random, not trained" : "pre-trained",
      `${result.title} ${String(result.protocol).replace("_", " ")}`];
    const heads = [["Input", false], ["Encoder", false], ["Test", false]];
    const rows = task === "recognition"
      ? found.map((r) => [...first(r), spread(r.top1, r.top1_std), spread(r.best_top1, r.best_top1_std), spread(r.top5, r.top5_std), paperCell(r)])
      : found.map((r) => [...first(r), percent(r.accuracy), percent(r.recall_at_5), percent(r.map), paperCell(r)]);
    heads.push(...(task === "recognition" ? ["Last epoch", "Best epoch", "Top-5"]
      : [`${found[0].neighbours}-NN`, "Recall at 5", "mAP"]).map((title) => [title, true]));
    place.append(table([...heads, ["The paper", true]], rows, "stack"));
  }
  const compared = report.results.filter((result) => result.paper !== null);
  if (compared.length) {
    place.append(make("p", { class: "note" }, `“The paper” is what ${report.source} reports, not a result of this run; its recognition figures are the best of 30 tests on the test clips, so they stand beside “best epoch”.`));
  }
  const headline = section("headline");
  const figure = (title, task, value) => {
    const own = report.results.find((r) => r.task === task && isPlain(r));
    if (!own) return;
    const random = report.results.find((r) => r.task === task && r.file === `${task}_random.json`);
    const notes = [random ? `random encoder ${percent(value(random))} %` : null,
      own.paper !== null ? `paper ${own.paper.toFixed(1)} %` : null];
    headline.append(make("div", {}, make("dt", {}, title), make("dd", {}, `${percent(value(own))} %`,
      ...notes.filter(Boolean).map((note) => make("small", {}, note)))));
  };
  figure("Recognition, top-1", "recognition", (r) => r.top1);
  const own = report.results.find((r) => r.task === "retrieval" && isPlain(r));
  figure(`Retrieval, ${own ? own.neighbours : 1}-NN`, "retrieval", (r) => r.accuracy);
}

function curves() {
  if (!report.curves.length) return missing("curves", "curves");
  section("curves").append(make("div", { class: "charts" }, ...report.curves.map(curveChart)));
}

// ---- confusion
function confusion() {
  const all = report.confusions;
  if (!all.length) return missing("confusion", "confusion matrix");
  const place = make("div");
  let redraw = () => {};
  const show = (i) => {
    const { names, matrix } = all[i];
    const chart = matrixChart(all[i]);
    const totals = matrix.map((row) => row.reduce((a, b) => a + b, 0));
    const pairs = matrix.flatMap((row, a) => row.map((clips, b) => ({ a, b, clips, share: (100 * clips) / totals[a] })))
      .filter(({ a, b, clips }) => a !== b && clips).sort((p, q) => q.share - p.share || q.clips - p.clips).slice(0, 20);
    const classes = names.map((name, k) => ({ name, clips: totals[k], accuracy: (100 * matrix[k][k]) / totals[k] }))
      .filter(({ clips }) => clips).sort((p, q) => p.accuracy - q.accuracy);
    const bar = (value) => make("span", {}, make("span", { class: "bar" }, make("span", { style: `width: ${value}%` })), ` ${value.toFixed(1)}`);
    place.replaceChildren(chart.figure, make("div", { class: "columns" },
      make("div", {}, make("h3", {}, "Classes, the hardest first"), table([["Class", false], ["Clips", true], ["Right, %", true]],
        classes.map(({ name, clips, accuracy }) => [name, clips, bar(accuracy)]), "tall")),
      make("div", {}, make("h3", {}, "Most confused"), pairs.length
        ? table([["Class", false], ["Taken for", false], ["Clips", true], ["%", true]],
          pairs.map(({ a, b, clips, share }) => [names[a], names[b], clips, share.toFixed(1)]), "tall")
        : make("p", { class: "muted" }, "No clip was taken for another class."))));
    redraw = chart.draw;
    redraw();
  };
  const plain = Math.max(0, all.findIndex(({ name }) => name === "recognition"));
  if (all.length > 1) {
    section("confusion").append(make("div", { class: "controls" }, make("label", {}, "Result ",
      make("select", { change: (event) => show(Number(event.target.value)) },
        ...all.map(({ name }, i) => make("option", { value: i, selected: i === plain }, name.replaceAll("_", " ")))))));
  }
  section("confusion").append(place);
  show(plain);
  redraws.push(() => redraw());
}

function clusters() {
  if (!report.tsne) return missing("clusters", "clusters");
  const { labels, classes } = report.tsne;
  section("clusters").append(make("p", { class: "muted" }, `t-SNE of the features of ${number(labels.length)} test clips of ${classes.length} random classes. The figures are of the features: how often a clip's nearest other clip has its class, and the silhouette by cosine distance.`),
    clusterChart(report.tsne));
}

// ---- the gallery
function retrieval() {
  if (!report.gallery) return missing("retrieval", "gallery");
  const { queries, clips, names, parents, origin, yaw, pitch, total, right } = report.gallery;
  const reduced = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const unpacked = new Map(), shown = new Map(); // canvas -> name of its clip, of those in sight
  const state = { playing: false, yaw, moment: 0.4, clock: 0, last: null };
  let colours;
  const classOf = (name) => clips[name].class;
  const draw = (canvas, name) => {
    if (!unpacked.has(name)) unpacked.set(name, unpack(clips[name], parents.length, origin));
    const clip = unpacked.get(name);
    // A short rest on the last frame tells the end from the beginning.
    const moment = state.playing ? Math.min(1, (state.clock % (clip.seconds + 0.5)) / clip.seconds) : state.moment;
    drawClip(canvas, clip, moment, [state.yaw, pitch].map((angle) => (angle * Math.PI) / 180), parents, colours);
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
  const repaint = () => {
    colours = { bodies: [colour("first"), colour("second")], line: colour("line") };
    drawAll();
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

function settings() {
  if (!report.run) return missing("settings", "settings");
  const rows = (part) => Object.entries(part).map(([name, value]) => [name.replaceAll("_", " "), make("code", {}, String(value))]);
  const half = (title, part) => make("div", {}, make("h3", {}, title), table([["Name", false], ["Value", false]], rows(part)));
  section("settings").append(make("div", { class: "columns" }, half("Flags", report.run.settings), half("Data", report.run.data)));
}

[heading, results, curves, confusion, clusters, retrieval, settings].forEach((fill) => fill());
// The browser went to the address's section before there was anything in it.
document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach((redraw) => redraw()));
