"use strict";
// Draws the report from the JSON in #data. What comes from files goes into the page as text alone, never as HTML.

const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const data = JSON.parse(document.getElementById("data").textContent);
const hidden = new Set(); // numbers of the runs whose curves are switched off

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, attributes = {}, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = text;
  return made;
}

const colour = (number) => COLOURS[number % COLOURS.length];

// NaN and infinities are text in the data, since JSON has none.
const isNumber = (value) => typeof value === "number" || ["NaN", "Infinity", "-Infinity"].includes(value);

function shown(value, format) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return typeof value === "string" ? value : JSON.stringify(value);
  if (format === "percent") return (100 * value).toFixed(2) + "%";
  if (Number.isInteger(value)) return value.toLocaleString("en");
  return String(Number(value.toPrecision(4)));
}

// ---- tables

function table(columns, rows, differs = () => false) {
  // columns: [{title, format}]; rows: lists of values. A click on a title sorts by it, a second one turns it round.
  const body = element("tbody");
  const numeric = columns.map((_, i) => rows.every((row) => row[i] === null || isNumber(row[i])));
  const fill = (sorted) => body.replaceChildren(...sorted.map((row) => {
    const cells = row.map((value, i) =>
      element("td", numeric[i] ? { class: "number" } : {}, shown(value, columns[i].format)));
    return element("tr", differs(row) ? { class: "differs" } : {}, ...cells);
  }));
  const heads = columns.map((column, i) => {
    const button = element("button", { type: "button" }, column.title);
    const head = element("th", numeric[i] ? { class: "number", scope: "col" } : { scope: "col" }, button);
    button.addEventListener("click", () => {
      const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      const sorted = [...rows].sort((a, b) => compare(a[i], b[i]));
      fill(order === "ascending" ? sorted : sorted.reverse());
    });
    return head;
  });
  fill(rows);
  return element("div", { class: "scroll", tabindex: "0" },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body));
}

function compare(a, b) {
  if (isNumber(a) && isNumber(b)) return Number(a) - Number(b) || Number.isNaN(Number(a)) - Number.isNaN(Number(b));
  return shown(a).localeCompare(shown(b), "en", { numeric: true });
}

// ---- curves

function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) found.push(value + 0); // -0 becomes 0
  return found;
}

function powers(low, high) {
  const found = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) found.push(power);
  return found;
}

