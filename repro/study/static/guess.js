// Guess the colour: a phone marks what it expects; the leading screen, which has the key in its address, shows the answer.
// Nothing is kept on the device but a random number, so that a reload does not count twice.
"use strict";

const POLL_MS = 1500;
const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const key = location.hash.slice(1);

const kept = {
  get() { try { return localStorage.getItem("guess-token"); } catch { return null; } },
  set(value) { try { localStorage.setItem("guess-token", value); } catch { /* this visit only */ } },
};
let token = key || kept.get();
let question = null; // {number, place, palette, gray, coloured}
let chosen = null; // index into the palette
let sent = null;

class Refusal extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

// Send until the server answers; what it refuses for good is thrown as a Refusal.
async function ask(path, body) {
  for (let pause = 500; ; pause = Math.min(8000, 2 * pause)) {
    let reply = null;
    const late = new AbortController(), timer = setTimeout(() => late.abort(), 20000);
    try {
      reply = await fetch(path, {
        method: body ? "POST" : "GET",
        cache: "no-store",
        headers: {...(token && {Authorization: `Bearer ${token}`}), ...(body && {"Content-Type": "application/json"})},
        body: body && JSON.stringify(body),
        signal: late.signal,
      });
      if (reply.ok) {
        const content = path.startsWith("api/picture/") ? await reply.blob() : await reply.json();
        $("notice").textContent = "";
        return content;
      }
    } catch { reply = null; } finally { clearTimeout(timer); } // no connection, or it broke off
    if (reply && reply.status < 500 && reply.status !== 429) {
      const said = await reply.json().catch(() => ({}));
      throw new Refusal(reply.status, said.error || `the server answered ${reply.status}`);
    }
    $("notice").textContent = reply ? "The server is busy, trying again." : "No connection, trying again.";
    await wait(pause);
  }
}

async function join() {
  token = question = null;
  token = (await ask("api/join", {})).token;
  kept.set(token);
}

// ---- drawing ----

const shape = (tag, attributes, words = "") => {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  found.append(words);
  return found;
};
const X = (a) => 120 + a, Y = (b) => 120 - b; // ab units to places
const pair = ([a, b]) => `(${a.toFixed(0)}, ${b.toFixed(0)})`.replace(/-/g, "\u2212");

function plane(says) {
  const svg = shape("svg", {viewBox: "0 0 240 250", role: "img", "aria-label": says});
  svg.append(shape("path", {d: "M8 120H232M120 8V232", stroke: "#999", "stroke-width": 0.6}));
  svg.append(shape("text", {x: 120, y: 246}, "green \u2190 a \u2192 magenta"));
  svg.append(shape("text", {x: 0, y: 0, transform: "translate(6 120) rotate(-90)"}, "blue \u2190 b \u2192 yellow"));
  return svg;
}
const ring = ([a, b]) => shape("circle", {cx: X(a), cy: Y(b), r: 7, fill: "none", stroke: "#000", "stroke-width": 1.5});

function drawPalette() {
  const svg = plane("colours");
  svg.setAttribute("aria-hidden", "true");
  for (const [a, b, colour] of question.palette) svg.append(shape("rect", {x: X(a) - 5, y: Y(b) - 5, width: 10, height: 10, fill: colour}));
  if (chosen !== null) {
    const place = question.palette[chosen];
    svg.append(shape("circle", {cx: X(place[0]), cy: Y(place[1]), r: 8, fill: place[2], stroke: "#fff", "stroke-width": 4}));
    svg.append(shape("circle", {cx: X(place[0]), cy: Y(place[1]), r: 9, fill: "none", stroke: "#000", "stroke-width": 1.5}));
  }
  $("palette").replaceChildren(svg);
  $("chosen").textContent = chosen === null ? "Tap the colour that you expect."
    : `a, b = ${pair(question.palette[chosen])}${chosen === sent ? ": sent. You may still change it." : ""}`;
  $("send").disabled = chosen === null || chosen === sent;
}

// Discs with areas as shares: [[a, b, share]].
function drawMap(place, says, shares, mean, truth) {
  const svg = plane(says), colours = new Map(question.palette.map(([a, b, colour]) => [`${a},${b}`, colour]));
  const largest = [...shares].sort((one, other) => other[2] - one[2]);
  for (const [a, b, share] of largest) {
    svg.append(shape("circle", {cx: X(a), cy: Y(b), r: 18 * Math.sqrt(share) + 0.5, fill: colours.get(`${a},${b}`) || "#ccc", stroke: "#333", "stroke-width": 0.6}));
  }
  for (const [a, b, share] of largest.slice(0, 5)) if (share > 0.04) svg.append(shape("text", {x: X(a), y: Y(b) + 3}, share.toFixed(2)));
  if (mean) svg.append(shape("path", {d: "M0-7L5 0L0 7L-5 0Z", transform: `translate(${X(mean[0])} ${Y(mean[1])})`, fill: "#fff", stroke: "#000"}));
  const star = "M0-7L1.7-2.2H6.8L2.7 .8L4.2 5.8L0 2.8L-4.2 5.8L-2.7 .8L-6.8-2.2H-1.7Z";
  svg.append(shape("path", {d: star, transform: `translate(${X(truth[0])} ${Y(truth[1])})`, fill: "#fff", stroke: "#000"}));
  if (sent !== null) svg.append(ring(question.palette[sent]));
  $(place).replaceChildren(svg);
}

