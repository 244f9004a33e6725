// The rater's page: two pictures, one after the other, then the question which one was recoloured.
// It knows of each picture no more than its address, and tells the server how long it was on screen.
"use strict";

const FIXATION_MS = 500;  // empty stage before a pair
const GAP_MS = 200;       // empty stage between its pictures: no flicker that would show the change
const BACKOFF_MS = [500, 1000, 2000, 4000, 8000];
const HALF_FRAME_MS = 8;

const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = () => new Promise((done) => requestAnimationFrame(done));  // the frame's time, ms
const nextEvent = (target, name) => new Promise((done) => target.addEventListener(name, done, {once: true}));

let study = null;
let token = null;

// ---- what is kept on the device ----

const keep = {
  name: (what) => `study-${study.study}-${what}`,
  get(what) { try { return localStorage.getItem(this.name(what)); } catch { return null; } },
  set(what, value) { try { localStorage.setItem(this.name(what), value); } catch { /* this visit only */ } },
  drop(what) { try { localStorage.removeItem(this.name(what)); } catch { /* nothing was kept */ } },
};

// ---- the server ----

class Refusal extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

// Send until the server answers; what it refuses for good is thrown as a Refusal.
async function ask(path, body) {
  for (let attempt = 0; ; attempt += 1) {
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
    } catch { reply = null; } finally { clearTimeout(timer); }  // no connection, or it broke off
    if (reply && reply.status < 500 && reply.status !== 429 && reply.status !== 425) {
      const said = await reply.json().catch(() => ({}));
      throw new Refusal(reply.status, said.error || `the server answered ${reply.status}`);
    }
    $("notice").textContent = reply
      ? "The server is busy: your answers are kept, trying again."
      : "No connection: your answers are kept, trying again.";
    const pause = BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)];
    await Promise.race([wait(pause * (0.75 + Math.random() / 2)), nextEvent(window, "online")]);
  }
}

const bitmaps = new Map();  // address -> promise of a decoded picture

function load(address) {
  if (!bitmaps.has(address)) {
    const loading = ask(`api/picture/${address}`).then(createImageBitmap);
    loading.catch(() => bitmaps.delete(address));
    bitmaps.set(address, loading);
  }
  return bitmaps.get(address);
}

// ---- screens ----

function turnTo(name) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== name;
  document.body.classList.toggle("looking", name === "trial");
  const heading = $(name).querySelector("h1");
  if (heading) heading.focus();
}

function part(name) {  // of the trial's screen: "ask", "told" or neither; the layout stays
  $("ask").hidden = name === "told";
  $("told").hidden = name !== "told";
  $("ask").classList.toggle("away", name !== "ask");
}

function closed(message) {
  $("reason").textContent = message;
  turnTo("closed");
}

// ---- one pair ----