function chart(title, columns, options = {}) {
  // columns: [[name in the history, its label, dashes]]. Returns an element with a function `draw`.
  const width = 440, height = 270, left = 56, right = 10, top = 28, bottom = 34;
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  const tip = element("div", { class: "tip", hidden: "" });
  const box = element("div", { class: "chart" }, svg, tip);
  const scaled = (value) => options.log ? Math.log10(value) : value;

  box.draw = () => {
    const lines = [];
    data.runs.forEach((run, number) => {
      if (hidden.has(number)) return;
      for (const [column, label, dashes] of columns) {
        const points = run.history.map((row, i) => [row.epoch ?? i + 1, row[column]])
          .filter(([, y]) => typeof y === "number" && (!options.log || y > 0));
        if (points.length) lines.push({ run, label, dashes, points, colour: colour(number) });
      }
    });
    const xs = lines.flatMap((line) => line.points.map(([x]) => x));
    const ys = lines.flatMap((line) => line.points.map(([, y]) => scaled(y)));
    let [x0, x1] = [Math.min(...xs), Math.max(...xs)];
    let [y0, y1] = [Math.min(...ys), Math.max(...ys)];
    if (!xs.length) [x0, x1, y0, y1] = [0, 1, 0, 1];
    if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
    if (y0 === y1) [y0, y1] = [y0 - 0.5, y1 + 0.5];
    [y0, y1] = options.log ? [Math.floor(y0), Math.ceil(y1)] : [y0 - (y1 - y0) / 20, y1 + (y1 - y0) / 20];
    const atX = (x) => left + (x - x0) / (x1 - x0) * (width - left - right);
    const atY = (y) => height - bottom - (y - y0) / (y1 - y0) * (height - top - bottom);

    svg.replaceChildren(drawn("text", { x: left, y: 16, class: "title" }, title));
    for (const value of options.log ? powers(y0, y1) : ticks(y0, y1, 5)) {
      svg.append(drawn("line", { x1: left, x2: width - right, y1: atY(value), y2: atY(value), stroke: "#dddddd" }));
      const text = options.log ? shown(10 ** value) : options.percent ? shown(Number((100 * value).toFixed(6))) + "%"
        : shown(value);
      svg.append(drawn("text", { x: left - 6, y: atY(value) + 4, "text-anchor": "end" }, text));
    }
    for (const value of ticks(x0, x1, 7).filter(Number.isInteger)) {
      svg.append(drawn("text", { x: atX(value), y: height - bottom + 16, "text-anchor": "middle" }, value));
    }
    svg.append(drawn("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "epoch"));
    for (const line of lines) {
      const place = line.points.map(([x, y]) => [atX(x), atY(scaled(y))]);
      svg.append(drawn("polyline", {
        points: place.map((p) => p.join()).join(" "), fill: "none", stroke: line.colour, "stroke-width": 2,
        "stroke-dasharray": line.dashes ?? "none",
      }));
      if (place.length === 1) svg.append(drawn("circle", { cx: place[0][0], cy: place[0][1], r: 3, fill: line.colour }));
    }
    const cursor = drawn("line", { y1: top, y2: height - bottom, stroke: "#6b6b6b", visibility: "hidden" });
    svg.append(cursor);

    svg.onpointermove = (event) => {
      const area = svg.getBoundingClientRect();
      const x = x0 + ((event.clientX - area.x) * width / area.width - left) / (width - left - right) * (x1 - x0);
      const epoch = xs.reduce((best, other) => Math.abs(other - x) < Math.abs(best - x) ? other : best, xs[0]);
      const entries = lines.map((line) => [line, line.points.find(([at]) => at === epoch)]).filter(([, point]) => point);
      if (!entries.length) return;
      cursor.setAttribute("x1", atX(epoch));
      cursor.setAttribute("x2", atX(epoch));
      cursor.setAttribute("visibility", "visible");
      tip.replaceChildren(element("div", {}, `epoch ${epoch}`), ...entries.map(([line, [, y]]) => {
        const swatch = element("span", { class: "swatch" });
        swatch.style.borderTopColor = line.colour;
        swatch.style.borderTopStyle = line.dashes ? "dashed" : "solid";
        const name = data.runs.length > 1 ? `${line.run.name}, ${line.label}` : line.label;
        return element("div", {}, swatch, `${name}: ${shown(y, options.percent ? "percent" : "")}`);
      }));
      tip.hidden = false;
      const onLeft = atX(epoch) > width / 2; // the tip lies beside the cursor, on the side that has room
      tip.style.left = onLeft ? "" : `${atX(epoch) / width * 100 + 3}%`;
      tip.style.right = onLeft ? `${(1 - atX(epoch) / width) * 100 + 3}%` : "";
      tip.style.top = "34px";
    };
    svg.onpointerleave = () => {
      tip.hidden = true;
      cursor.setAttribute("visibility", "hidden");
    };
  };
  box.draw();
  return box;
}

function curves() {
  const both = (kind) => [[`train_${kind}`, "training", "5 4"], [`val_${kind}`, "validation", null]];
  const charts = [
    chart("Loss", both("loss")), chart("Accuracy", both("accuracy"), { percent: true }),
    chart("Learning rate", [["lr", "learning rate", null]], { log: true }),
    chart("Seconds an epoch", [["seconds", "seconds", null]]),
  ];
  const names = data.runs.map((run, number) => {
    const swatch = element("span", { class: "swatch" });
    swatch.style.borderTopColor = colour(number);
    const button = element("button", { type: "button", "aria-pressed": "true" }, swatch, run.name);
    button.addEventListener("click", () => {
      if (!hidden.delete(number)) hidden.add(number);
      button.setAttribute("aria-pressed", String(!hidden.has(number)));
      charts.forEach((one) => one.draw());
    });
    return button;
  });
  return [
    element("p", { class: "muted" }, "Training is dashed, validation solid. Point at a curve for its numbers" +
      (data.runs.length > 1 ? "; click on a run to hide it." : ".")),
    element("div", { class: "legend" }, ...names), element("div", { class: "charts" }, ...charts),
  ];
}

// ---- the page

function runsTable() {
  const columns = [
    { title: "run" }, { title: "model" }, { title: "data" }, { title: "parameters" }, { title: "epochs" },
    { title: "best validation accuracy", format: "percent" }, { title: "at epoch" },
    { title: "test accuracy", format: "percent" }, { title: "seconds" },
  ];
  const keys = ["name", "model", "data", "parameters", "epochs", "best", "best_epoch", "test_accuracy", "seconds"];
  return table(columns, data.runs.map((run) => keys.map((key) => run[key])));
}

function settingsTable() {
  const names = [...new Set(data.runs.flatMap((run) => Object.keys(run.settings)))];
  const rows = names.map((name) => [name, ...data.runs.map((run) => run.settings[name] ?? null)]);
  const differs = (row) => new Set(row.slice(1).map((value) => JSON.stringify(value))).size > 1;
  rows.sort((a, b) => differs(b) - differs(a)); // those first
  return table([{ title: "setting" }, ...data.runs.map((run) => ({ title: run.name }))], rows, differs);
}

function records(rows, formats = {}) {
  const columns = Object.keys(rows[0]);
  return table(columns.map((name) => ({ title: name.replaceAll("_", " "), format: formats[name] })),
    rows.map((row) => columns.map((name) => row[name])));
}

function figures(run) {
  return element("div", { class: "figures" }, ...run.figures.map(({ source, name, caption }) => {
    const picture = element("img", { src: source, alt: name, title: "a click shows it at its full size" });
    const figure = element("figure", {}, picture, element("figcaption", {}, caption));
    picture.addEventListener("click", () => figure.classList.toggle("whole"));
    return figure;
  }));
}

function runSection(run) {
  const percent = { recall: "percent", precision: "percent", train_accuracy: "percent", val_accuracy: "percent" };
  const parts = [element("h2", {}, data.runs.length > 1 ? `Run ${run.name}` : "What it learned"), figures(run)];
  parts.push(element("h3", {}, "Classes, on the test set"), records(run.classes, percent));
  parts.push(element("h3", {}, "Layers"), records(run.layers));
  parts.push(element("h3", {}, "Epochs"), records(run.history, percent));
  return parts;
}

const several = data.runs.length > 1;
document.title = `mydl report: ${data.runs.map((run) => run.name).join(", ")}`;
document.getElementById("title").textContent = several ? `${data.runs.length} runs` : data.runs[0].name;
document.getElementById("subtitle").textContent = `Written by mydl ${data.mydl} on ${data.date}.`;
document.getElementById("main").append(
  element("h2", {}, several ? "Comparison" : "Result"), runsTable(),
  element("h2", {}, "Curves"), ...curves(),
  element("h2", {}, "Configuration"),
  ...(several ? [element("p", { class: "muted" }, "What differs between the runs is shaded.")] : []), settingsTable(),
  ...data.runs.flatMap(runSection),
);
