"use strict";
// A drawing is a list of strokes, a stroke a list of points. Each change is drawn, sent to the server, and put into
// the page's address, so that the address is a link to the drawing: ?strokes=x,y,x,y;x,y

const SIDE = 280;
const PEN = 24;
const paper = document.getElementById("paper");
const pen = paper.getContext("2d", { willReadFrequently: true });
let strokes = [];
let busy = false; // a drawing is at the server
let changed = false; // and has changed since

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// ---- the drawing

function redraw() {
  pen.fillStyle = "#ffffff";
  pen.fillRect(0, 0, SIDE, SIDE);
  pen.strokeStyle = "#000000";
  pen.lineWidth = PEN;
  pen.lineCap = pen.lineJoin = "round";
  for (const stroke of strokes) {
    pen.beginPath();
    pen.moveTo(stroke[0][0] + 0.1, stroke[0][1]); // so that a dot has a length, without which nothing is drawn
    for (const point of stroke) pen.lineTo(...point);
    pen.stroke();
  }
}

function pointOf(event) {
  const area = paper.getBoundingClientRect();
  const border = (area.width - paper.clientWidth) / 2;
  return [event.clientX - area.x - border, event.clientY - area.y - border].map((at) => Math.round(at));
}

paper.addEventListener("pointerdown", (event) => {
  if (event.button !== 0) return;
  paper.setPointerCapture(event.pointerId);
  strokes.push([pointOf(event)]);
  update();
});

paper.addEventListener("pointermove", (event) => {
  if (!paper.hasPointerCapture(event.pointerId)) return;
  const stroke = strokes.at(-1);
  const point = pointOf(event);
  if (Math.hypot(point[0] - stroke.at(-1)[0], point[1] - stroke.at(-1)[1]) < 3) return;
  stroke.push(point);
  update();
});

document.getElementById("undo").addEventListener("click", () => { strokes.pop(); update(); });
document.getElementById("clear").addEventListener("click", () => { strokes = []; update(); });

function read(text) {
  const found = text.split(";").map((stroke) => {
    const numbers = stroke.split(",").map(parseFloat);
    return numbers.flatMap((x, i) => i % 2 ? [] : [[x, numbers[i + 1]]]).filter((point) => point.every(Number.isFinite));
  });
  return found.filter((stroke) => stroke.length);
}

function update() {
  redraw();
  const address = strokes.length ? "?strokes=" + strokes.map((stroke) => stroke.flat().join()).join(";") : "?";
  history.replaceState(null, "", address);
  document.getElementById("link").setAttribute("href", address);
  ask();
}

// ---- the answer

async function ask() {
  if (busy) {
    changed = true; // asked again as soon as the answer to the last drawing is there
    return;
  }
  if (!strokes.length) {
    show({ probabilities: [], mistakes: [], layers: [] });
    document.getElementById("answer").textContent = "The paper is empty: draw with mouse, pen or finger.";
    return;
  }
  busy = true;
  const pixels = pen.getImageData(0, 0, SIDE, SIDE).data.filter((_, i) => i % 4 === 0); // red: grey has it like the others
  try {
    const headers = { "Content-Type": "application/octet-stream" };
    const reply = await fetch("answer", { method: "POST", headers, body: pixels });
    if (!reply.ok) throw new Error(await reply.text());
    show(await reply.json());
  } catch (error) {
    document.getElementById("answer").textContent = `The program does not answer: ${error.message}`;
  }
  busy = false;
  if (changed) {
    changed = false;
    ask();
  }
}

function show({ probabilities, input, mistakes, layers }) {
  const best = probabilities.reduce((top, one, i) => one[1] > probabilities[top][1] ? i : top, 0);
  document.getElementById("bars").replaceChildren(...probabilities.map(([name, share], i) => {
    const bar = element("div");
    bar.style.width = `${100 * share}%`;
    const text = element("span", {}, `${(100 * share).toFixed(1)}%`);
    return element("div", { class: i === best ? "bar best" : "bar" }, element("span", {}, name), bar, text);
  }));
  if (probabilities.length) {
    const [name, share] = probabilities[best];
    document.getElementById("answer").textContent = `${name}  (${(100 * share).toFixed(1)}%)`;
  }
  document.getElementById("input").replaceChildren(...(input ? [picture(input, 84)] : []));
  const none = probabilities.length && !mistakes.length ? ["None: it got every test image right."] : [];
  document.getElementById("mistakes").replaceChildren(...none, ...mistakes.map((mistake) =>
    element("figure", {}, picture(mistake.picture, 84),
      element("figcaption", {}, `${mistake.label}, taken for ${mistake.predicted}`))));
  document.getElementById("layers").replaceChildren(...layers.map(({ title, maps }) =>
    element("div", {}, element("h3", {}, title), element("div", { class: "tiles" }, ...maps.map((map) =>
      picture(map, maps.length > 1 ? 72 : Math.min(8 * map.width, 900), INFERNO))))));
}

const GREY = [[0, 0, 0], [255, 255, 255]];
const INFERNO = [[0, 0, 4], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

function picture({ width, height, pixels }, size, colours = GREY) {
  // pixels: a byte each, in base64
  const canvas = element("canvas", { class: "pixels", width, height });
  canvas.style.width = `${size}px`;
  canvas.style.height = `${size * height / width}px`;
  const image = new ImageData(width, height);
  [...atob(pixels)].forEach((letter, i) => {
    const place = letter.charCodeAt(0) / 255 * (colours.length - 1);
    const below = Math.min(Math.floor(place), colours.length - 2);
    const mixed = colours[below].map((from, c) => from + (place - below) * (colours[below + 1][c] - from));
    image.data.set([...mixed, 255], 4 * i);
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

strokes = read(new URLSearchParams(location.search).get("strokes") ?? "");
fetch("run").then((reply) => reply.json()).then(({ name, accuracy, images }) => {
  document.getElementById("run").textContent =
    `${name}: ${(100 * accuracy).toFixed(2)}% of ${images.toLocaleString("en")} test images right.`;
});
update();