function drawPhoto(bitmap, says) {
  const canvas = $("photo"), context = canvas.getContext("2d"), scale = 4; // so that the ring is a ring
  canvas.width = scale * bitmap.width;
  canvas.height = scale * bitmap.height;
  context.imageSmoothingEnabled = false;
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const [x, y] = [question.place[0] * canvas.width, question.place[1] * canvas.height];
  for (const [colour, width] of [["#fff", 6], ["#000", 2]]) {
    context.beginPath();
    context.arc(x, y, 10, 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }
  canvas.setAttribute("aria-label", says);
}

// ---- guessing ----

const usable = () => question && !$("asking").hidden && !key;
function choose(a, b) {
  const far = ([c, d]) => (a - c) ** 2 + (b - d) ** 2;
  chosen = question.palette.reduce((best, colour, i) => (far(colour) < far(question.palette[best]) ? i : best), 0);
  drawPalette();
}
function point(event) {
  if (!usable()) return;
  const seen = $("palette").firstChild.getBoundingClientRect(), unit = seen.width / 240;
  choose((event.clientX - seen.left) / unit - 120, 120 - (event.clientY - seen.top) / unit);
}
$("palette").addEventListener("pointerdown", (event) => { $("palette").setPointerCapture(event.pointerId); point(event); });
$("palette").addEventListener("pointermove", (event) => { if (event.buttons) point(event); });
$("palette").addEventListener("keydown", (event) => {
  const move = {ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, 10], ArrowDown: [0, -10]}[event.key];
  if (!usable() || (!move && event.key !== "Enter")) return;
  event.preventDefault();
  if (event.key === "Enter") return void $("send").click();
  const [a, b] = chosen === null ? [0, 0] : question.palette[chosen];
  choose(a + move[0], b + move[1]);
});
$("send").addEventListener("click", async () => {
  const wanted = chosen;
  await ask("api/guess", {number: question.number, choice: wanted}).then(show, () => {}); // the next look says what is open
});
for (const what of ["show", "next"]) $(what).addEventListener("click", () => ask("api/lead", {do: what}).then(show, () => {}));

// ---- what stands on the screen ----

async function open(number) {
  const [about, gray] = await Promise.all([ask(`api/question/${number}`), ask(`api/picture/${number}/gray`)]);
  question = {number, ...about, gray: await createImageBitmap(gray), coloured: null};
  chosen = null;
  drawPhoto(question.gray, "A gray photograph with a ring at the place to guess");
}

async function show(state) {
  const fresh = !question || question.number !== state.number || (question.coloured && !state.shown);
  if (fresh) await open(state.number);
  sent = state.mine;
  if (fresh && sent !== null) chosen = sent;
  const counted = `${state.guesses} ${state.guesses === 1 ? "guess" : "guesses"}`;
  $("progress").textContent = `Photograph ${state.number} of ${state.of}, ${counted} so far`;
  $("asking").hidden = state.shown || state.leads;
  $("answer").hidden = !state.shown;
  $("leading").hidden = !state.leads;
  $("show").disabled = state.shown;
  $("about").textContent = state.shown ? "The photograph in its own colours." : "What colour has the place in the ring?";
  if (!state.shown) drawPalette();
  else await answer(state.answer, counted);
  $("before").hidden = true;
  $("game").hidden = false;
}

async function answer(found, counted) {
  if (!question.coloured) {
    question.coloured = await createImageBitmap(await ask(`api/picture/${question.number}/coloured`));
    drawPhoto(question.coloured, "The photograph in its own colours, with the ring");
  }
  const total = found.guesses.reduce((sum, [, , count]) => sum + count, 0);
  $("class-says").textContent = `The class: ${counted}.`;
  drawMap("class-map", `Map of ${counted} over the ab plane`, found.guesses.map(([a, b, count]) => [a, b, count / total]), found.mean_of_guesses, found.truth);
  drawMap("network-map", "Map of the network's distribution over the ab plane", found.network, found.mean_of_network, found.truth);
  const ofClass = found.mean_of_guesses ? `The mean of all guesses is ${pair(found.mean_of_guesses)}, that` : "The mean";
  $("means").textContent = `${ofClass} of the network's distribution is ${pair(found.mean_of_network)}, and the truth is ${pair(found.truth)}.`;
}

async function play() {
  if (!token) await join();
  for (;;) {
    try {
      await show(await ask("api/state"));
    } catch (error) {
      if (error.status === 401 && !key) await join(); // the server was started anew
      else if (error.status !== 409 && error.status !== 425) throw error; // else the class has gone on meanwhile
    }
    await wait(POLL_MS);
  }
}

const reason = (error) => {
  if (error.status === 401) return "This is not the leading screen of the server that runs now: open the address that it printed.";
  if (error.status) return error.message;
  return window.createImageBitmap ? "This page ran into an error; reload it." : "This browser is too old for this page: take one of 2021 or later.";
};
play().catch((error) => {
  $("reason").textContent = reason(error);
  $("before").hidden = $("game").hidden = true;
  $("closed").hidden = false;
  if (!error.status) throw error;
});
