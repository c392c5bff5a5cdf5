// The page: fills its sections from the data that Python put into it, for one run or several.

const report = JSON.parse(document.getElementById("data").textContent);
const several = report.runs.length > 1;
const redraws = []; // functions to call when the colors or the size of the page change

const section = (id) => document.getElementById(id);
const percent = (value) => (typeof value === "number" ? value.toFixed(2) : null);
const spread = (value, deviation) => (typeof deviation === "number" ? `${percent(value)} ± ${percent(deviation)}` : percent(value));
const number = (value) => value.toLocaleString("en");
const plainWords = (name) => String(name).replaceAll("_", " ");
const says = (text) => make("p", { class: "missing" }, ...text.split(/(`[^`]*`)/).map((part) =>
  (part.startsWith("`") ? make("code", {}, part.slice(1, -1)) : part)));
const missing = (id, run, what) => section(id).append(
  says(`Missing${several ? ` for ${run.name}` : ""}: ${run.missing[what].replace(/^run (.*)$/s, "make it with `$1`")}.`));
// The heading above the part of one run; null on a page of a single run.
const named = (i) => (several ? make("h3", { class: "run" }, swatch(i), report.runs[i].name) : null);

// ---- results
const encoderOf = (result) => (result.encoder === "random" ? "random, not trained" : "pre-trained");
const testOf = (result) => `${result.title}, ${plainWords(result.protocol)}`;
const paperCell = (result) => (result.paper === null ? null : make("span", { class: "paper" }, result.paper.toFixed(1)));
const TITLES = { recognition: "Recognition, top-1 and top-5 in percent", retrieval: "Retrieval, in percent" };

function resultsOfOne(place, run) {
  for (const task of ["recognition", "retrieval"]) {
    const found = run.results.filter((result) => result.task === task);
    place.append(make("h3", {}, TITLES[task]));
    if (!found.length) { missing("results", run, `${task} result`); continue; }
    const first = (r) => [r.input, encoderOf(r), testOf(r)];
    const rows = task === "recognition"
      ? found.map((r) => [...first(r), spread(r.top1, r.top1_std), spread(r.best_top1, r.best_top1_std), spread(r.top5, r.top5_std), paperCell(r), r.took])
      : found.map((r) => [...first(r), percent(r.accuracy), percent(r.recall_at_5), percent(r.map), paperCell(r), r.took]);
    const figures = task === "recognition" ? ["Last epoch", "Best epoch", "Top-5"] : ["k-NN", "Recall at 5", "mAP"];
    place.append(table([...["Input", "Encoder", "Test"].map((title) => [title, false]),
      ...[...figures, "The paper", "Took"].map((title) => [title, true])], rows, "stack"));
  }
}

// Several runs side by side: a row for each evaluation, a column for each run.
function resultsOfSeveral(place) {
  for (const task of ["recognition", "retrieval"]) {
    const rows = new Map();
    report.runs.forEach((run, i) => run.results.filter((r) => r.task === task).forEach((r) => {
      const key = [r.input, encoderOf(r), testOf(r)];
      const name = JSON.stringify([...key, r.name]);
      if (!rows.has(name)) rows.set(name, { key, cells: report.runs.map(() => null), paper: paperCell(r) });
      rows.get(name).cells[i] = task === "recognition" ? spread(r.top1, r.top1_std) : percent(r.accuracy);
    }));
    place.append(make("h3", {}, task === "recognition" ? "Recognition, top-1 after the last epoch, in percent" : "Retrieval, k-NN accuracy in percent"));
    if (!rows.size) { place.append(says(`No run here has a ${task} result.`)); continue; }
    place.append(table([...["Input", "Encoder", "Test"].map((title) => [title, false]),
      ...[...report.runs.map((run) => run.name), "The paper"].map((title) => [title, true])],
    [...rows.values()].map(({ key, cells, paper }) => [...key, ...cells, paper]), "stack"));
  }
}

function results() {
  const place = section("results");
  if (several) resultsOfSeveral(place); else resultsOfOne(place, report.runs[0]);
  const all = report.runs.flatMap((run) => run.results);
  if (all.some((result) => result.paper !== null)) {
    place.append(make("p", { class: "note" }, `“The paper” is what ${report.source} reports for the same test clips, not a result of these runs; its recognition figures are the best of 30 tests on the test clips, so they compare with “best epoch”.`));
  }
}

function curves() {
  const tags = report.tags.filter((tag) => report.runs.some((run) => run.curves.some((curve) => curve.tag === tag)));
  report.runs.filter((run) => !run.curves.length).forEach((run) => missing("curves", run, "curves"));
  if (!tags.length) return;
  const chart = (tag) => {
    const lines = report.runs.flatMap((run, i) => run.curves.filter((curve) => curve.tag === tag).map((curve) => ({ name: run.name, run: i, ...curve })));
    return curveChart({ title: lines[0].title, unit: lines[0].unit, lines });
  };
  if (several) section("curves").append(make("p", { class: "keys" }, ...report.runs.map((run, i) => make("span", {}, swatch(i), run.name))));
  section("curves").append(make("div", { class: "charts" }, ...tags.map(chart)));
}

// ---- confusion
function confusion() {
  const all = report.runs.flatMap((run, i) => run.confusions.map((table) => ({ ...table, of: several ? `${run.name}: ` : "" })));
  report.runs.filter((run) => !run.confusions.length).forEach((run) => missing("confusion", run, "confusion matrix"));
  if (!all.length) return;
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
        ? table([["Class", false], ["Predicted", false], ["Clips", true], ["%", true]],
          pairs.map(({ a, b, clips, share }) => [names[a], names[b], clips, share.toFixed(1)]), "tall")
        : make("p", { class: "muted" }, "All clips have the right class."))));
    redraw = chart.draw;
    redraw();
  };
  const plain = Math.max(0, all.findIndex(({ name }) => name === "recognition"));
  if (all.length > 1) {
    section("confusion").append(make("div", { class: "controls" }, make("label", {}, "Result ",
      make("select", { change: (event) => show(Number(event.target.value)) },
        ...all.map(({ name, of }, i) => make("option", { value: i, selected: i === plain }, of + plainWords(name)))))));
  }
  section("confusion").append(place);
  show(plain);
  redraws.push(() => redraw());
}