function draw(bitmap) {
  const canvas = $("picture");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

function clear() {
  const canvas = $("picture");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
}

// Show a picture for study.display_ms; returns how long it was on screen, from frame to frame.
async function show(bitmap, label) {
  $("picture").setAttribute("aria-label", label);
  const began = await frame();
  draw(bitmap);
  let now = began;
  while (now - began < study.display_ms - HALF_FRAME_MS) now = await frame();
  clear();
  return now - began;
}

// Both pictures in turn, again if the page was hidden meanwhile.
async function showPair(pair) {
  for (let reshown = 0; ; reshown += 1) {
    while (document.hidden) await nextEvent(document, "visibilitychange");
    let hidden = false;
    const watch = () => { hidden = true; };
    document.addEventListener("visibilitychange", watch);
    await wait(FIXATION_MS);
    const first = await show(pair[0], "First picture");
    await wait(GAP_MS);
    const second = await show(pair[1], "Second picture");
    document.removeEventListener("visibilitychange", watch);
    if (!hidden) return {shown_ms: [first, second], reshown};
  }
}

// 0 for the first, 1 for the second: by button, by the keys 1 and 2, or the arrows.
function choice() {
  return new Promise((done) => {
    const picked = (index) => {
      document.removeEventListener("keydown", key);
      $("first").onclick = $("second").onclick = null;
      done(index);
    };
    const key = (event) => {
      const index = {1: 0, 2: 1, ArrowLeft: 0, ArrowRight: 1}[event.key];
      if (index === undefined || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      picked(index);
    };
    document.addEventListener("keydown", key);
    $("first").onclick = () => picked(0);
    $("second").onclick = () => picked(1);
  });
}

async function trial(state) {
  part("none");
  const kind = state.practice ? "Practice" : "Pair";
  $("progress").textContent = `${kind} ${state.position} of ${state.of}`;
  $("bar").value = (state.position - 1) / state.of;
  $("spoken").textContent = $("progress").textContent;
  turnTo("trial");
  const pair = await Promise.all(state.pictures.map(load));
  const shown = await showPair(pair);
  state.ahead.forEach((address) => load(address).catch(() => {}));  // the trial itself will say what is wrong
  part("ask");
  $("question").focus();
  const asked = performance.now();
  const index = await choice();
  const answer = {number: state.number, choice: state.pictures[index], reaction_ms: performance.now() - asked, ...shown};
  state.pictures.forEach((address) => bitmaps.delete(address));
  pair.forEach((bitmap) => bitmap.close());
  const reply = await send(answer);
  if (reply && reply.recoloured !== null) await feedback(index === reply.recoloured, reply.recoloured);
  return reply ? reply.state : ask("api/state");
}

// The answer is kept on the device until the server has acknowledged it.
async function send(answer) {
  keep.set("answer", JSON.stringify(answer));
  part("none");
  try {
    return await ask("api/answer", answer);
  } catch (refusal) {
    if (refusal.status === 401) throw refusal;
    return null;  // answered elsewhere, in another tab say: go on from where the server stands
  } finally {
    keep.drop("answer");
  }
}

async function feedback(right, recoloured) {
  const which = recoloured === 0 ? "first" : "second";
  $("verdict").textContent = right ? `Right: the ${which} one was recoloured.` : `No: it was the ${which} one that was recoloured.`;
  part("told");
  $("verdict").focus();
  $("spoken").textContent = $("verdict").textContent;
  await pressed("next");
}

// A button, or the keys Enter and space wherever the focus is.
function pressed(id) {
  return new Promise((done) => {
    const finish = () => {
      document.removeEventListener("keydown", key);
      $(id).onclick = null;
      done();
    };
    const key = (event) => {
      if ((event.key !== "Enter" && event.key !== " ") || event.repeat || event.target.closest("summary")) return;
      event.preventDefault();
      finish();
    };
    document.addEventListener("keydown", key);
    $(id).onclick = finish;
  });
}

// ---- the whole sitting ----

async function between(title, text) {
  $("between-title").textContent = title;
  $("between-text").textContent = text;
  turnTo("between");
  await pressed("go");
}

async function sit(state, resumed) {
  let practice = null;
  if (resumed && !state.finished) await between("Welcome back", "You go on where you stopped.");
  while (!state.finished) {
    if (practice === true && !state.practice) {
      await between("That was the practice", `Now ${study.pairs} pairs, without a word after each. At the question take all the time you like, or a rest.`);
    }
    practice = state.practice;
    state = await trial(state);
  }
  $("score").textContent = `You found the recoloured one in ${state.right} of ${state.of} pairs.`;
  turnTo("thanks");
  $("again").onclick = () => { keep.drop("token"); location.reload(); };
}

async function welcome() {
  const seconds = study.display_ms / 1000;
  const minutes = Math.ceil((study.practice + study.pairs) * (2 * seconds + 3) / 60);
  const length = minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
  $("seconds").textContent = seconds === 1 ? "one second" : `${seconds} seconds`;
  $("plan").textContent = (study.practice ? `First ${study.practice} for practice, where you are told what was right; then ` : "")
    + `${study.pairs} pairs. It takes ${length}.`;
  turnTo("welcome");
  await pressed("agree");
  $("agree").disabled = true;
  const narrow = Math.min(screen.width, screen.height, innerWidth, innerHeight);
  const touch = matchMedia("(pointer: coarse)").matches;
  const state = await ask("api/join", {consent: true, form: !touch ? "desktop" : narrow < 600 ? "phone" : "tablet"});
  token = state.token;
  keep.set("token", token);
  return state;
}

async function begin() {
  study = await ask("api/study");
  token = keep.get("token");
  const left = keep.get("answer");
  if (token && left) await send(JSON.parse(left));
  const resumed = token !== null;
  await sit(resumed ? await ask("api/state") : await welcome(), resumed);
}

begin().catch((error) => {
  if (error.status === 401 && study) {
    keep.drop("token");
    keep.drop("answer");
  }
  closed(error.status ? error.message : "This page ran into an error; reload it to go on where you stopped.");
  if (!error.status) throw error;
});
