// The first screen: the run, its main figures, and the figures to compare with.

const isPlain = (result, encoder) => result.task === result.name.replace(/_random$/, "") && result.encoder === encoder;
const FIGURES = {
  recognition: ["Recognition, top-1", (result) => result.top1],
  retrieval: ["Retrieval, 1-NN", (result) => result.accuracy],
};

// Bars from 0 to 100 percent: the runs, then the random encoder and the paper.
function bars(task) {
  const [title, figure] = FIGURES[task];
  const rows = [];
  const add = (name, value, kind, color) => rows.push(make("div", { class: `row ${kind}` }, make("dt", {}, name),
    make("dd", {}, make("span", { class: "bar" }, make("span", { style: `width: ${value}%${color ? `; background: ${color}` : ""}` })), `${value.toFixed(1)} %`)));
  const found = report.runs.map((run) => run.results.find((r) => r.task === task && isPlain(r, "pretrained")));
  found.forEach((r, i) => r && add(several ? report.runs[i].name : "this run", figure(r), "own", runColor(i)));
  if (!rows.length) return null;
  const random = report.runs.map((run) => run.results.find((r) => r.task === task && isPlain(r, "random"))).map((r) => r && figure(r));
  const alike = random.every((value) => value === random[0]); // so it is with the same sizes and seed
  random.forEach((value, i) => value !== undefined && !(alike && i)
    && add(several && !alike ? `${report.runs[i].name}, random encoder` : "random encoder", value, "other"));
  const paper = found.find((r) => r && r.paper !== null);
  if (paper) add("the paper", paper.paper, "other");
  const lacking = report.runs[0].missing[`${task} of a random encoder`];
  return make("div", { class: "figure" }, make("h2", {}, title), make("dl", { class: "bars" }, ...rows),
    !several && lacking ? says(`Not compared with a random encoder: ${lacking.replace(/^run (.*)$/s, "make its result with `$1`")}.`) : null);
}

function overview() {
  const names = report.runs.map((run) => run.name);
  document.title = `${names.join(", ")} – UmURL report`;
  section("kind").textContent = several ? `${names.length} runs compared` : "Report of a run";
  section("name").textContent = names.join(" · ");
  section("made").textContent = `Made on ${report.made} by tools.report. Everything is in this file; it opens without a network.`;
  section("about").textContent = [...new Set(report.runs.map((run) => run.about))].join("; ");
  const figures = Object.keys(FIGURES).map(bars).filter(Boolean);
  section("headline").append(...figures);
  if (!figures.length) section("headline").append(make("p", { class: "missing" }, "There is no result yet. The sections below name the commands that make results."));
  const place = section("facts");
  const keys = [...new Set(report.runs.flatMap((run) => Object.keys(run.overview)))];
  const facts = keys.map((key) => ({ name: key, values: report.runs.map((run) => run.overview[key] ?? "–") }));
  if (!several) {
    place.append(make("dl", { class: "facts" }, ...facts.map(({ name, values }) => make("div", {}, make("dt", {}, name), make("dd", {}, values[0])))));
    return;
  }
  const side = (rows) => table([["", false], ...names.map((name) => [name, false])], rows.map(({ name, values }) =>
    [plainWords(name), ...values.map((value) => (value === null ? null : String(value)))]), "stack");
  place.append(make("h2", {}, "Settings that differ"),
    report.differences.length ? side(report.differences) : make("p", { class: "muted" }, "The settings are the same in all runs."),
    make("h2", {}, "The runs"), side(facts));
}