function clusters() {
  report.runs.forEach((run, i) => {
    if (!run.tsne) return missing("clusters", run, "clusters");
    const { labels, classes } = run.tsne, heading = named(i);
    if (heading) section("clusters").append(heading);
    section("clusters").append(make("p", { class: "muted" }, `t-SNE of the features of ${number(labels.length)} test clips of ${classes.length} random classes. The figures are of the features: how often a clip's nearest other clip has its class, and the silhouette by cosine distance.`),
      clusterChart(run.tsne));
  });
}

// ---- settings; those that differ between runs also stand in the overview
function settings() {
  report.runs.filter((run) => !run.facts).forEach((run) => missing("settings", run, "settings"));
  const known = report.runs.filter((run) => run.facts);
  if (!known.length) return;
  const half = (title, part) => {
    const keys = [...new Set(known.flatMap((run) => Object.keys(run.facts[part])))];
    const value = (run, key) => (key in run.facts[part] ? make("code", {}, String(run.facts[part][key])) : null);
    const heads = several ? known.map((run) => [run.name, false]) : [["Value", false]];
    return make("div", {}, make("h3", {}, title), table([["Name", false], ...heads],
      keys.map((key) => [plainWords(key), ...known.map((run) => value(run, key))])));
  };
  section("settings").append(make("div", { class: several ? null : "columns" },
    half("Flags", "settings"), make("div", {}, half("Data", "data"), half("Code", "code"))));
}

[overview, results, curves, confusion, clusters, retrieval, settings].forEach((fill) => fill());
// The browser scrolled to the section in the address while the page was still empty; scroll again.
document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
const redraw = () => redraws.forEach((draw) => draw());
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
// Paper has the colors of a light screen. Canvases are bitmaps, so they are drawn again for it.
for (const [event, printing] of [["beforeprint", true], ["afterprint", false]]) {
  window.addEventListener(event, () => {
    document.documentElement.classList.toggle("printing", printing);
    redraw();
  });
}
